package hostile

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestCrossedDialGivenUp dials a node that has dialled the peer, with the dial
// that is favoured, and gives it up after the set-up, as a Rust node does that
// saw the other one first. The node keeps its own until the favoured one has
// answered a ping: so it is left with that, and nobody hears of an end. Then the
// peer dials again and stays, and the node closes its own in silence.
//
// conforms: comms 115, 117
func TestCrossedDialGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T, n *target) {
		secret := smallerThan(n)
		l := listen(t, n, secret)
		first := n.enqueue(&peer{secret: secret}, "message")
		theirs := accept(t, l, secret, messaging)
		if out := first.Wait(t.Context()); out.Kind != protocol.Confirmed {
			t.Fatalf("got %v, want confirmed", out)
		}
		want := func(d protocol.Direction) {
			t.Helper()
			synctest.Wait()
			if ref, ok := n.Connection(secret.NodeID()); !ok || ref.Direction != d {
				t.Errorf("got connection %+v, want the %v one", ref, d)
			}
			if gone := happened[actors.PeerDisconnected](n); len(gone) > 0 {
				t.Errorf("got %v, want no word of an end", gone)
			}
		}
		want(protocol.Outbound)

		c := rawDial(t, n.net.Transport(), n.Addr)
		secure := shake(t, c, secret)
		if _, err := secure.Write(listing(correct(t, secret, ownAddress), messaging).Frame()); err != nil {
			t.Fatal(err)
		}
		if _, err := identify.Read(secure, protocol.Tari(protocol.LocalNet)); err != nil {
			t.Fatal(err)
		}
		want(protocol.Inbound)
		time.Sleep(5 * time.Second)
		if theirs.GoAways() > 0 || theirs.Err() != nil {
			t.Error("got the end of the node's own connection before the other one was proven, want it kept")
		}
		c.Close()
		want(protocol.Outbound)
		if out := n.enqueue(&peer{secret: secret}, "one more").Wait(t.Context()); out.Kind != protocol.Confirmed {
			t.Errorf("got %v, want confirmed", out)
		}

		connect(t, n.net.Transport(), n.Addr, secret, messaging)
		time.Sleep(time.Second)
		theirs.endAll()
		time.Sleep(time.Second)
		want(protocol.Inbound)
		if theirs.GoAways() != 1 {
			t.Errorf("got %d GoAways on the node's own connection, want 1", theirs.GoAways())
		}
	})
}

// TestRefusedWhileOneLeaves closes the node's connection to a peer, which does not end its substreams.
// The peer dials in meanwhile, so that this connection waits. Then the node has to be rid of the peer:
// no connection takes the place of the one that ends.
func TestRefusedWhileOneLeaves(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  gamelan.Config
		rid  func(n *target, peer *identity.Secret) error
	}{
		{"a ban", gamelan.Config{}, func(n *target, peer *identity.Secret) error {
			return n.Peers().Ban(n.t.Context(), peer.NodeID(), time.Hour, "a test")
		}},
		{"off the list", gamelan.Config{Admission: gamelan.AdmitListed}, func(n *target, peer *identity.Secret) error {
			return n.Peers().Unadmit(n.t.Context(), peer.PublicKey())
		}},
		{"an offence", gamelan.Config{}, func(n *target, peer *identity.Secret) error {
			offence := base.PeerViolated{Peer: peer.NodeID(), Key: peer.PublicKey(), Err: protocol.ErrViolation}
			n.System().Root.Send(nodetest.Trunk(n).Connectivity(), offence)
			return nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				n := start(t, c.cfg)
				secret := secretOf(1)
				if c.cfg.Admission == gamelan.AdmitListed {
					if err := n.Peers().Admit(t.Context(), secret.PublicKey()); err != nil {
						t.Fatal(err)
					}
				}
				l := listen(t, n, secret)
				n.enqueue(&peer{secret: secret}, "message")
				accept(t, l, secret, messaging)
				synctest.Wait()
				go n.Disconnect(t.Context(), secret.NodeID())
				synctest.Wait()
				before := len(happened[actors.PeerConnected](n))
				waits := connect(t, n.net.Transport(), n.Addr, secret, messaging)
				synctest.Wait()
				if err := c.rid(n, secret); err != nil {
					t.Error(err)
				}
				time.Sleep(10 * time.Second)
				if got := happened[actors.PeerConnected](n)[before:]; len(got) > 0 {
					t.Errorf("got %+v, want no connection announced", got)
				}
				if waits.Err() == nil {
					t.Error("got the connection that waited open, want it closed")
				}
				if got := happened[actors.PeerDisconnected](n); len(got) != before {
					t.Errorf("got %v, want the end of the node's connection", got)
				}
			})
		})
	}
}

// smallerThan is a key whose node id is smaller than that of the node, so that
// its dial is favoured.
func smallerThan(n *target) *identity.Secret {
	for i := 1; ; i++ {
		if s := secretOf(i); s.NodeID().Compare(n.ID()) < 0 {
			return s
		}
	}
}

// endAll ends every substream that the node has opened and ended.
func (p *peer) endAll() {
	for _, id := range p.Opened() {
		if s := p.Stream(id); s.FIN {
			p.must(p.Data(rawpeer.FIN, id, ""))
		}
	}
}

