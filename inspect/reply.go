package inspect

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// Error is the body of every answer that is not a success, under the key "error". Code is
// for programs, Message for people, and Hint is advice.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
	Cause   string `json:"cause,omitempty"` // code of package inspect/codes: why a peer was not reached
}

func (e *Error) Error() string { return "inspect: " + e.Message }

// The codes of Error.
const (
	CodeNotFound     = "not_found"
	CodeBadQuery     = "bad_query"
	CodeBadMethod    = "method_not_allowed"
	CodeUnauthorized = "unauthorized"
	CodeForbidden    = "forbidden"
	CodeStopping     = "stopping"
	CodeUnknownPeer  = "unknown_peer"
	CodeFailed       = "failed"
	CodeInternal     = "internal"
	CodeBusy         = "busy"      // too many do the same
	CodeNoAnswer     = "no_answer" // of a ping that has come to nothing, where the next may be answered

	CodeTooMany = "too_many_requests" // wrong tokens, of one source

	CodeNoValue    = "no_value"   // of the key-value DHT: there is no such value
	CodeNoPeers    = "no_peers"   // nobody else is known, or answers
	CodeSuperseded = "superseded" // there is a newer version
)

var statusOf = map[string]int{
	CodeNotFound:     http.StatusNotFound,
	CodeBadQuery:     http.StatusBadRequest,
	CodeBadMethod:    http.StatusMethodNotAllowed,
	CodeUnauthorized: http.StatusUnauthorized,
	CodeForbidden:    http.StatusForbidden,
	CodeStopping:     http.StatusServiceUnavailable,
	CodeUnknownPeer:  http.StatusNotFound,
	CodeFailed:       http.StatusConflict,
	CodeInternal:     http.StatusInternalServerError,
	CodeBusy:         http.StatusServiceUnavailable,
	CodeNoAnswer:     http.StatusInternalServerError,
	CodeTooMany:      http.StatusTooManyRequests,
	CodeNoValue:      http.StatusNotFound,
	CodeNoPeers:      http.StatusConflict,
	CodeSuperseded:   http.StatusConflict,
}

// mostMessage bounds the message of an error, in bytes: it may quote the request.
const mostMessage = 2 << 10

// Refuse answers with an error, with the HTTP status of its code, as the handlers do.
func Refuse(w http.ResponseWriter, e *Error) { fail(w, e) }

func fail(w http.ResponseWriter, e *Error) {
	if len(e.Message) > mostMessage {
		short := *e
		short.Message = strings.ToValidUTF8(e.Message[:mostMessage], "") + "…"
		e = &short
	}
	status, ok := statusOf[e.Code]
	if !ok {
		status = http.StatusInternalServerError
	}
	replyStatus(w, status, struct {
		Error *Error `json:"error"`
	}{e})
}

func reply(w http.ResponseWriter, v any) { replyStatus(w, http.StatusOK, v) }

// replyStatus writes v as JSON. For a value that cannot be written, which only a user's
// section can have, the answer is an error.
func replyStatus(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		fail(w, &Error{Code: CodeInternal, Message: "the answer cannot be written as JSON: " + err.Error(), Hint: "let the section return values that encoding/json can write"})
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // an error means that the client has gone
}

func notFound(message, hint string) error {
	return &Error{Code: CodeNotFound, Message: message, Hint: hint}
}

// handle is a handler that returns its answer; done if it has written that itself. The text of an
// error that is no [*Error] is a sentence.
type handle func(w http.ResponseWriter, r *http.Request) (any, error)

// done is the answer of a handler that has written it.
var done any = new(struct{ _ byte })

// asked returns a handler of requests whose query may have these parameters. A mistake in one is the
// answer in place of that of f, which looks for one itself before it writes or changes something.
func asked(f func(w http.ResponseWriter, r *http.Request, q *query) (any, error), params ...string) handle {
	return func(w http.ResponseWriter, r *http.Request) (any, error) {
		q := newQuery(r, params...)
		if q.err != nil {
			return nil, q.err
		}
		v, err := f(w, r, q)
		if q.err != nil {
			return nil, q.err
		}
		return v, err
	}
}

func (f handle) answer(w http.ResponseWriter, r *http.Request) {
	v, err := f(w, r)
	e := (*Error)(nil)
	switch {
	case errors.As(err, &e):
		fail(w, e)
	case err != nil:
		fail(w, &Error{Code: CodeFailed, Message: err.Error(), Hint: HintNode})
	case v == nil:
		reply(w, struct{}{})
	case v != done:
		reply(w, v)
	}
}

// only lets the given methods through.
func only(h http.HandlerFunc, methods ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(methods, r.Method) {
			h(w, r)
			return
		}
		w.Header().Set("Allow", methods[0])
		fail(w, &Error{Code: CodeBadMethod, Message: r.Method + " is not possible here", Hint: "use " + methods[0]})
	}
}
