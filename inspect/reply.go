package inspect

import (
	"encoding/json"
	"net/http"
	"slices"
)

// Error is the body of every answer that is not a success, under the key "error". Code is
// for programs, Message for people, and Hint is advice.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
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
	CodeNoValue:      http.StatusNotFound,
	CodeNoPeers:      http.StatusConflict,
	CodeSuperseded:   http.StatusConflict,
}

func fail(w http.ResponseWriter, e *Error) {
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
		fail(w, &Error{
			CodeInternal, "the answer cannot be written as JSON: " + err.Error(),
			"let the section return values that encoding/json can write",
		})
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // an error means that the client has gone
}

func notFound(w http.ResponseWriter, message, hint string) {
	fail(w, &Error{CodeNotFound, message, hint})
}

// only lets the given methods through.
func only(h http.HandlerFunc, methods ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(methods, r.Method) {
			h(w, r)
			return
		}
		w.Header().Set("Allow", methods[0])
		fail(w, &Error{CodeBadMethod, r.Method + " is not possible here", "use " + methods[0]})
	}
}
