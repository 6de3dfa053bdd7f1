package inspect

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// PeerAction is an action on one peer. The request for it is
// POST /v1/peers/{peer}:{verb}, where verb is its key in Actions.Peers.
type PeerAction struct {
	// Params are the parameters that the query may have.
	Params []string
	// Do carries out the action. peer is a node id or a public key as a person wrote
	// it; params are those of the query. The result is the answer, nil for none. The
	// handler answers with an [*Error] as it is; the text of any other error must be a
	// sentence.
	Do func(ctx context.Context, peer string, params url.Values) (any, error)
}

// maxSeedBody bounds the body of POST /v1/peers, in bytes.
const maxSeedBody = 64 << 10

// addPeer adds the peer whose seed is the body.
func (m *mutations) addPeer(w http.ResponseWriter, r *http.Request, _ *query) (any, error) {
	if m.AddPeer == nil {
		return nil, notFound("peers cannot be added from here", "add them in the program that runs the node")
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSeedBody))
	if err != nil {
		return nil, &Error{Code: CodeBadQuery, Message: "the body cannot be read: " + err.Error(), Hint: "send one KEY::ADDRESS"}
	}
	m.tell("admin.peer.add")
	return m.AddPeer(r.Context(), strings.TrimSpace(string(b)))
}

// peerAction carries out one of Actions.Peers.
func (m *mutations) peerAction(w http.ResponseWriter, r *http.Request) (any, error) {
	target := r.PathValue("target")
	cut := strings.LastIndexByte(target, ':')
	action, ok := m.Peers[target[cut+1:]]
	if cut < 1 || !ok {
		return nil, notFound(fmt.Sprintf("there is nothing to do at %s", Escape(r.URL.Path)),
			"POST to /v1/peers/{id}:{verb} with one of these verbs: "+strings.Join(slices.Sorted(maps.Keys(m.Peers)), ", "))
	}
	q := newQuery(r, action.Params...)
	if q.err != nil {
		return nil, q.err
	}
	m.tell(withParams("admin.peer."+target[cut+1:]+" peer="+param(target[:cut]), q.values))
	return action.Do(r.Context(), target[:cut], q.values)
}
