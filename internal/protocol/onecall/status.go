package onecall

import (
	"errors"

	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// failedText is the text that the peer receives in place of a private error.
const failedText = "the service failed"

// StatusOf returns the status and the text that the peer receives for an error of a
// method. private reports that the error's own text is not sent.
func StatusOf(err error) (s rpc.Status, details string, private bool) {
	var e *rpc.Error
	var failed interface { // a policy that failed
		error
		Answer() *rpc.Error
	}
	s = rpc.StatusOf(err)
	switch {
	case errors.As(err, &e) && e.Status != rpc.OK:
		return s, words.Cut(e.Details, rpc.MaxDetails), errors.As(err, &failed)
	case errors.Is(err, s):
		return s, "", false
	}
	return s, failedText, true
}

// ErrorOf returns the error of a call that a server has answered with a status and a text.
func ErrorOf(s rpc.Status, text []byte) *rpc.Error {
	return &rpc.Error{Status: s, Details: words.Details(text, rpc.MaxDetails)}
}
