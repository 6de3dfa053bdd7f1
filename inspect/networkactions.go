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

// NetworkAction is an action of a node in its network. The request for it is POST
// /v1/network/{verb}, where verb is its key in Actions.Network, or /v1/saf/{verb} with one in
// Actions.StoreForward.
type NetworkAction struct {
	// Params are the parameters that the query may have.
	Params []string
	// Do carries out the action, and returns when it has ended. Its result is the
	// answer. Errors are as in [PeerAction].
	Do func(ctx context.Context, params url.Values) (any, error)
}

// networkAction carries out one of Actions.Network.
func (m *mutations) networkAction(w http.ResponseWriter, r *http.Request) {
	m.verb(w, r, "network", m.Network, "this node cannot be told from here to look for others")
}

// storeForwardAction carries out one of Actions.StoreForward.
func (m *mutations) storeForwardAction(w http.ResponseWriter, r *http.Request) {
	m.verb(w, r, "saf", m.StoreForward, "stored messages cannot be fetched or purged from here")
}

// verb carries out one of the actions of a branch of the API. Without actions it answers
// "not found" with the text none.
func (m *mutations) verb(w http.ResponseWriter, r *http.Request, branch string, actions map[string]NetworkAction, none string) {
	verb, action, ok := actionOf(w, r, branch, actions, none, "use the DHT handle in the program that runs the node")
	if !ok {
		return
	}
	q := newQuery(r, action.Params...)
	if q.err != nil {
		fail(w, q.err)
		return
	}
	m.tell("admin." + branch + "." + verb)
	v, err := action.Do(r.Context(), q.values)
	answer(w, v, err)
}

// actionOf returns the action of a branch that the request names. Without it, it answers "not
// found": with the text none and a hint if the branch has no actions at all.
func actionOf[A any](w http.ResponseWriter, r *http.Request, branch string, actions map[string]A, none, hint string) (verb string, action A, ok bool) {
	verb = r.PathValue("verb")
	action, ok = actions[verb]
	switch {
	case len(actions) == 0:
		notFound(w, none, hint)
	case !ok:
		notFound(w, fmt.Sprintf("there is nothing to do at %s", Escape(r.URL.Path)),
			"POST to /v1/"+branch+"/{verb} with one of these verbs: "+strings.Join(slices.Sorted(maps.Keys(actions)), ", "))
	}
	return verb, action, ok
}
