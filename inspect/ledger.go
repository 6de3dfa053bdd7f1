package inspect

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// ledgerPage is the answer of /v1/ledger: the counts, and a page of the requested
// reports.
type ledgerPage struct {
	Accepted uint64 `json:"accepted"`
	Ended    uint64 `json:"ended"`
	page[models.Report]
}

func (h *handler) ledger(w http.ResponseWriter, r *http.Request, q *query) (any, error) {
	tag, peer := strings.ToLower(q.text("tag")), q.text("peer")
	state := q.choice("state", "", "open", "ended", "failed")
	limit, offset, note := q.window()
	v, err := h.value(r, "ledger")
	if err != nil {
		return nil, err
	}
	l, ok := v.(models.Ledger)
	if !ok {
		return v, nil
	}
	receiver := ""
	if peer != "" {
		ids := h.receivers(r.Context(), l.Reports, peer)
		if len(ids) > 1 {
			return nil, Ambiguous(peer, ids)
		}
		receiver = strings.Join(ids, "")
	}
	var some []models.Report
	for _, x := range l.Reports {
		if (tag == "" || x.Tag == tag) && (peer == "" || sentTo(&x, receiver)) && inState(&x, state) {
			some = append(some, x)
		}
	}
	return ledgerPage{l.Accepted, l.Ended, cut(some, limit, offset, note)}, nil
}

func inState(x *models.Report, state string) bool {
	switch state {
	case "open":
		return x.End.IsZero()
	case "ended":
		return !x.End.IsZero()
	case "failed":
		return x.Failed()
	}
	return true
}

// receivers returns the node ids, among those to which or for which the messages were sent,
// that text stands for.
func (h *handler) receivers(ctx context.Context, reports []models.Report, text string) []string {
	known, _ := h.Sections.Value(ctx, "peers") // without it ids are found, and no keys
	_, ids := FindPeer(text, func(yield func(string, string) bool) {
		seen := map[string]bool{}
		next := func(id, key string) bool {
			if id == "" || seen[id] {
				return true
			}
			seen[id] = true
			return yield(id, key)
		}
		for i := range reports {
			if !next(reports[i].DestinationID, reports[i].Destination) {
				return
			}
			for _, c := range reports[i].Copies {
				p, _ := findPeer(known, c.Peer)
				if !next(c.Peer, p.PublicKey) {
					return
				}
			}
		}
	})
	return ids
}

// sentTo reports whether a message was sent to the peer with this node id, or to others for
// it.
func sentTo(r *models.Report, id string) bool {
	return r.DestinationID == id && id != "" || slices.ContainsFunc(r.Copies, func(c models.Copy) bool { return c.Peer == id })
}
