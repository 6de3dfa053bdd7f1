package record

import (
	"errors"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Errors of [Check], beside [overlay.ValueTooLargeError].
var (
	// ErrKind reports a record of a kind that the overlay does not have.
	ErrKind = errors.New("kad: unknown kind of record")
	// ErrFields reports fields that a record of its kind does not have: a value of a
	// tombstone, a signature of an immutable value.
	ErrFields = errors.New("kad: fields that this kind of record does not have")
	// ErrAlgorithm reports another algorithm than [overlay.AlgEd25519].
	ErrAlgorithm = errors.New("kad: unknown signature algorithm")
	// ErrMismatch reports a key that is not the hash of what the record holds.
	ErrMismatch = errors.New("kad: the key is not the hash of the record")
	// ErrBadSignature reports a signature that does not verify, a public key that is not
	// written as one must be, and unknown flags. Whoever hands out such a record has not
	// checked it.
	ErrBadSignature = errors.New("kad: bad signature")
	// ErrExpired reports a record whose life has ended, by this node's clock.
	ErrExpired = errors.New("kad: record has expired")
	// ErrTooLong reports a record that expires more than [MaxLife] from now, by this node's
	// clock: sign it with an earlier expiry.
	ErrTooLong = errors.New("kad: record expires too far ahead")
)

// StatusOf returns the status that answers a STORE of a record with this error of [Check],
// and [overlay.OK] for no error.
func StatusOf(err error) overlay.Status {
	var large *overlay.ValueTooLargeError
	switch {
	case err == nil:
		return overlay.OK
	case errors.As(err, &large):
		return overlay.TooLarge
	case errors.Is(err, ErrAlgorithm):
		return overlay.Unsupported
	case errors.Is(err, ErrMismatch), errors.Is(err, ErrBadSignature):
		return overlay.BadSignature
	case errors.Is(err, ErrExpired), errors.Is(err, ErrTooLong):
		return overlay.Expired
	}
	return overlay.BadRequest
}

// Violation reports whether a record with this error of [Check] shows that the peer who
// sent it does not keep to the protocol: such a record does not become bad on the way, or
// by a wrong clock (spec: kad B10.4).
func Violation(err error) bool { return StatusOf(err) == overlay.BadSignature }
