package hostile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

// offence is one line of the ban table: what a peer does, and for how long it is
// banned.
type offence struct {
	name string
	do   func(t *testing.T, n *target, secret *identity.Secret)
	ban  time.Duration
}

// offences has a row for every line of the table of spec: comms 11.6.
func offences() (all []offence) {
	for _, c := range identityCases() { // version, time-out, over-long, undecodable, every validation error
		all = append(all, offence{"identity: " + c.name, func(t *testing.T, n *target, secret *identity.Secret) {
			secure := shake(t, rawDial(t, n.net.Transport(), n.Addr), secret)
			if c.frame != nil {
				if _, err := secure.Write(c.frame(t, secret)); err != nil {
					t.Fatal(err)
				}
			}
			if c.closes {
				secure.Close()
			}
			io.Copy(io.Discard, secure)
		}, c.ban})
	}
	speaks := func(opening string) func(*testing.T, *target, *identity.Secret) {
		return func(t *testing.T, n *target, secret *identity.Secret) {
			p := connect(t, n.net.Transport(), n.Addr, secret)
			p.open(1, opening)
			n.disconnected(p.id(), "", nil)
		}
	}
	return append(all,
		offence{"negotiation: unknown flags", speaks(propose(0x80, messaging)), protocol.BanLong},
		offence{"messaging: over-long frame", speaks(optimistic(messaging) + announced(8<<20+1)), protocol.BanMedium},
	)
}

// TestOffences commits every offence of the ban table twice: by a stranger, who is
// banned for what the table says, and by a peer on the allow list, who loses the
// connection and is not banned.
//
// conforms: comms 48, 123
func TestOffences(t *testing.T) {
	for _, o := range offences() {
		t.Run(o.name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				stranger, friend := secretOf(1), secretOf(2)
				n := start(t, gamelan.Config{Allow: []string{friend.NodeID().String()}})
				o.do(t, n, stranger)
				n.banned(stranger.NodeID(), o.ban)
				o.do(t, n, friend)
				n.banned(friend.NodeID(), 0)
				for _, c := range nodetest.Trunk(n).Closed() {
					if c.Reason.Code == "" || c.Reason.By == "" {
						t.Errorf("got close reason %+v, want a code and an initiator", c.Reason)
					}
				}
				connect(t, n.net.Transport(), n.Addr, friend)
				n.serves()
			})
		})
	}
}

// TestBannedAndUnknown dials peers that must not be dialled: the answer comes at
// once, and nothing is tried.
//
// conforms: comms 118
func TestBannedAndUnknown(t *testing.T) {
	bubble(t, func(t *testing.T, n *target) {
		secret := secretOf(1)
		l := listen(t, n, secret)
		defer l.Close()
		began := time.Now()
		if _, err := n.Dial(t.Context(), identity.NodeID{1, 2, 3}); !errors.Is(err, actors.ErrUnknownPeer) {
			t.Errorf("unknown: got %v, want %v", err, actors.ErrUnknownPeer)
		}
		if err := n.Peers().Ban(t.Context(), secret.NodeID(), time.Hour, "a test"); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Dial(t.Context(), secret.NodeID()); !errors.Is(err, actors.ErrBanned) {
			t.Errorf("banned: got %v, want %v", err, actors.ErrBanned)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("got answers after %v, want them at once", took)
		}
		if got := n.Inspection().Peer(secret.NodeID()).Attempts; len(got) > 0 {
			t.Errorf("got %d attempts, want none", len(got))
		}
	})
}

// TestFailuresWhileOffline has the dials of a node that nobody is connected to
// fail: they count against nobody, and nobody is forgotten for them.
//
// conforms: comms 127
func TestFailuresWhileOffline(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := start(t, gamelan.Config{Floor: 1})
		id, err := n.Peers().AddSeed(t.Context(), secretOf(1).PublicKey().String()+"::/memory/60000")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(48 * time.Hour)
		if got := len(n.Inspection().Peer(id).Attempts); got != 32 {
			t.Errorf("got %d attempts, want the peer dialled on and on", got)
		}
		choice := n.Inspection().Peer(id).Choice
		if choice == nil {
			t.Fatal("got no choice remembered")
		}
		if _, r, _ := choice.Rank(id); r.Health.Failures != 0 || !r.Chosen {
			t.Errorf("got %+v, want no failure counted while offline", r)
		}
		if _, ok := n.Peers().Get(id); !ok {
			t.Error("the peer was forgotten because it cannot be reached")
		}
	})
}

// placed is a memory transport whose connections seem to come from IP addresses.
type placed struct {
	*memory.Transport
	mu   sync.Mutex
	from []string // of the next ones; the last stays
}

func (p *placed) place(from ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from = from
}

func (p *placed) Listen(ctx context.Context, a ma.Multiaddr) (transport.Listener, error) {
	l, err := p.Transport.Listen(ctx, a)
	return placedListener{l, p}, err
}

type placedListener struct {
	transport.Listener
	p *placed
}

