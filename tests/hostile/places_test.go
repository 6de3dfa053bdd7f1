package hostile

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// street is a target to which connections come from IP addresses.
type street struct {
	*target
	tr       *placed
	dialling sync.Mutex
	entered  chan struct{} // one for each connection that the node accepts
	stop     chan struct{} // closed when the attack is over
	attack   sync.WaitGroup
}

// onStreet runs a test against a node in virtual time.
func onStreet(t *testing.T, cfg gamelan.Config, test func(t *testing.T, s *street), opts ...gamelan.Option) {
	t.Helper()
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		tr := &placed{Transport: net.Transport()}
		s := &street{target: &target{t: t, net: net, heard: gamelantest.NewCollector()}, tr: tr, entered: make(chan struct{}), stop: make(chan struct{})}
		cfg.Secret, cfg.Listen, cfg.Floor = gamelantest.Secret(1000), []string{"/memory/1000"}, gamelan.NoFloor
		opts = append([]gamelan.Option{
			quiet, gamelan.WithHandler(s.heard.New), gamelan.WithSystem(net.System), gamelan.WithTransport(streetTransport{tr, s.entered}),
		}, opts...)
		node, err := gamelan.Start(t.Context(), plainly(cfg), opts...)
		if err != nil {
			t.Fatal(err)
		}
		defer node.Close(context.Background())
		s.Node = &gamelantest.Node{Node: node, Number: 1000, Addr: ma.StringCast("/memory/1000"), Transport: tr.Transport}
		s.watch()
		defer s.attack.Wait()
		defer close(s.stop)
		test(t, s)
	})
}

// streetTransport says when a connection was accepted.
type streetTransport struct {
	*placed
	entered chan struct{}
}

func (tr streetTransport) Listen(ctx context.Context, a ma.Multiaddr) (transport.Listener, error) {
	l, err := tr.placed.Listen(ctx, a)
	return streetListener{l, tr.entered}, err
}

type streetListener struct {
	transport.Listener
	entered chan struct{}
}

func (l streetListener) Accept() (transport.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.entered <- struct{}{}
	}
	return c, err
}

// comes dials the node from an address.
func (s *street) comes(from string) transport.Conn {
	s.dialling.Lock()
	defer s.dialling.Unlock()
	s.tr.place(from)
	c, err := s.tr.Dial(context.Background(), s.Addr)
	if err != nil {
		s.t.Error(err)
		return nil
	}
	<-s.entered
	return c
}

// attacker comes again and again from an address, a moment after its connection
// has ended, and does the same with each.
func (s *street) attacker(from string, pause time.Duration, do func(c transport.Conn)) {
	s.attack.Go(func() {
		for {
			if c := s.comes(from); c != nil {
				over := make(chan struct{})
				go func() {
					defer close(over)
					do(c)
					io.Copy(io.Discard, c)
				}()
				select {
				case <-over:
				case <-s.stop:
				}
				c.Close()
				<-over
			}
			select {
			case <-s.stop:
				return
			case <-time.After(pause):
			}
		}
	})
}

// guest sets up one connection as an honest peer does that is 100 ms away, and
// keeps it open until leave. The error says why it got none.
func (s *street) guest(from string, secret *identity.Secret) (leave func(), err error) {
	c := s.comes(from)
	if c == nil {
		return nil, net.ErrClosed
	}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	far := slowConn{c, 100 * time.Millisecond}
	secure, err := noise.Client(far, noise.Config{Static: secret, Prefix: []byte{wireByte}})
	if err != nil {
		return nil, err
	}
	if _, err := secure.Write(correct(s.t, secret, ownAddress).Frame()); err != nil {
		return nil, err
	}
	if _, err := identify.Read(secure, protocol.Tari(protocol.LocalNet)); err != nil {
		return nil, err
	}
	synctest.Wait()
	if _, ok := s.Connection(secret.NodeID()); !ok {
		return nil, io.ErrUnexpectedEOF
	}
	return func() { c.Close() }, nil
}

// guests has 40 honest peers come while the attack goes on; at least 38 must get
// in.
func (s *street) guests(from string) {
	s.t.Helper()
	in := 0
	var last error
	for i := range 40 {
		time.Sleep(237 * time.Millisecond)
		leave, err := s.guest(from, secretOf(5000+i))
		if err != nil {
			last = err
			continue
		}
		in++
		time.Sleep(10 * time.Millisecond)
		leave()
	}
	if in < 38 {
		s.t.Errorf("got %d of 40 fresh dials set up, want at least 38; the last error: %v", in, last)
	}
}

// halfOpen are ways to hold a place without proving who one is.
var halfOpen = map[string]func(c transport.Conn){
	"nothing said": func(transport.Conn) {},
	"one byte a second": func(c transport.Conn) {
		point := secretOf(1).PublicKey()
		script(c, time.Second, false, single(append([]byte{wireByte}, noiseFrame(point[:])...))...)
	},
	"nothing after message 1": func(c transport.Conn) {
		point := secretOf(1).PublicKey()
		c.Write(append([]byte{wireByte}, noiseFrame(point[:])...))
	},
}

