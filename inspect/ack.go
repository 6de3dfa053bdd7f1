package inspect

import (
	"encoding/json"
	"errors"
	"net/http"
)

// Limits of one acknowledgement.
const (
	maxAcks    = 10_000
	maxAckBody = 1 << 20
)

// maxListener bounds the name of a listener.
const maxListener = 64

// handBack ends a listener that its client no longer needs.
func (m *mutations) handBack(w http.ResponseWriter, r *http.Request, _ *query) (any, error) {
	if m.HandBack == nil {
		return nil, notFound("this node keeps no messages", "its program receives them in its own handler")
	}
	var body struct {
		Name string `json:"name"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16*maxListener))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil || body.Name == "" || len(body.Name) > maxListener {
		return nil, &Error{Code: CodeBadQuery, Message: "the body names no listener", Hint: `send {"name":"…"}, as it was given to GET /v1/messages`}
	}
	if err := m.HandBack(r.Context(), body.Name); err != nil {
		return nil, &Error{Code: CodeInternal, Message: "the listener did not end: " + Escape(err.Error()), Hint: "end its connection"}
	}
	return struct{}{}, nil
}

// acknowledge acknowledges messages by their numbers.
func (m *mutations) acknowledge(w http.ResponseWriter, r *http.Request, _ *query) (any, error) {
	if m.Acknowledge == nil {
		return nil, notFound("this node keeps no messages", "its program receives them in its own handler")
	}
	var body struct {
		Seqs []uint64 `json:"seqs"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAckBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil || len(body.Seqs) == 0 || len(body.Seqs) > maxAcks {
		return nil, &Error{Code: CodeBadQuery, Message: "the body is no list of messages", Hint: `send {"seqs":[1,2]}, with the field seq of at most 10,000 messages`}
	}
	if err := m.Acknowledge(r.Context(), body.Seqs); err != nil {
		x := (*Error)(nil)
		if !errors.As(err, &x) {
			x = &Error{Code: CodeInternal, Message: "the messages were not acknowledged: " + Escape(err.Error()), Hint: "try it again; what is not acknowledged comes again"}
		}
		return nil, x
	}
	return struct {
		Acknowledged int `json:"acknowledged"`
	}{len(body.Seqs)}, nil
}
