package inspect

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// NetworkAction is an action by which the node finds other nodes. The request for it is
// POST /v1/network/{verb}, where verb is its key in Actions.Network.
type NetworkAction struct {
	// Params are the parameters that the query may have.
	Params []string
	// Do carries out the action, and returns when it has ended. Its result is the
	// answer. Errors are as in [PeerAction].
	Do func(ctx context.Context, params url.Values) (any, error)
}

// networkAction carries out one of Actions.Network.
func (m *mutations) networkAction(w http.ResponseWriter, r *http.Request) {
	verb := r.PathValue("verb")
	action, ok := m.Network[verb]
	switch {
	case len(m.Network) == 0:
		notFound(w, "this node cannot be told from here to look for others", "use the DHT handle in the program that runs the node")
		return
	case !ok:
		notFound(w, fmt.Sprintf("there is nothing to do at %s", Escape(r.URL.Path)),
			"POST to /v1/network/{verb} with one of these verbs: "+strings.Join(slices.Sorted(maps.Keys(m.Network)), ", "))
		return
	}
	q := newQuery(r, action.Params...)
	if q.err != nil {
		fail(w, q.err)
		return
	}
	m.tell("admin.network." + verb)
	v, err := action.Do(r.Context(), q.values)
	answer(w, v, err)
}
