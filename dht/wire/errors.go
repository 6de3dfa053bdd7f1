package wire

import "errors"

// Why a message is refused. None of the first group is worth a ban: peers of
// another release may send such messages in good faith (spec: dht 2.3).
var (
	// ErrEnvelope reports bytes that are no envelope.
	ErrEnvelope = errors.New("dht: undecodable envelope")
	// ErrNoHeader reports an envelope without header.
	ErrNoHeader = errors.New("dht: no header")
	// ErrDestination reports a header without destination, or with a key
	// that is not a canonical point.
	ErrDestination = errors.New("dht: bad destination")
	// ErrEphemeralKey reports an ephemeral key that is not a canonical point.
	ErrEphemeralKey = errors.New("dht: bad ephemeral key")
	// ErrVersion reports a protocol version that does not exist.
	ErrVersion = errors.New("dht: unknown version")
	// ErrType reports a message type that does not exist.
	ErrType = errors.New("dht: unknown message type")
	// ErrFlags reports flag bits that do not exist.
	ErrFlags = errors.New("dht: unknown flags")

	// ErrBody reports a clear body that is not one, or has too many parts.
	ErrBody = errors.New("dht: undecodable body")
	// ErrDecryption reports a message sealed for us that does not open, or
	// holds no body. Which of the steps failed is not told (spec: dht 3.5).
	ErrDecryption = errors.New("dht: cannot be decrypted")

	// ErrSemantics reports an encrypted message without destination key,
	// ephemeral key, signature or body. The peer that sent it is banned:
	// every relay can see it (spec: dht 3.5).
	ErrSemantics = errors.New("dht: encrypted message lacks what it needs")
	// ErrSignature reports a signature that does not decode or does not
	// verify. The peer that sent it is banned, for the same reason.
	ErrSignature = errors.New("dht: bad signature")
)
