//go:build campaign

package campaign

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

const plainID, profileID = "gamelan/msg/1", "t/msg/0.1"

// attacker is a client of the wire that keeps to no rule: everything it does is
// done with ever new keys.
type attacker struct {
	seed    string // of the node under attack
	to      ma.Multiaddr
	profile protocol.Profile
}

// attackKind is one of the attacks.
type attackKind struct {
	name string
	at   int // at once
	do   func(ctx context.Context) error
}

// attack runs every attack at once until its standard input ends, and says how
// often it did each.
func attack(seed string) error {
	_, address, _ := strings.Cut(seed, "::")
	to, err := ma.NewMultiaddr(address)
	if err != nil {
		return err
	}
	a := &attacker{seed: seed, to: to, profile: protocol.Tari(protocol.LocalNet)}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	attacks := []attackKind{
		{"plain flood", 2, a.flood(func(i int) int { return 1 << 10 })},
		{"big bodies", 1, a.flood(func(i int) int { return []int{8 << 20, 100, 1 << 20}[i%3] })},
		{"dht flood", 2, a.dhtFlood},
		{"stand still", 4, a.standStill},
		{"half a frame", 2, a.halfFrame},
		{"resets in negotiation", 1, a.resets},
		{"half-open set-ups", 30, a.halfOpen},
		{"crossing dials", 2, a.crossing},
		{"garbage", 2, a.garbage},
		{"churn", 1, a.churn},
		{"calls", 1, a.calls},
		{"relayed bursts", 1, a.relay},
		{"joins", 1, a.announce(true)},
		{"discoveries", 1, a.announce(false)},
		{"bad joins", 1, a.badJoins},
		{"forgeries", 1, a.forgeries},
		{"replays", 1, a.replays()},
		{"peer lists", 2, a.peerLists},
		{"bad peer lists", 1, a.badLists()},
		{"requests for stored messages", 2, a.storedRequests},
		{"answers with stored messages", 4, a.storedAnswers},
		{"messages to store", 1, a.storedFlood},
	}
	if os.Getenv(envWatched) != "" {
		attacks = a.asks()
	}
	if door := os.Getenv(envDoor); door != "" {
		attacks = (&doorAttack{door: door}).attacks()
	}
	if file := os.Getenv(envNetwork); file != "" {
		if attacks, err = a.intrusions(file); err != nil {
			return err
		}
	}
	var wg sync.WaitGroup
	counts := make([]atomic.Uint64, len(attacks))
	for i, k := range attacks {
		for range k.at {
			wg.Go(func() {
				for ctx.Err() == nil {
					within, done := context.WithTimeout(ctx, 20*time.Second)
					if k.do(within) == nil || within.Err() != nil {
						counts[i].Add(1)
					}
					done()
					pause(ctx, 100*time.Millisecond)
				}
			})
		}
	}
	wg.Wait()
	for i, k := range attacks {
		fmt.Printf("%s: %d\n", k.name, counts[i].Load())
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// connect sets up a connection with a new key and answers the multiplexer.
func (a *attacker) connect(ctx context.Context, protocols ...protocol.ID) (*mux.Session, *tcp.Conn, error) {
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	return a.connectAs(ctx, secret, false, protocols...)
}

// connectAs is connect with that key; a connection that is held reads nothing.
func (a *attacker) connectAs(ctx context.Context, secret *identity.Secret, held bool, protocols ...protocol.ID) (*mux.Session, *tcp.Conn, error) {
	c, err := tcp.New(tcp.Options{}).Dial(ctx, a.to)
	if err != nil {
		return nil, nil, err
	}
	claim, err := identity.SignClaim(secret, identity.FeatureNode, [][]byte{ma.StringCast("/ip4/127.0.0.1/tcp/9").Bytes()}, time.Now(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	key, _, _ := strings.Cut(a.seed, "::")
	want, err := identity.ParsePublicKey(key)
	if err != nil {
		return nil, nil, err
	}
	r, err := upgrade.Outbound(ctx, c, upgrade.Config{
		Secret: secret, Profile: a.profile, Hold: held,
		Local: func() identify.Message {
			return identify.Message{Claim: claim, Protocols: protocols, UserAgent: "campaign"}
		},
	}, want)
	if err != nil {
		c.Close()
		return nil, nil, err
	}
	return r.Session, c.(*tcp.Conn), nil
}

// open opens a substream without waiting for an answer.
func open(s *mux.Session, id string) (*mux.Stream, error) {
	st, err := s.Open()
	if err != nil {
		return nil, err
	}
	_, err = st.Write(append([]byte{byte(len(id)), 3}, id...))
	return st, err
}

func framed(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// node is one of the library's that knows the one under attack.
func (a *attacker) node(ctx context.Context) (*gamelan.Node, identity.NodeID, error) {
	n, err := gamelan.Start(ctx, gamelan.Config{Seeds: nil, DHT: &gamelan.DHTConfig{SendPace: 60_000}},
		gamelan.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, identity.NodeID{}, err
	}
	peer, err := n.Peers().AddSeed(ctx, a.seed)
	return n, peer, err
}

// flood sends plain messages as fast as credit allows.
func (a *attacker) flood(size func(i int) int) func(context.Context) error {
	return func(ctx context.Context) error {
		n, peer, err := a.node(ctx)
		if err != nil {
			return err
		}
		defer n.Close(context.WithoutCancel(ctx))
		for i := 0; ctx.Err() == nil; i++ {
			if _, err := n.Submit(ctx, peer, make([]byte, size(i))); err != nil {
				return err
			}
		}
		return nil
	}
}

// dhtFlood sends signed messages to the inbox over the DHT, and some that nothing
// is known of.
func (a *attacker) dhtFlood(ctx context.Context) error {
	n, peer, err := a.node(ctx)
	if err != nil {
		return err
	}
	defer n.Close(context.WithoutCancel(ctx))
	if _, err := n.Dial(ctx, peer); err != nil {
		return err
	}
	for i := 0; ctx.Err() == nil; i++ {
		m := dht.Message{To: dht.Broadcast{}, Sign: true, Type: []int32{1225, 1225, 1225, 99}[i%4], Body: make([]byte, 100+i%1000)}
		if i%100 == 0 {
			m.Body = make([]byte, 1<<20)
		}
		if _, err := n.DHT().Submit(ctx, m); err != nil && !errors.Is(err, actors.ErrOverloaded) {
			return err
		} else if err != nil {
			pause(ctx, 10*time.Millisecond)
		}
	}
	return nil
}

// standStill begins a message and reads and writes nothing more.
func (a *attacker) standStill(ctx context.Context) error {
	s, c, err := a.connect(ctx, plainID, profileID, "gamelan/dht/1")
	if err != nil {
		return err
	}
	defer c.Close()
	defer s.Close()
	for _, id := range []string{plainID, profileID} {
		st, err := open(s, id)
		if err != nil {
			return err
		}
		if _, err := st.Write(framed(make([]byte, 4<<20))[:300<<10]); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// halfFrame ends the connection within a frame of a message, once closed, once reset.
func (a *attacker) halfFrame(ctx context.Context) error {
	s, c, err := a.connect(ctx, plainID)
	if err != nil {
		return err
	}
	st, err := open(s, plainID)
	if err == nil {
		_, err = st.Write(framed(make([]byte, 100_000))[:50_000])
	}
	c.Close()
	return errors.Join(err, s.Close())
}

// resets resets substreams within their negotiation.
func (a *attacker) resets(ctx context.Context) error {
	s, c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	defer s.Close()
	for i := range 5000 {
		st, err := s.Open()
		if err != nil {
			return err
		}
		_, err = st.Write([]byte{13, 3, 'g', 'a'}[:1+i%4])
		if err := errors.Join(err, st.Reset()); err != nil {
			return err
		}
	}
	return nil
}

// halfOpen says the wire byte and nothing more.
func (a *attacker) halfOpen(ctx context.Context) error {
	c, err := tcp.New(tcp.Options{}).Dial(ctx, a.to)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte{0x10})
	pause(ctx, 5*time.Second)
	return err
}

// crossing connects twice at once with the same key, again and again.
func (a *attacker) crossing(ctx context.Context) error {
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return err
	}
	for range 20 {
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				s, c, err := a.connectAs(ctx, secret, false, plainID)
				if err != nil {
					return
				}
				if st, err := open(s, plainID); err == nil {
					_, _ = st.Write(framed([]byte("crossing")))
				}
				pause(ctx, 50*time.Millisecond)
				c.Close()
				s.Close()
			})
		}
		wg.Wait()
	}
	return nil
}

// garbage sends what is no frame, at each level in turn.
func (a *attacker) garbage(ctx context.Context) error {
	junk := make([]byte, 4096)
	_, _ = rand.Read(junk)
	for _, id := range []string{plainID, profileID} {
		s, c, err := a.connect(ctx, plainID, profileID, "gamelan/dht/1")
		if err != nil {
			return err
		}
		if st, err := open(s, id); err == nil {
			_, _ = st.Write(append(framed(junk), framed(nil)...)) // not decodable, but a frame
			_, _ = st.Write([]byte{0xff, 0xff, 0xff, 0xff})       // no frame
		}
		pause(ctx, 100*time.Millisecond)
		_, _ = c.Write(junk) // no cipher text
		c.Close()
		s.Close()
	}
	return nil
}

// churn opens and closes substreams whose protocol is agreed.
func (a *attacker) churn(ctx context.Context) error {
	s, c, err := a.connect(ctx, plainID)
	if err != nil {
		return err
	}
	defer c.Close()
	defer s.Close()
	for i := range 3000 {
		st, err := open(s, plainID)
		if err != nil {
			return err
		}
		if i%3 == 0 {
			_, _ = st.Write(framed([]byte("churn")))
		}
		if err := st.Close(); err != nil {
			return err
		}
	}
	return nil
}

// calls calls services that are not there.
func (a *attacker) calls(ctx context.Context) error {
	n, peer, err := a.node(ctx)
	if err != nil {
		return err
	}
	defer n.Close(context.WithoutCancel(ctx))
	for i := range 200 {
		_, _ = n.RPC().Client(peer, protocol.ID(fmt.Sprint("t/none/", i%3))).Ping(ctx)
	}
	return nil
}

// relay has the node pass bursts on to peers that read nothing.
func (a *attacker) relay(ctx context.Context) error {
	var keys []identity.PublicKey
	for range 4 {
		secret, err := identity.NewSecret(rand.Reader)
		if err != nil {
			return err
		}
		s, c, err := a.connectAs(ctx, secret, true, plainID, profileID, "gamelan/dht/1")
		if err != nil {
			return err
		}
		defer c.Close()
		defer s.Close()
		keys = append(keys, secret.PublicKey())
	}
	n, peer, err := a.node(ctx)
	if err != nil {
		return err
	}
	defer n.Close(context.WithoutCancel(ctx))
	if _, err := n.Dial(ctx, peer); err != nil {
		return err
	}
	for i := range 80 {
		_, err := n.DHT().Submit(ctx, dht.Message{
			To: dht.Propagate{To: keys[i%len(keys)]}, Destination: keys[i%len(keys)],
			Encrypt: true, Type: 1225, Body: make([]byte, 200_000),
		})
		if err != nil && !errors.Is(err, actors.ErrOverloaded) {
			return err
		}
	}
	pause(ctx, 10*time.Second)
	return nil
}

// announce sends joins, or discoveries of the node, of ever new identities.
func (a *attacker) announce(join bool) func(context.Context) error {
	return func(ctx context.Context) error {
		key, _, _ := strings.Cut(a.seed, "::")
		to, err := identity.ParsePublicKey(key)
		if err != nil {
			return err
		}
		s, c, err := a.connect(ctx, profileID, "gamelan/dht/1")
		if err != nil {
			return err
		}
		defer c.Close()
		defer s.Close()
		st, err := open(s, profileID)
		for i := 0; err == nil && ctx.Err() == nil; i++ {
			var e wire.Envelope
			if e, err = announcement(to, join, i); err == nil {
				_, err = st.Write(framed(e.Append(nil)))
			}
		}
		return err
	}
}

// announcement is a join, or a discovery of the holder of a key, of a new identity.
func announcement(to identity.PublicKey, join bool, i int) (wire.Envelope, error) {
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return wire.Envelope{}, err
	}
	at := ma.StringCast(fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", 1+i%9))
	claim, err := identity.SignClaim(secret, identity.FeatureNode, [][]byte{at.Bytes()}, time.Now(), rand.Reader)
	if err != nil {
		return wire.Envelope{}, err
	}
	content := wire.NewAnnouncement(claim, uint64(i))
	d := wire.Draft{
		Type: wire.TypeDiscovery, Destination: wire.To(to), EncryptFor: to,
		Expires: uint64(time.Now().Add(time.Hour).Unix()), Body: wire.AppendBody(nil, content.Append(nil)),
	}
	if join {
		own := secret.PublicKey()
		d.Type, d.Destination, d.EncryptFor, d.Sign = wire.TypeJoin, wire.To(own), identity.PublicKey{}, true
	}
	return wire.Compose(d, secret, rand.Reader)
}

// badJoins sends joins that a peer is banned for, each on a connection of its own.
func (a *attacker) badJoins(ctx context.Context) error {
	for i := 0; ctx.Err() == nil; i++ {
		secret, err := identity.NewSecret(rand.Reader)
		if err != nil {
			return err
		}
		s, c, err := a.connectAs(ctx, secret, false, profileID, "gamelan/dht/1")
		if err != nil {
			return err
		}
		content := [][]byte{nil, []byte("junk"), make([]byte, 900<<10), {10, 1, 1}}[i%4]
		e, err := wire.Compose(wire.Draft{
			Type: wire.TypeJoin, Destination: wire.To(secret.PublicKey()), Sign: true, Body: wire.AppendBody(nil, content),
		}, secret, rand.Reader)
		if st, failed := open(s, profileID); failed == nil && err == nil {
			_, err = st.Write(framed(e.Append(nil)))
		}
		pause(ctx, 100*time.Millisecond)
		c.Close()
		s.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// peerLists asks for peers as often as the node answers.
func (a *attacker) peerLists(ctx context.Context) error {
	n, peer, err := a.node(ctx)
	if err != nil {
		return err
	}
	defer n.Close(context.WithoutCancel(ctx))
	request := wire.GetPeers{N: 500, IncludeClients: true, MaxClaims: 5, MaxAddressesPerClaim: 5}.Append(nil)
	client := n.RPC().Client(peer, protocol.PeersID)
	for ctx.Err() == nil {
		_ = client.Invoke(ctx, 10, true, func(b []byte) ([]byte, error) { return append(b, request...), nil }, func([]byte) error { return nil })
	}
	return nil
}
