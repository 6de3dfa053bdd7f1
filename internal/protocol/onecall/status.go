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
	var plain rpc.Status
	var failed interface { // a policy that failed
		error
		Answer() *rpc.Error
	}
	switch {
	case errors.As(err, &failed):
		answer := failed.Answer()
		return answer.Status, answer.Details, true
	case errors.As(err, &e) && e.Status != rpc.OK:
		return e.Status, words.Cut(e.Details, MaxDetails), false
	case errors.As(err, &plain) && plain != rpc.OK:
		return plain, "", false
	}
	return rpc.General, failedText, true
}

// ErrorOf returns the error of a call that a server has answered with a status and a text.
func ErrorOf(s rpc.Status, text []byte) *rpc.Error {
	return &rpc.Error{Status: s, Details: words.Details(text, MaxDetails)}
}
