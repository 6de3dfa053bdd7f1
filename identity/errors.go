package identity

import "errors"

var (
	// ErrBadKey reports bytes or text that cannot be a public or secret key:
	// wrong length, not hexadecimal, not canonical, the identity element or zero.
	ErrBadKey = errors.New("identity: bad key")
	// ErrBadNodeID reports text or bytes that are no node id.
	ErrBadNodeID = errors.New("identity: bad node id")
	// ErrBadSignature reports a claim whose signature is not that of its key
	// over its content. See also [ErrUndecodable].
	ErrBadSignature = errors.New("identity: bad signature")
	// ErrUndecodable reports a signature whose nonce is no point or whose
	// scalar is not canonical. Errors with it also match [ErrBadSignature].
	ErrUndecodable = errors.New("identity: signature does not decode")
	// ErrClaimFromFuture reports a claim dated more than [ClaimSkew] ahead.
	ErrClaimFromFuture = errors.New("identity: claim is dated too far in the future")
	// ErrClaimBeforeEpoch reports a claim dated before 1970.
	ErrClaimBeforeEpoch = errors.New("identity: claim is dated before 1970")
	// ErrRandom reports a source of randomness that failed or returned only
	// zeros.
	ErrRandom = errors.New("identity: no randomness")
)