// TestLoser has a peer's dial take the place of the one that the node has made,
// while messages are on their way on that. Nothing more begins there; what has
// begun is finished, for a while, and then it ends without an event.
//
// conforms: comms 117, 146
func TestLoser(t *testing.T) {
	type crossed struct {
		n           *target
		loser       *peer
		win         func() *peer
		first       *gamelan.Pending[gamelan.Outcome] // on the loser, not proven yet
		began       time.Time                         // when the winner came
		since       func() time.Duration
		ended       func(want time.Duration)
		stillThere  func()
		opensNoMore func()
	}
	for name, story := range map[string]func(t *testing.T, x *crossed){
		"messages of the node": func(t *testing.T, x *crossed) {
			second := x.n.enqueue(x.loser, "second") // goes with the first
			synctest.Wait()
			winner := x.win()
			third := x.n.enqueue(x.loser, "third")
			time.Sleep(time.Second)
			for i, p := range []*gamelan.Pending[gamelan.Outcome]{x.first, second} {
				if out := outcome(p); out.Kind != protocol.Confirmed {
					t.Errorf("message %d: got %v, want confirmed", i+1, out)
				}
			}
			s := x.loser.Stream(1)
			if want := optimistic(messaging) + framed("first") + framed("second"); s.Data != want || !s.FIN || s.RST {
				t.Errorf("got %q, FIN %v, RST %v, want %q and FIN", s.Data, s.FIN, s.RST, want)
			}
			if len(winner.Opened()) > 0 {
				t.Error("got a substream on the winner before that on the loser has ended: the order is lost")
			}
			x.stillThere()
			x.loser.endAll()
			time.Sleep(time.Second)
			if out := outcome(third); out.Kind != protocol.Confirmed {
				t.Errorf("message 3: got %v, want confirmed", out)
			}
			if s := winner.Stream(winner.Opened()[0]); s.Data != optimistic(messaging)+framed("third") {
				t.Errorf("got %q on the winner, want the third message", s.Data)
			}
			x.opensNoMore()
			x.ended(time.Second + 5*20*time.Millisecond)
		},
		"a message of the peer": func(t *testing.T, x *crossed) {
			whole := framed("in two parts")
			x.loser.open(2, optimistic(messaging)+whole[:7])
			x.win()
			time.Sleep(200 * time.Millisecond)
			x.loser.endAll()
			time.Sleep(5 * time.Second)
			x.stillThere()
			x.loser.must(x.loser.Data(rawpeer.FIN, 2, whole[7:]))
			time.Sleep(time.Second)
			if got := x.n.heard.Bodies(); len(got) != 1 || got[0] != "in two parts" {
				t.Errorf("got %q, want the message", got)
			}
			x.ended(x.since())
		},
		"a substream that comes a little later": func(t *testing.T, x *crossed) {
			x.win()
			time.Sleep(150 * time.Millisecond)
			x.loser.endAll()
			time.Sleep(3 * 20 * time.Millisecond)
			x.loser.must(x.loser.Data(rawpeer.SYN|rawpeer.FIN, 2, optimistic(messaging)+framed("late")))
			time.Sleep(time.Second)
			if got := x.n.heard.Bodies(); len(got) != 1 || got[0] != "late" {
				t.Errorf("got %q, want the message", got)
			}
		},
		"a peer that never ends": func(t *testing.T, x *crossed) {
			x.win()
			time.Sleep(9 * time.Second)
			x.stillThere()
			time.Sleep(2 * time.Second)
			x.ended(10 * time.Second)
		},
		"a peer that is gone": func(t *testing.T, x *crossed) {
			x.loser.Mute(true)
			x.win()
			time.Sleep(time.Second)
			x.stillThere()
			time.Sleep(2 * time.Second)
			x.ended(2 * time.Second)
			if out := outcome(x.first); out.Kind != protocol.InDoubt {
				t.Errorf("got %v, want in doubt", out)
			}
		},
		"a ban": func(t *testing.T, x *crossed) {
			x.win()
			if err := x.n.Peers().Ban(t.Context(), x.loser.id(), time.Minute, "a test"); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			x.ended(0)
		},
		"disconnected": func(t *testing.T, x *crossed) {
			x.win()
			if err := x.n.Disconnect(t.Context(), x.loser.id()); err != nil {
				t.Error(err)
			}
			time.Sleep(3 * time.Second)
			x.ended(2 * time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *target) {
				secret := smallerThan(n)
				l := listen(t, n, secret)
				x := &crossed{n: n, first: n.enqueue(&peer{secret: secret}, "first")}
				x.loser = accept(t, l, secret, messaging)
				synctest.Wait()
				x.win = func() *peer {
					x.began = time.Now()
					winner := connect(t, n.net.Transport(), n.Addr, secret, messaging)
					synctest.Wait()
					return winner
				}
				x.since = func() time.Duration { return time.Since(x.began) }
				x.stillThere = func() {
					t.Helper()
					if x.loser.Err() != nil || x.loser.GoAways() > 0 {
						t.Errorf("got the loser ended after %v, want it there", x.since())
					}
				}
				x.opensNoMore = func() {
					t.Helper()
					if got := x.loser.Opened(); len(got) != 1 {
						t.Errorf("got substreams %v on the loser, want nothing more than the first", got)
					}
				}
				x.ended = func(want time.Duration) {
					t.Helper()
					frames := x.loser.Frames()
					last := frames[len(frames)-1]
					if x.loser.Err() == nil || last.Type() != rawpeer.TypeGoAway {
						t.Errorf("got the loser open after %v, last %v, want it ended with GoAway", x.since(), last)
					}
					if after := last.At.Sub(x.began); after > want {
						t.Errorf("got the end of the loser after %v, want it after %v", after, want)
					}
					for _, gone := range happened[actors.PeerDisconnected](n) {
						if gone.Reason.Code == actors.CloseTieBreak {
							t.Errorf("got %v, want no word of its end", gone)
						}
					}
				}
				story(t, x)
			})
		})
	}
}

// outcome is that of a message, if it has one.
func outcome(p *gamelan.Pending[gamelan.Outcome]) gamelan.Outcome {
	return p.Result()
}
