package inspect

import (
	"net/http"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

func (h *handler) dht(w http.ResponseWriter, r *http.Request) { h.show(w, r, "dht") }

// ledgerPage is the answer of /v1/ledger: the counts, and a page of the requested
// reports.
type ledgerPage struct {
	Accepted uint64 `json:"accepted"`
	Ended    uint64 `json:"ended"`
	page[models.Report]
}

func (h *handler) ledger(w http.ResponseWriter, r *http.Request) {
	q := newQuery(r, "tag", "peer", "state", "limit", "offset")
	tag, peer := strings.ToLower(q.text("tag")), strings.ToLower(q.text("peer"))
	state := q.choice("state", "", "open", "ended", "failed")
	limit, offset, note := q.window()
	if q.err != nil {
		fail(w, q.err)
		return
	}
	v, ok := h.value(w, r, "ledger")
	if !ok {
		return
	}
	l, ok := v.(models.Ledger)
	if !ok {
		reply(w, v)
		return
	}
	var some []models.Report
	for _, x := range l.Reports {
		if (tag == "" || x.Tag == tag) && (peer == "" || sentTo(&x, peer)) && inState(&x, state) {
			some = append(some, x)
		}
	}
	reply(w, ledgerPage{l.Accepted, l.Ended, cut(some, limit, offset, note)})
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

// sentTo reports whether a message was sent to a peer, given by its node id or the
// beginning of it.
func sentTo(r *models.Report, peer string) bool {
	for i := range r.Copies {
		if p := r.Copies[i].Peer; strings.HasPrefix(p, peer) {
			return true
		}
	}
	return false
}
