package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
)

// KadAction is an action of the key-value DHT. The request for it is POST
// /v1/kad/{verb}, where verb is its key in Actions.Kad. Requests may carry keys that
// sign, so they are taken on the Unix socket only.
type KadAction struct {
	// Params are the parameters that the query may have.
	Params []string
	// Body is the length of the longest body in bytes; 0: there is none.
	Body int
	// Do carries out the action, and returns when it has ended. Its result is the answer.
	// Errors are as in [PeerAction].
	Do func(ctx context.Context, params url.Values, body []byte) (any, error)
	// Stream, instead of Do, yields results as they come, each of which is a line of the
	// answer. An error comes last.
	Stream func(ctx context.Context, params url.Values) iter.Seq2[any, error]
}

// kadAction carries out one of Actions.Kad.
func (m *mutations) kadAction(w http.ResponseWriter, r *http.Request) {
	verb, action, ok := actionOf(w, r, "kad", m.Kad, "this node has no key-value DHT that can be used from here", "start it with kad.enabled = true")
	if !ok {
		return
	}
	if !overUnix(r) {
		fail(w, &Error{CodeForbidden, "the key-value DHT is used on the node's Unix socket only", HintKadHere})
		return
	}
	q := newQuery(r, action.Params...)
	if q.err != nil {
		fail(w, q.err)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(action.Body)))
	if long := (*http.MaxBytesError)(nil); errors.As(err, &long) {
		fail(w, &Error{CodeBadQuery, fmt.Sprintf("the body is longer than %d bytes", action.Body), "send less"})
		return
	}
	if err != nil {
		fail(w, &Error{CodeBadQuery, "the body cannot be read", "send it again"})
		return
	}
	m.tell("admin.kad." + verb)
	if action.Stream == nil {
		v, err := action.Do(r.Context(), q.values, body)
		answer(w, v, err)
		return
	}
	s := newStream(w)
	for v, err := range action.Stream(r.Context(), q.values) {
		if err != nil {
			s.fail(err)
			return
		}
		if s.write(v) != nil || s.flush() != nil {
			return
		}
	}
}
