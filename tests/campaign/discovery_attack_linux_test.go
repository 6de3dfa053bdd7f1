//go:build campaign

package campaign

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// replays sends the same valid joins and discoveries of others over one connection after
// another, also with one more field behind their signatures.
func (a *attacker) replays() func(context.Context) error {
	var captured [][]byte
	return func(ctx context.Context) error {
		if captured == nil {
			key, _, _ := strings.Cut(a.seed, "::")
			to, err := identity.ParsePublicKey(key)
			if err != nil {
				return err
			}
			for i := range 20 {
				e, err := announcement(to, i%2 == 0, i)
				if err != nil {
					return err
				}
				captured = append(captured, e.Append(nil))
			}
		}
		s, c, err := a.connect(ctx, profileID, "gamelan/dht/1")
		if err != nil {
			return err
		}
		defer c.Close()
		defer s.Close()
		st, err := open(s, profileID)
		for i := 0; err == nil && i < 2000 && ctx.Err() == nil; i++ {
			b := captured[i%len(captured)]
			if i%3 == 0 { // field 1000, a number
				b = binary.AppendUvarint(append(b[:len(b):len(b)], 0xc0, 0x3e), uint64(i))
			}
			_, err = st.Write(framed(b))
		}
		return err
	}
}

// forgeries sends joins and discoveries that are not what they say, each on a connection of
// its own: with a wrong signature, with another's claim, with a claim that was changed, and
// with a claim that is dated ahead.
func (a *attacker) forgeries(ctx context.Context) error {
	key, _, _ := strings.Cut(a.seed, "::")
	to, err := identity.ParsePublicKey(key)
	if err != nil {
		return err
	}
	for i := 0; ctx.Err() == nil; i++ {
		err := a.once(ctx, func(secret *identity.Secret) (wire.Envelope, error) {
			other, err := identity.NewSecret(rand.Reader)
			if err != nil {
				return wire.Envelope{}, err
			}
			author, dated := secret, time.Now()
			switch i % 4 {
			case 1:
				author = other
			case 3:
				dated = dated.Add(48 * time.Hour)
			}
			at := ma.StringCast("/ip4/127.0.0.1/tcp/9")
			claim, err := identity.SignClaim(author, identity.FeatureNode, [][]byte{at.Bytes()}, dated, rand.Reader)
			if err != nil {
				return wire.Envelope{}, err
			}
			if i%4 == 2 {
				claim.Addresses = [][]byte{ma.StringCast("/ip4/127.0.0.1/tcp/10").Bytes()}
			}
			content := wire.NewAnnouncement(claim, uint64(i))
			d := wire.Draft{Type: wire.TypeJoin, Destination: wire.To(secret.PublicKey()), Sign: true, Body: wire.AppendBody(nil, content.Append(nil))}
			if i%8 >= 4 {
				d.Type, d.Destination, d.EncryptFor, d.Sign = wire.TypeDiscovery, wire.To(to), to, false
			}
			e, err := wire.Compose(d, secret, rand.Reader)
			if err == nil && i%4 == 0 && len(e.Header.Signature) > 0 {
				e.Header.Signature[len(e.Header.Signature)-1] ^= 1
			}
			return e, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// once sends one message with a new key.
func (a *attacker) once(ctx context.Context, compose func(*identity.Secret) (wire.Envelope, error)) error {
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return err
	}
	e, err := compose(secret)
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
	if err == nil {
		_, err = st.Write(framed(e.Append(nil)))
	}
	pause(ctx, 100*time.Millisecond)
	return err
}

// badLists connects as a node that hands out peers, and answers each request in one of these
// ways: not at all, an item a second, thousands of items that are right, the same item for
// ever, and items that are none.
func (a *attacker) badLists() func(context.Context) error {
	n := 0
	return func(ctx context.Context) error {
		n++
		s, c, err := a.connect(ctx, profileID, "gamelan/dht/1", protocol.PeersID)
		if err != nil {
			return err
		}
		defer s.Close()
		defer context.AfterFunc(ctx, func() { c.Close() })()
		defer c.Close()
		for {
			st, err := s.Accept()
			if err != nil {
				return err
			}
			go func() {
				_ = answerList(ctx, st, n%5)
				st.Close()
			}()
		}
	}
}

func answerList(ctx context.Context, st *mux.Stream, kind int) error {
	id, err := negotiate.Accept(st, 5, func(id protocol.ID) bool { return id == protocol.PeersID || id == profileID })
	if err != nil {
		return err
	}
	if id != protocol.PeersID {
		_, err := io.Copy(io.Discard, st)
		return err
	}
	if _, err := readFrame(st); err != nil {
		return err
	}
	if _, err := st.Write(framed(onecall.AppendAccepted(nil))); err != nil {
		return err
	}
	body, err := readFrame(st)
	if err != nil {
		return err
	}
	request, err := onecall.DecodeRequest(body)
	if err != nil {
		return err
	}
	var item []byte
	for i := 0; ctx.Err() == nil; i++ {
		switch {
		case kind == 0:
			<-ctx.Done()
			return nil
		case kind == 4:
			item = make([]byte, 1000)
			_, _ = rand.Read(item)
		case item == nil || kind < 3:
			if item, err = listed(i); err != nil {
				return err
			}
		}
		if _, err := st.Write(onecall.AppendResponse(nil, onecall.Response{ID: request.ID, Payload: item})); err != nil {
			return err
		}
		if kind == 1 {
			pause(ctx, time.Second)
		}
	}
	return nil
}

// listed is an item of a list: a node that nobody has heard of.
func listed(i int) ([]byte, error) {
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return nil, err
	}
	at := ma.StringCast(fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", 1+i%9))
	claim, err := identity.SignClaim(secret, identity.FeatureNode, [][]byte{at.Bytes()}, time.Now(), rand.Reader)
	if err != nil {
		return nil, err
	}
	info := wire.NewPeerInfo(secret.PublicKey(), claim)
	return info.Append(nil), nil
}

func readFrame(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > 1<<20 {
		return nil, fmt.Errorf("a frame of %d bytes", n)
	}
	body := make([]byte, n)
	_, err := io.ReadFull(r, body)
	return body, err
}