func (l placedListener) Accept() (transport.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	if len(l.p.from) == 0 {
		return c, nil
	}
	from := l.p.from[0]
	if len(l.p.from) > 1 {
		l.p.from = l.p.from[1:]
	}
	return placedConn{c, ma.StringCast(from + "/tcp/50000")}, nil
}

type placedConn struct {
	transport.Conn
	from ma.Multiaddr
}

func (c placedConn) RemoteMultiaddr() ma.Multiaddr { return c.from }

// TestInboundLimits has connections that say nothing come from one address, from
// one subnet, and from everywhere; others still get in, and the places are free
// when the set-ups have run out of time.
//
// conforms: comms 111; V 8
func TestInboundLimits(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		tr := &placed{Transport: net.Transport()}
		n := &target{t: t, net: net, heard: gamelantest.NewCollector()}
		node, err := gamelan.Start(t.Context(), plainly(gamelan.Config{
			Secret: gamelantest.Secret(1000), Listen: []string{"/memory/1000"}, Floor: gamelan.NoFloor, ExemptSources: []string{"9.9.0.0/16"},
		}), quiet, gamelan.WithHandler(n.heard.New), gamelan.WithSystem(net.System), gamelan.WithTransport(tr))
		if err != nil {
			t.Fatal(err)
		}
		defer node.Close(context.Background())
		n.Node = &gamelantest.Node{Node: node, Number: 1000, Addr: ma.StringCast("/memory/1000"), Transport: tr.Transport}
		n.watch()
		refused := func(want int, limit string) {
			t.Helper()
			synctest.Wait()
			got := 0
			all := happened[actors.InboundRejected](n)[n.rejections:]
			n.rejections += len(all)
			for _, r := range all {
				if r.Stage == "limit" {
					got++
					if e, ok := errors.AsType[*protocol.LimitError](r.Err); !ok || e.Name != limit || !errors.Is(r.Err, actors.ErrOverloaded) {
						t.Errorf("got %v, want the limit %s", r.Err, limit)
					}
				}
			}
			if got != want {
				t.Errorf("%s: got %d connections refused, want %d", limit, got, want)
			}
		}
		hang := func(count int, from ...string) {
			t.Helper()
			tr.place(from...)
			for range count {
				rawDial(t, net.Transport(), n.Addr)
				synctest.Wait()
			}
		}
		over := func() { time.Sleep(20 * time.Second); refused(0, "") }

		hang(10, "/ip4/8.8.8.8")
		refused(6, "MaxSetupsPerSource")
		over()
		hang(10, "/ip6/2606:4700::1")
		refused(6, "MaxSetupsPerSource")
		over()
		var subnet, everywhere []string
		for i := range 30 {
			subnet = append(subnet, fmt.Sprintf("/ip4/8.8.8.%d", i))
		}
		hang(30, subnet...)
		refused(14, "MaxSetupsPerSubnet")
		over()
		for i := range 120 {
			everywhere = append(everywhere, fmt.Sprintf("/ip4/8.%d.8.8", i))
		}
		hang(120, everywhere...)
		refused(20, "MaxSetups")
		over()
		hang(50, "/ip4/127.0.0.1") // as what comes through our own onion service
		refused(0, "")
		over()
		hang(50, "/ip4/9.9.9.9")
		refused(0, "")
		over()

		// The same for connections that are set up.
		tr.place("/ip4/8.8.8.8")
		var peers []*peer
		for i := range 32 {
			peers = append(peers, connect(t, net.Transport(), n.Addr, secretOf(100+i)))
			synctest.Wait()
		}
		hang(3, "/ip4/8.8.8.8")
		refused(3, "MaxInboundPerSource")
		tr.place("/ip4/8.9.8.8")
		other := connect(t, net.Transport(), n.Addr, secretOf(200))
		n.stillConnected(other, 1)
		peers[0].hangUp()
		time.Sleep(5 * time.Second)
		tr.place("/ip4/8.8.8.8")
		n.stillConnected(connect(t, net.Transport(), n.Addr, secretOf(201)), 1)
		for _, e := range happened[actors.PeerBanned](n) {
			if !strings.HasPrefix(e.Reason, "a test") {
				t.Errorf("got %s banned for %q, want nobody", e.Peer, e.Reason)
			}
		}
	})
}

// TestFlapping has one peer connect and leave again and again: nobody is banned,
// and nothing is left behind.
func TestFlapping(t *testing.T) {
	bubble(t, func(t *testing.T, n *target) {
		for range 200 {
			p := connect(t, n.net.Transport(), n.Addr, secretOf(1))
			p.hangUp()
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		if got := len(n.Connections()); got != 0 {
			t.Errorf("got %d connections, want none", got)
		}
		closed := nodetest.Trunk(n).Closed()
		for _, c := range closed {
			if c.Reason.Code != actors.CloseEnded || c.Reason.By != "peer" {
				t.Errorf("got %v, want every connection ended by the peer", c.Reason)
			}
		}
		if len(closed) != 200 {
			t.Errorf("got %d closed connections remembered, want 200", len(closed))
		}
		n.banned(secretOf(1).NodeID(), 0)
	})
}
