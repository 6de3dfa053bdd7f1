package wire

import (
	"errors"
	"fmt"
	"io"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Draft is a message of our own before it is encrypted and signed.
type Draft struct {
	Version     uint32 // 0 means [Version]
	Destination Destination
	Type        MessageType
	Tag         uint64 // for tracing
	Expires     uint64 // Unix seconds; 0 means never
	Body        []byte // of [AppendBody]

	// EncryptFor is the key that the body is encrypted for, which must be the
	// destination's. The zero key means a clear message.
	EncryptFor identity.PublicKey
	// Sign signs a clear message with the sender's key. Joins and discovery
	// responses are always signed with it, encrypted messages with a masked key.
	Sign bool
}

// Compose returns the encrypted and signed message (spec: dht 3.4). It reads 64 bytes of
// random for the ephemeral key of an encrypted message, then 64 for the nonce of a
// signature. It fails for a message that other nodes would refuse.
func Compose(d Draft, s *identity.Secret, random io.Reader) (Envelope, error) {
	e := Envelope{
		Header: Header{
			Version: d.Version, Destination: d.Destination, Type: d.Type, Tag: d.Tag, Expires: d.Expires,
		},
		Body: d.Body,
	}
	if e.Header.Version == 0 {
		e.Header.Version = Version
	}
	if err := checkOwn(&e); err != nil {
		return Envelope{}, err
	}
	signer := s
	if !d.EncryptFor.IsZero() {
		if !d.Destination.Is(d.EncryptFor) {
			return Envelope{}, fmt.Errorf("encrypted for %v and addressed to %v; both must be the same key", d.EncryptFor, d.Destination)
		}
		if len(d.Body) == 0 {
			return Envelope{}, errors.New("encrypted without a body")
		}
		ephemeral, err := identity.NewSecret(random)
		if err != nil {
			return Envelope{}, fmt.Errorf("ephemeral key: %w", err)
		}
		public := ephemeral.PublicKey()
		e.Header.Ephemeral, e.Header.Flags = public[:], Encrypted
		if e.Body, signer, err = seal(s, ephemeral, d.EncryptFor, d.Body); err != nil {
			return Envelope{}, err
		}
	} else if !d.Sign && d.Type != TypeJoin && d.Type != TypeDiscoveryResponse {
		return e, nil
	}
	sig, err := Sign(signer, e.Binding(), random)
	if err != nil {
		return Envelope{}, err
	}
	e.Header.Signature = sig.Append(make([]byte, 0, signatureLen))
	return e, nil
}

// checkOwn reports whether other nodes would refuse the clear message.
func checkOwn(e *Envelope) error {
	var space [maxHeader + maxPrefix]byte
	header := Envelope{Header: e.Header} // decoding does not depend on the body
	if _, err := DecodeEnvelope(header.Append(space[:0])); err != nil {
		return err
	}
	_, err := splitBody(e.Body, new([MaxParts][]byte))
	return err
}

// CheckSemantics reports an encrypted message that lacks its destination key,
// ephemeral key, signature or body (spec: dht 3.5). The error is
// [ErrSemantics]; clear messages pass.
func (e *Envelope) CheckSemantics() error {
	h := &e.Header
	switch {
	case !h.Encrypted():
		return nil
	case !h.Destination.Known:
		return fmt.Errorf("%w: no destination key", ErrSemantics)
	case len(h.Ephemeral) == 0:
		return fmt.Errorf("%w: no ephemeral key", ErrSemantics)
	case len(h.Signature) == 0:
		return fmt.Errorf("%w: no signature", ErrSemantics)
	case len(e.Body) == 0:
		return fmt.Errorf("%w: no body", ErrSemantics)
	}
	return nil
}

// VerifyOrigin verifies the message's signature and returns the signer: the author of a
// clear message, the author's masked key of an encrypted message, and the zero key if
// there is no signature. The error is [ErrSignature].
func (e *Envelope) VerifyOrigin() (identity.PublicKey, error) { return e.verifyOrigin(nil) }

// verifyOrigin is VerifyOrigin with the keys that v has cached; nil is no cache. A
// masked key is not cached, because each is used for one message.
func (e *Envelope) verifyOrigin(v *Verifier) (identity.PublicKey, error) {
	if len(e.Header.Signature) == 0 {
		return identity.PublicKey{}, nil
	}
	sig, err := DecodeSignature(e.Header.Signature)
	if err != nil {
		return identity.PublicKey{}, err
	}
	if e.Header.Encrypted() {
		v = nil
	}
	if err := sig.verify(e.Binding(), v); err != nil {
		return identity.PublicKey{}, err
	}
	return sig.Signer, nil
}
