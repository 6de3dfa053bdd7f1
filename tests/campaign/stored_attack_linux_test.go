//go:build campaign

package campaign

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// writing opens a substream of the DHT on a connection with a new key, and has do write to it
// until an error or the end.
func (a *attacker) writing(ctx context.Context, do func(i int, secret *identity.Secret) (wire.Envelope, time.Duration, error)) error {
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return err
	}
	s, c, err := a.connectAs(ctx, secret, false, profileID, "gamelan/dht/1")
	if err != nil {
		return err
	}
	defer c.Close()
	defer s.Close()
	st, err := open(s, profileID)
	for i := 0; err == nil && ctx.Err() == nil; i++ {
		var e wire.Envelope
		var rest time.Duration
		if e, rest, err = do(i, secret); err == nil {
			_, err = st.Write(framed(e.Append(nil)))
			pause(ctx, rest)
		}
	}
	return err
}

// storedRequests asks for stored messages far too often, in every form: all, none since an
// hour from now, a limit beyond all, garbage, sealed, and in another's name.
func (a *attacker) storedRequests(ctx context.Context) error {
	key, _, _ := strings.Cut(a.seed, "::")
	to, err := identity.ParsePublicKey(key)
	if err != nil {
		return err
	}
	return a.writing(ctx, func(i int, secret *identity.Secret) (wire.Envelope, time.Duration, error) {
		q := wire.StoredRequest{RequestID: uint32(i), Limit: []uint32{50, 0, 1 << 31}[i%3]}
		if i%4 == 1 {
			q.Since = uint64(time.Now().Add(time.Hour).Unix())
		}
		d := wire.Draft{Type: wire.TypeStoredRequest, Body: wire.AppendBody(nil, q.Append(nil))}
		switch i % 5 {
		case 2:
			d.Body = wire.AppendBody(nil, []byte{0xff, 0xff})
		case 3:
			d.Destination, d.EncryptFor, d.Sign = wire.To(to), to, true
		}
		e, err := wire.Compose(d, secret, rand.Reader)
		return e, 20 * time.Millisecond, err
	})
}

// storedAnswers answers requests for stored messages, also those that nobody made: with what
// nobody asked for, too many, foreign, damaged, empty, the same again, or megabytes.
func (a *attacker) storedAnswers(ctx context.Context) error {
	key, _, _ := strings.Cut(a.seed, "::")
	to, err := identity.ParsePublicKey(key)
	if err != nil {
		return err
	}
	kind := int(time.Now().UnixNano() / 7 % 8)
	return a.writing(ctx, func(i int, secret *identity.Secret) (wire.Envelope, time.Duration, error) {
		part, err := hostileAnswer(kind, i, to, secret)
		if err != nil {
			return wire.Envelope{}, 0, err
		}
		e, err := wire.Compose(wire.Draft{Type: wire.TypeStoredMessages, Body: wire.AppendBody(nil, part)}, secret, rand.Reader)
		return e, 100 * time.Millisecond, err
	})
}

// hostileAnswer returns the part of an answer of a kind.
func hostileAnswer(kind, i int, to identity.PublicKey, secret *identity.Secret) ([]byte, error) {
	r := wire.StoredResponse{RequestID: uint32(i)}
	letters, length, receiver := 1, 100, to
	switch kind {
	case 0:
		return []byte{0xff, 0xff, 0xff}, nil
	case 1: // empty
		return r.Append(nil), nil
	case 2:
		letters = 51
	case 3:
		receiver = secret.PublicKey()
	case 4:
		length = 500_000
	}
	for n := range letters {
		e, err := wire.Compose(wire.Draft{
			Destination: wire.To(receiver), EncryptFor: receiver, Body: wire.AppendBody(nil, wire.DomainHeader{Type: 1225}.Append(nil), make([]byte, length+n)),
		}, secret, rand.Reader)
		if err != nil {
			return nil, err
		}
		at := time.Now().Add(-time.Minute)
		switch kind {
		case 5:
			e.Body[len(e.Body)-1] ^= 1
		case 6:
			at = time.Now().Add(48 * time.Hour)
		}
		r.Messages = append(r.Messages, wire.NewStoredMessage(e, uint64(at.Unix())))
		if kind == 7 {
			r.Messages = append(r.Messages, r.Messages[0])
		}
	}
	return r.Append(nil), nil
}

// storedFlood has the node store messages for ever new receivers.
func (a *attacker) storedFlood(ctx context.Context) error {
	return a.writing(ctx, func(i int, secret *identity.Secret) (wire.Envelope, time.Duration, error) {
		nobody, err := identity.NewSecret(rand.Reader)
		if err != nil {
			return wire.Envelope{}, 0, err
		}
		to := nobody.PublicKey()
		e, err := wire.Compose(wire.Draft{
			Destination: wire.To(to), EncryptFor: to, Body: wire.AppendBody(nil, wire.DomainHeader{Type: 1225}.Append(nil), make([]byte, []int{100, 10_000, 300_000}[i%3])),
		}, secret, rand.Reader)
		return e, 20 * time.Millisecond, err
	})
}
