package inspect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// sectionTimeout is the time limit of a section's function.
const sectionTimeout = time.Second

func (h *handler) sections(w http.ResponseWriter, r *http.Request) {
	if q := newQuery(r); q.err != nil {
		fail(w, q.err)
		return
	}
	reply(w, struct {
		Sections []string `json:"sections"`
	}{h.Sections.Names()})
}

func (h *handler) section(w http.ResponseWriter, r *http.Request) { h.show(w, r, r.PathValue("name")) }

// named shows a section at /v1/NAME.
func (h *handler) named(w http.ResponseWriter, r *http.Request) {
	if !slices.Contains(h.Sections.Names(), r.PathValue("name")) {
		nothing(w, r)
		return
	}
	h.section(w, r)
}

// nothing answers a request for a path at which there is nothing.
func nothing(w http.ResponseWriter, r *http.Request) {
	notFound(w, "there is nothing at "+Escape(r.URL.Path), "see the list of addresses at /v1, for example /v1/tree")
}

// show answers with the value of one section.
func (h *handler) show(w http.ResponseWriter, r *http.Request, name string) {
	if q := newQuery(r); q.err != nil {
		fail(w, q.err)
		return
	}
	if v, ok := h.value(w, r, name); ok {
		reply(w, v)
	}
}

// value returns the value of a section. If it cannot, it answers with the reason and
// returns false.
func (h *handler) value(w http.ResponseWriter, r *http.Request, name string) (any, bool) {
	ctx, cancel := context.WithTimeout(r.Context(), sectionTimeout)
	defer cancel()
	v, err := h.Sections.Value(ctx, name)
	switch {
	case errors.Is(err, ErrNoSection):
		notFound(w, fmt.Sprintf("there is no section %q", Escape(name)), "list the sections with /v1/sections")
	case err != nil:
		fail(w, &Error{CodeInternal, err.Error(), "the function that was registered for this section has a bug"})
	default:
		return v, true
	}
	return nil, false
}

func (h *handler) peers(w http.ResponseWriter, r *http.Request) {
	q := newQuery(r, "limit", "offset")
	limit, offset, note := q.window()
	if q.err != nil {
		fail(w, q.err)
		return
	}
	v, ok := h.value(w, r, "peers")
	if !ok {
		return
	}
	switch all := v.(type) {
	case []models.Peer:
		v = cut(all, limit, offset, note)
	case models.PeerList:
		from := min(offset, all.Len())
		v = page[models.Peer]{append([]models.Peer{}, all.Slice(from, min(from+limit, all.Len()))...), all.Len(), limit, offset, note}
	}
	reply(w, v)
}

func (h *handler) peer(w http.ResponseWriter, r *http.Request) {
	if q := newQuery(r); q.err != nil {
		fail(w, q.err)
		return
	}
	v, ok := h.value(w, r, "peers")
	if !ok {
		return
	}
	id := r.PathValue("id")
	if p, ok := findPeer(v, id); ok {
		reply(w, p)
		return
	}
	notFound(w, fmt.Sprintf("no peer %q is known", Escape(id)), HintPeers)
}

// findPeer returns the peer of the section "peers" that text stands for, if it is one.
func findPeer(section any, text string) (models.Peer, bool) {
	switch all := section.(type) {
	case models.PeerList:
		return all.Find(text)
	case []models.Peer:
		if i, ids := FindPeer(text, func(yield func(string, string) bool) {
			for _, p := range all {
				if !yield(p.NodeID, p.PublicKey) {
					return
				}
			}
		}); len(ids) == 1 {
			return all[i], true
		}
	}
	return models.Peer{}, false
}

func (h *handler) connections(w http.ResponseWriter, r *http.Request) {
	q := newQuery(r, "state", "limit", "offset")
	state := q.choice("state", "", "open", "closed")
	limit, offset, note := q.window()
	if q.err != nil {
		fail(w, q.err)
		return
	}
	v, ok := h.value(w, r, "connections")
	if !ok {
		return
	}
	if all, ok := v.([]models.Connection); ok {
		var some []models.Connection
		for _, c := range all {
			if state == "" || c.ClosedAt.IsZero() == (state == "open") {
				some = append(some, c)
			}
		}
		v = cut(some, limit, offset, note)
	}
	reply(w, v)
}
