package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Verb is an action of a part of the node. The request for it is POST /v1/{section}/{verb},
// where section and verb are its keys in Actions.Verbs.
type Verb struct {
	// Params are the parameters that the query may have.
	Params []string
	// Body is the length of the longest body in bytes; 0: a body is not read.
	Body int
	// Local says that requests or answers may carry secrets, or what is in messages and values. They are
	// taken on the Unix socket, and where [Checked] says that nobody reads along.
	Local bool
	// Do carries out the action, and returns when it has ended. Its result is the answer.
	// Errors are as in [PeerAction].
	Do func(ctx context.Context, params url.Values, body []byte) (any, error)
	// Stream, instead of Do, yields results as they come, each of which is a line of the
	// answer. An error comes last; one that comes first has its HTTP status. A nil result is no line: it tells
	// the client that the action was accepted, when its first result may take long. The stream ends when the client takes nothing for 30 s.
	Stream func(ctx context.Context, params url.Values) iter.Seq2[any, error]
}

// VerbInfo says what a verb is, without what it does.
type VerbInfo struct {
	Section string   `json:"section"`
	Verb    string   `json:"verb"`
	Params  []string `json:"params"`
	Body    int      `json:"body,omitempty"`  // length of the longest body in bytes; 0: it takes none
	Local   bool     `json:"local,omitempty"` // it is done on the Unix socket, and over TLS with the admin's token
}

// verbs lists Options.Verbs, by section and verb.
func (h *handler) verbs(_ http.ResponseWriter, _ *http.Request, q *query) (any, error) {
	limit, offset, note := q.window()
	return cut(h.verbInfos(), limit, offset, note), nil
}

func (h *handler) verbInfos() (all []VerbInfo) {
	for _, section := range slices.Sorted(maps.Keys(h.Verbs)) {
		for _, name := range slices.Sorted(maps.Keys(h.Verbs[section])) {
			v := h.Verbs[section][name]
			all = append(all, VerbInfo{section, name, append([]string{}, v.Params...), v.Body, v.Local})
		}
	}
	return all
}

// verb carries out one of Actions.Verbs.
func (m *mutations) verb(w http.ResponseWriter, r *http.Request) (any, error) {
	section, name := r.PathValue("section"), r.PathValue("verb")
	verb, ok := m.Verbs[section][name]
	switch {
	case len(m.Verbs[section]) == 0:
		return m.nothing(w, r)
	case !ok:
		return nil, notFound("there is nothing to do at "+Escape(r.URL.Path),
			"see /v1/verbs; the verbs of "+section+" are: "+strings.Join(slices.Sorted(maps.Keys(m.Verbs[section])), ", "))
	case verb.Local && !isPrivate(r):
		return nil, &Error{Code: CodeForbidden, Message: Escape(r.URL.Path) + " is done on the node's Unix socket, and over TLS with the admin's token", Hint: HintHere}
	}
	q := newQuery(r, verb.Params...)
	if q.err != nil {
		return nil, q.err
	}
	var body []byte
	var err error
	if verb.Body > 0 {
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, int64(verb.Body)))
	}
	if long := (*http.MaxBytesError)(nil); errors.As(err, &long) {
		return nil, &Error{Code: CodeBadQuery, Message: fmt.Sprintf("the body is longer than %d bytes", verb.Body), Hint: "send less"}
	}
	if err != nil {
		return nil, &Error{Code: CodeBadQuery, Message: "the body cannot be read", Hint: "send it again"}
	}
	event := "admin." + section + "." + name
	if !verb.Local {
		event = withParams(event, q.values)
	}
	m.tell(event)
	if verb.Stream == nil {
		return verb.Do(r.Context(), q.values, body)
	}
	return answerStream(w, verb.Stream(r.Context(), q.values))
}

// answerStream answers with results as they come. An error that comes first is the answer.
func answerStream(w http.ResponseWriter, results iter.Seq2[any, error]) (any, error) {
	var s *stream
	for v, err := range results {
		if s == nil && err != nil {
			return nil, err
		}
		if s == nil {
			s = newStream(w, streamWrite)
		}
		if err != nil {
			s.fail(err)
			break
		}
		if v != nil && (s.write(v) != nil || s.flush() != nil) {
			break
		}
	}
	if s == nil {
		newStream(w, streamWrite)
	}
	return done, nil
}
