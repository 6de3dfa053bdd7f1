package noise

import (
	"errors"
	"fmt"
)

// Causes of a failed handshake or a broken connection.
var (
	// ErrTimeout reports a handshake message that did not arrive, or could not
	// be written, in time.
	ErrTimeout = errors.New("noise: handshake message not in time")
	// ErrLength reports a handshake message shorter than its pattern asks for.
	ErrLength = errors.New("noise: handshake message has a wrong length")
	// ErrPayload reports a handshake message longer than its pattern: it
	// carries a payload, which is never allowed.
	ErrPayload = errors.New("noise: handshake message carries a payload")
	// ErrHandshake reports a handshake message that does not decrypt or holds
	// a key that is no ristretto255 point: damaged, replayed, or of a peer
	// that speaks another pattern or prologue.
	ErrHandshake = errors.New("noise: handshake message does not decrypt")
	// ErrNoSecret reports a dialer that has none of the secrets of a private network.
	ErrNoSecret = errors.New("noise: handshake message is not of a dialer with the secret")
	// ErrBadKey reports a key of the peer that is not a canonical point or is
	// the identity element.
	ErrBadKey = errors.New("noise: bad key")
	// ErrDecrypt reports a transport frame that is not the next one the peer
	// encrypted. It is final: nothing more is read from the connection.
	ErrDecrypt = errors.New("noise: frame does not decrypt")
	// ErrExhausted reports a direction that has used up its 2^64−1 nonces.
	ErrExhausted = errors.New("noise: connection is used up; open a new one")
)

// HandshakeError reports which message of the handshake failed, and why.
type HandshakeError struct {
	// Message counts from 1; messages 1 and 3 are the dialer's.
	Message int
	// Written is true for a message of this side, false for one of the peer.
	Written bool
	Err     error
}

// Error names the message and the cause.
func (e *HandshakeError) Error() string {
	what := "read"
	if e.Written {
		what = "write"
	}
	return fmt.Sprintf("noise: %s handshake message %d: %v", what, e.Message, e.Err)
}

// Unwrap returns the cause.
func (e *HandshakeError) Unwrap() error { return e.Err }

// CheckError is the refusal of the peer's key by [Config.Check].
type CheckError struct{ Err error }

// Error returns the text of the refusal.
func (e *CheckError) Error() string { return "noise: peer's key refused: " + e.Err.Error() }

// Unwrap returns the error of [Config.Check].
func (e *CheckError) Unwrap() error { return e.Err }