// TestHalfOpenFromTor has set-ups that do not go on hold every place, all from
// loopback, where what comes through a Tor service arrives from: honest peers
// from there, and from elsewhere, still get in.
//
// conforms: V 8
func TestHalfOpenFromTor(t *testing.T) {
	for name, do := range halfOpen {
		for _, from := range []string{"/ip4/127.0.0.1", "/ip4/9.9.9.9"} {
			t.Run(name+", honest from "+from, func(t *testing.T) {
				onStreet(t, gamelan.Config{}, func(t *testing.T, s *street) {
					for range 110 {
						s.attacker("/ip4/127.0.0.1", time.Second, do)
					}
					time.Sleep(4 * time.Second)
					s.guests(from)
					if got := s.Inspection().Node(t.Context()).Places; got.Setups > got.MaxSetups || got.Preempted < 38 {
						t.Errorf("got %+v, want at most the limit and 38 that gave way", got)
					}
				})
			})
		}
	}
}

// TestHalfOpenFromManySources does the same from 28 addresses in 7 networks, each
// of which keeps to the limits of one.
//
// conforms: V 8
func TestHalfOpenFromManySources(t *testing.T) {
	for name, do := range halfOpen {
		t.Run(name, func(t *testing.T) {
			onStreet(t, gamelan.Config{}, func(t *testing.T, s *street) {
				for i := range 28 {
					for range 4 {
						s.attacker(fmt.Sprintf("/ip4/8.8.%d.%d", i%7, i), 5*time.Millisecond, do)
					}
				}
				time.Sleep(4 * time.Second)
				s.guests("/ip4/9.9.9.9")
			})
		})
	}
}

// TestIdleIdentities has idle identities hold every place for inbound connections:
// fresh honest peers replace them. Nobody who was of use is replaced: who sent a
// message, opened a substream to a user's actor, or is held.
//
// conforms: comms 125; V 8
func TestIdleIdentities(t *testing.T) {
	const places = 60
	k := new(keeper)
	onStreet(t, gamelan.Config{MaxInbound: places}, func(t *testing.T, s *street) {
		come := func(i int) *peer {
			c := s.comes("/ip4/127.0.0.1")
			p := &peer{t: t, secret: secretOf(i), raw: c, conn: shake(t, c, secretOf(i))}
			p.exchange(nil)
			return p
		}
		sends, streams, held := come(1), come(2), come(3)
		sends.open(1, optimistic(messaging)+framed("message"))
		streams.open(1, optimistic(custom))
		defer s.Protect(held.id(), "test")()
		for i := range places - 3 {
			idle := come(100 + i)
			if i%2 == 0 {
				idle.open(1, optimistic(messaging)) // and nothing on it
			}
		}
		synctest.Wait()
		if _, err := s.guest("/ip4/127.0.0.1", secretOf(99)); err == nil {
			t.Error("got a place at once, want it refused: nobody is idle for 30 s, and no source has more")
		}
		time.Sleep(time.Minute)
		in := 0
		for i := range 40 {
			leave, err := s.guest(fmt.Sprintf("/ip4/9.9.%d.9", i), secretOf(5000+i))
			if err == nil {
				in++
				defer leave()
			}
		}
		if in < 38 {
			t.Errorf("got %d of 40 fresh dials set up, want at least 38", in)
		}
		for i, p := range []*peer{sends, streams, held} {
			if _, ok := s.Connection(p.id()); !ok {
				t.Errorf("peer %d that was of use was replaced", i)
			}
		}
		got := s.Inspection().Node(t.Context()).Places
		if got.Replaced < 38 || got.Inbound > places {
			t.Errorf("got %+v, want some replaced and no more than %d", got, places)
		}
	}, gamelan.WithProtocol(custom, k.New))
}

// TestUsefulIdentities has identities of one source hold every place, each of which has sent a
// message: fresh honest peers of other sources replace them, and an honest one from before stays.
//
// conforms: V 8, 39
func TestUsefulIdentities(t *testing.T) {
	const places, fresh = 60, 20
	for _, from := range []string{"/ip4/127.0.0.1", "/ip4/6.6.6.6"} {
		t.Run(from, func(t *testing.T) {
			onStreet(t, gamelan.Config{MaxInbound: places, MaxInboundPerSource: places, MaxSetupRatePerSource: 1000}, func(t *testing.T, s *street) {
				speaks := func(from string, i int) *peer {
					c := s.comes(from)
					p := &peer{t: t, secret: secretOf(i), raw: c, conn: shake(t, c, secretOf(i))}
					p.exchange(nil)
					p.open(1, optimistic(messaging)+framed("message"))
					return p
				}
				honest := speaks("/ip4/8.8.8.8", 1)
				for i := range places - 1 {
					speaks(from, 100+i)
				}
				synctest.Wait()
				for i := range fresh {
					leave, err := s.guest(fmt.Sprintf("/ip4/9.9.%d.9", i), secretOf(5000+i))
					if err != nil {
						t.Fatalf("fresh peer %d: %v", i, err)
					}
					defer leave()
				}
				if _, ok := s.Connection(honest.id()); !ok {
					t.Error("the honest peer of before was replaced")
				}
				if got := s.Inspection().Node(t.Context()).Places; got.Replaced != fresh || got.Inbound > places {
					t.Errorf("got %+v, want %d replaced and no more than %d", got, fresh, places)
				}
			})
		})
	}
}
