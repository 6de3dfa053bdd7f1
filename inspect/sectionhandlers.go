package inspect

import (
	"context"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// sectionTimeout is the time limit of a section's function.
const sectionTimeout = time.Second

func (h *handler) sections(_ http.ResponseWriter, _ *http.Request, q *query) (any, error) {
	limit, offset, note := q.window()
	return cut(h.Sections.Names(), limit, offset, note), nil
}

// named shows a section at /v1/NAME.
func (h *handler) named(w http.ResponseWriter, r *http.Request) (any, error) {
	if !slices.Contains(h.Sections.Names(), r.PathValue("name")) {
		return nothing(w, r)
	}
	return asked(h.section, pages...)(w, r)
}

// nothing answers a request for a path at which there is nothing.
func nothing(_ http.ResponseWriter, r *http.Request) (any, error) {
	return nil, notFound("there is nothing at "+Escape(r.URL.Path), "see the list of addresses at /v1, for example /v1/tree")
}

// section answers with the value of one section. One that is a list is answered as every list.
func (h *handler) section(_ http.ResponseWriter, r *http.Request, q *query) (any, error) {
	v, err := h.value(r, r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	if list, ok := listed(v, q); ok {
		return list, nil
	}
	for _, name := range pages {
		if q.values.Has(name) {
			q.refuse(fmt.Sprintf("unknown parameter %q", name), "this section is no list")
		}
	}
	if v == nil {
		v = json.RawMessage("null")
	}
	return v, nil
}

// listed returns a page of v, if it is a list.
func listed(v any, q *query) (any, bool) {
	if all, ok := v.(models.PeerList); ok {
		limit, offset, note := q.window()
		from := min(offset, all.Len())
		return page[models.Peer]{append([]models.Peer{}, all.Slice(from, min(from+limit, all.Len()))...), all.Len(), limit, offset, note}, true
	}
	switch v.(type) {
	case json.Marshaler, encoding.TextMarshaler, []byte: // its JSON may be anything
		return nil, false
	}
	list := reflect.ValueOf(v)
	if list.Kind() != reflect.Slice {
		return nil, false
	}
	limit, offset, note := q.window()
	from := min(offset, list.Len())
	p := page[any]{Items: []any{}, Total: list.Len(), Limit: limit, Offset: offset, Note: note}
	for i := from; i < min(from+limit, list.Len()); i++ {
		p.Items = append(p.Items, list.Index(i).Interface())
	}
	return p, true
}

// figures answers with the values of one section, each with its label, unit and rank.
func (h *handler) figures(_ http.ResponseWriter, r *http.Request, q *query) (any, error) {
	limit, offset, note := q.window()
	v, err := h.value(r, r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	if l, ok := v.(models.PeerList); ok { // it describes only the peers that are asked for
		v = l.Slice(0, min(l.Len(), DefaultLimit))
	}
	return cut(models.Figures(v), limit, offset, note), nil
}

// value returns the value of a section.
func (h *handler) value(r *http.Request, name string) (any, error) {
	ctx, cancel := context.WithTimeout(r.Context(), sectionTimeout)
	defer cancel()
	if !isPrivate(r) {
		ctx = context.WithValue(ctx, withheld{}, true)
	}
	v, err := h.Sections.Value(ctx, name)
	switch {
	case errors.Is(err, ErrNoSection):
		return nil, notFound(fmt.Sprintf("there is no section %q", Escape(name)), "list the sections with /v1/sections")
	case err != nil:
		return nil, &Error{Code: CodeInternal, Message: err.Error(), Hint: "the function that was registered for this section has a bug"}
	}
	return v, nil
}

func (h *handler) peers(w http.ResponseWriter, r *http.Request, q *query) (any, error) {
	v, err := h.value(r, "peers")
	if err != nil {
		return nil, err
	}
	if list, ok := listed(v, q); ok {
		v = list
	}
	return v, nil
}

func (h *handler) peer(w http.ResponseWriter, r *http.Request, _ *query) (any, error) {
	v, err := h.value(r, "peers")
	if err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	if p, ok := findPeer(v, id); ok {
		return p, nil
	}
	return nil, notFound(fmt.Sprintf("no peer %q is known", Escape(id)), HintPeers)
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

func (h *handler) connections(w http.ResponseWriter, r *http.Request, q *query) (any, error) {
	state := q.choice("state", "", "open", "closed")
	limit, offset, note := q.window()
	v, err := h.value(r, "connections")
	if err != nil {
		return nil, err
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
	return v, nil
}
