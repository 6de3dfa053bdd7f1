package wire

import "errors"

// Errors of the decoders. Those of the first group deserve no ban, because peers of
// other releases may send such messages in good faith (spec: dht 2.3).
var (
	// ErrEnvelope reports bytes that are not an encoded envelope.
	ErrEnvelope = errors.New("dht: undecodable envelope")
	// ErrNoHeader reports an envelope without header.
	ErrNoHeader = errors.New("dht: no header")
	// ErrDestination reports a header without destination, or with a key
	// that is not a canonical point.
	ErrDestination = errors.New("dht: bad destination")
	// ErrEphemeralKey reports an ephemeral key that is not a canonical point.
	ErrEphemeralKey = errors.New("dht: bad ephemeral key")
	// ErrVersion reports an unknown protocol version.
	ErrVersion = errors.New("dht: unknown version")
	// ErrType reports an unknown message type.
	ErrType = errors.New("dht: unknown message type")
	// ErrFlags reports unknown flag bits.
	ErrFlags = errors.New("dht: unknown flags")

	// ErrBody reports a clear body that does not decode or has too many parts.
	ErrBody = errors.New("dht: undecodable body")
	// ErrDecryption reports a message encrypted for us that does not decrypt or
	// holds no body. It does not tell which step failed (spec: dht 3.5).
	ErrDecryption = errors.New("dht: cannot be decrypted")

	// ErrSemantics reports an encrypted message without destination key,
	// ephemeral key, signature or body. The peer that sent it is banned, because
	// every relay can check this (spec: dht 3.5).
	ErrSemantics = errors.New("dht: encrypted message lacks what it needs")
	// ErrSignature reports a signature that does not decode or does not
	// verify. The peer that sent it is banned, for the same reason.
	ErrSignature = errors.New("dht: bad signature")
	// ErrSignatureBytes reports, together with [ErrSignature], a signature whose
	// bytes are no encoded message at all.
	ErrSignatureBytes = errors.New("undecodable")
	// ErrTooManyItems reports, together with [ErrBody], content with more than
	// [MaxItems] items.
	ErrTooManyItems = errors.New("too many items")
)
