package hostile

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/transport"
)

// connected attacks a node as a peer that is connected, in virtual time.
func connected(t *testing.T, attack func(t *testing.T, n *target, p *peer), opts ...gamelan.Option) {
	t.Helper()
	bubble(t, func(t *testing.T, n *target) {
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1))
		synctest.Wait()
		attack(t, n, p)
	}, opts...)
}

// listening is connected with a peer that says it takes messages, so that the
// node's messages leave without its answer.
func listening(t *testing.T, attack func(t *testing.T, n *target, p *peer)) {
	t.Helper()
	bubble(t, func(t *testing.T, n *target) {
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1), messaging)
		synctest.Wait()
		attack(t, n, p)
	})
}

// id is the peer's.
func (p *peer) id() (id [13]byte) { return p.secret.NodeID() }

// stillConnected checks that nothing has happened to the connection, and that
// a message of the peer arrives on it.
func (n *target) stillConnected(p *peer, stream uint32) {
	n.t.Helper()
	if err := p.Err(); err != nil {
		n.t.Fatalf("the connection has ended: %v, events %v", err, happened[actors.PeerDisconnected](n))
	}
	body := fmt.Sprintf("on stream %d", stream)
	p.open(stream, optimistic(messaging)+framed(body))
	synctest.Wait()
	if all := n.heard.Bodies(); len(all) == 0 || all[len(all)-1] != body {
		n.t.Errorf("message on the same connection: got %.200q, want %q last", all, body)
	}
	n.banned(p.id(), 0)
}

// TestNegotiationLimit has a peer open substreams and not finish the
// negotiation: each is dropped after ten seconds, whatever it did meanwhile;
// others and the connection go on.
//
// conforms: comms 77
func TestNegotiationLimit(t *testing.T) {
	for _, c := range []struct {
		name string
		say  func(p *peer)
	}{
		{"nothing", func(p *peer) { p.must(p.Send(rawpeer.TypeWindow, rawpeer.SYN, 1, 0)) }},
		{"half a frame", func(p *peer) { p.open(1, propose(0, messaging)[:5]) }},
		{"one byte per second", func(p *peer) {
			p.open(1, "")
			go func() {
				for _, b := range propose(0, strings.Repeat("x", 40)) {
					time.Sleep(time.Second)
					p.Data(0, 1, string(b))
				}
			}()
		}},
		{"a proposal per second", func(p *peer) {
			p.open(1, "")
			go func() {
				for range 4 { // the fifth would be the last
					time.Sleep(2 * time.Second)
					p.Data(0, 1, propose(0, "t/unknown/1"))
				}
			}()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			connected(t, func(t *testing.T, n *target, p *peer) {
				began := time.Now()
				c.say(p)
				time.Sleep(9 * time.Second)
				if s := p.Stream(1); s.RST {
					t.Errorf("reset after %v, want 10s", s.End.Sub(began))
				}
				p.open(3, optimistic(messaging)+framed("meanwhile"))
				synctest.Wait()
				if got := n.heard.Len(); got != 1 {
					t.Errorf("meanwhile: got %d messages, want 1", got)
				}
				time.Sleep(40 * time.Second)
				if s := p.Stream(1); !s.RST || s.End.Sub(began) != 10*time.Second {
					t.Errorf("got reset %v after %v, want one after 10s", s.RST, s.End.Sub(began))
				}
				n.stillConnected(p, 5)
			})
		})
	}
}

// TestProposalLimit has the node propose a protocol to a peer that says
// nothing, or too little: after ten seconds the node gives up, though no reset
// arrives, and the connection goes on.
//
// conforms: comms 77, 150
func TestProposalLimit(t *testing.T) {
	for _, answer := range []string{"", "\x09"} {
		connected(t, func(t *testing.T, n *target, p *peer) {
			if answer != "" {
				go func() {
					time.Sleep(9 * time.Second)
					p.Data(rawpeer.ACK, p.Opened()[0], answer)
				}()
			}
			began := time.Now()
			_, err := n.OpenStream(t.Context(), p.id(), custom)
			if took := time.Since(began); took != 10*time.Second || !transport.IsTimeout(err) {
				t.Errorf("answer %q: got %v after %v, want a timeout after 10s", answer, err, took)
			}
			synctest.Wait()
			ids := p.Opened()
			if len(ids) != 1 {
				t.Fatalf("got streams %v of the node, want one", ids)
			}
			if s := p.Stream(ids[0]); !s.RST || s.Data != propose(0, custom) {
				t.Errorf("got %q and reset %v, want the proposal %q and a reset", s.Data, s.RST, propose(0, custom))
			}
			n.stillConnected(p, 1)
		})
	}
}

// TestUnknownFlags proposes, and answers, with flags that do not exist.
//
// conforms: comms 76
func TestUnknownFlags(t *testing.T) {
	for _, flags := range []byte{0x08, 0x80, 0x09, 0x10, 0xff} {
		t.Run(fmt.Sprintf("%#x", flags), func(t *testing.T) {
			check := func(t *testing.T, n *target, p *peer) {
				why := n.disconnected(p.id(), actors.CloseViolation, negotiate.ErrUnknownFlags)
				if !strings.Contains(why.String(), "negotiation") {
					t.Errorf("got %v, want the stage in it", why)
				}
				n.banned(p.id(), 2*time.Hour)
				if p.Err() == nil {
					t.Error("the connection is open")
				}
			}
			t.Run("proposed", func(t *testing.T) {
				connected(t, func(t *testing.T, n *target, p *peer) {
					p.open(1, propose(flags, messaging))
					check(t, n, p)
				})
			})
			t.Run("answered", func(t *testing.T) {
				connected(t, func(t *testing.T, n *target, p *peer) {
					opening := make(chan error)
					go func() {
						_, err := n.OpenStream(t.Context(), p.id(), custom)
						opening <- err
					}()
					synctest.Wait()
					p.must(p.Data(rawpeer.ACK, p.Opened()[0], propose(flags, custom)))
					if err := <-opening; !errors.Is(err, negotiate.ErrUnknownFlags) {
						t.Errorf("open: got %v, want %v", err, negotiate.ErrUnknownFlags)
					}
					check(t, n, p)
				})
			})
		})
	}
}

// TestUnknownProtocols proposes what the node does not speak, in every way,
// ever again: nobody is banned, nothing is left.
func TestUnknownProtocols(t *testing.T) {
	connected(t, func(t *testing.T, n *target, p *peer) {
		const loops = 300
		unknown := propose(0, "t/unknown/1")
		id := uint32(1)
		for range loops {
			for _, c := range []struct{ says, hears string }{
				{strings.Repeat(unknown, 6), strings.Repeat("\x00\x04", 4) + "\x00\x06"},
				{optimistic("t/unknown/1"), ""},
				{propose(2, "t/unknown/1"), ""},
				{propose(0, ""), "\x00\x04"},
				{propose(0, strings.Repeat("x", 255)), "\x00\x04"},
			} {
				p.open(id, c.says)
				if c.hears == "\x00\x04" {
					p.must(p.Data(rawpeer.FIN, id, ""))
				}
				synctest.Wait()
				if s := p.Stream(id); s.Data != c.hears || !s.RST {
					t.Fatalf("stream %d: got %q and reset %v, want %q and a reset", id, s.Data, s.RST, c.hears)
				}
				id += 2
			}
			time.Sleep(100 * time.Millisecond) // more at once would be held back
		}
		if got := n.opened(p); got != 0 {
			t.Errorf("got %d live substreams of the peer, want none", got)
		}
		n.stillConnected(p, id)
	})
}

// TestUnwantedAnswers answers the node's proposals with anything but the id:
// the node gives up, and says so unless the peer has said it.
func TestUnwantedAnswers(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		cause        error
		last         string // that the node says
	}{
		{"not supported", "\x00\x04", negotiate.ErrUnsupported, "\x00\x02"},
		{"another id", propose(0, "t/other/1"), negotiate.ErrUnsupported, "\x00\x02"},
		{"terminated", "\x00\x06", negotiate.ErrTerminated, ""},
		{"accepted and terminated", propose(2, custom), negotiate.ErrTerminated, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			connected(t, func(t *testing.T, n *target, p *peer) {
				opening := make(chan error)
				go func() {
					_, err := n.OpenStream(t.Context(), p.id(), custom)
					opening <- err
				}()
				synctest.Wait()
				id := p.Opened()[0]
				p.must(p.Data(rawpeer.ACK, id, c.answer))
				if err := <-opening; !errors.Is(err, c.cause) {
					t.Errorf("got %v, want %v", err, c.cause)
				}
				synctest.Wait()
				if s := p.Stream(id); !s.RST || s.Data != propose(0, custom)+c.last {
					t.Errorf("got %q and reset %v, want the proposal, then %q and a reset", s.Data, s.RST, c.last)
				}
				n.stillConnected(p, 1)
			})
		})
	}
}

// TestSlowProtocolActor has an actor that stands still while substreams are
// offered to it: what it has not taken after ten seconds is dropped, and the
// rest of the connection does not notice.
//
// conforms: comms 80
func TestSlowProtocolActor(t *testing.T) {
	k := new(keeper)
	connected(t, func(t *testing.T, n *target, p *peer) {
		k.slow(25 * time.Second)
		began := time.Now()
		p.open(1, optimistic(custom)+"one")
		time.Sleep(time.Second)
		p.open(3, optimistic(custom)+"two")
		time.Sleep(time.Second)
		p.open(5, optimistic(messaging)+framed("meanwhile"))
		synctest.Wait()
		if got := n.heard.Len(); got != 1 {
			t.Errorf("while the actor stands still: got %d messages, want 1", got)
		}
		time.Sleep(18 * time.Second)
		for id, after := range map[uint32]time.Duration{1: 10 * time.Second, 3: 11 * time.Second} {
			if s := p.Stream(id); !s.RST || s.End.Sub(began) != after {
				t.Errorf("stream %d: got reset %v after %v, want one after %v", id, s.RST, s.End.Sub(began), after)
			}
		}
		time.Sleep(10 * time.Second)
		if taken, late := k.counts(); taken != 0 || late != 2 {
			t.Errorf("the actor has taken %d substreams and missed %d, want 0 and 2", taken, late)
		}
		p.open(7, optimistic(custom)+"three")
		p.must(p.Data(rawpeer.FIN, 7, ""))
		synctest.Wait()
		if got := k.streams(); len(got) != 1 || got[0].data != "three" || got[0].err != nil {
			t.Errorf("afterwards: got %v, want one substream with %q", got, "three")
		}
		n.stillConnected(p, 9)
	}, gamelan.WithProtocol(custom, k.New))
}

// TestUnregisteredMeanwhile takes the protocol away between the peer's
// proposals.
func TestUnregisteredMeanwhile(t *testing.T) {
	k := new(keeper)
	connected(t, func(t *testing.T, n *target, p *peer) {
		p.open(1, optimistic(custom))
		synctest.Wait()
		if err := n.Unregister(t.Context(), custom); err != nil {
			t.Fatal(err)
		}
		p.open(3, optimistic(custom))
		synctest.Wait()
		for _, id := range []uint32{1, 3} {
			if s := p.Stream(id); !s.RST {
				t.Errorf("stream %d of a protocol that was unregistered: not reset", id)
			}
		}
		n.stillConnected(p, 5)
	}, gamelan.WithProtocol(custom, k.New))
}

// connStats is what the connection's actor shows of it.
// opened returns how many live substreams the peer has opened. The node may have opened others, whenever it likes.
func (n *target) opened(p *peer) (live int) {
	n.t.Helper()
	for _, s := range n.conn(p).Link().Live.Session.Load().Streams(1000) {
		if s.Inbound {
			live++
		}
	}
	return live
}

// conn returns the connection of a peer.
func (n *target) conn(p *peer) *actors.ConnRef {
	n.t.Helper()
	ref, ok := n.Connection(p.id())
	if !ok {
		n.t.Fatalf("%x is not connected", p.id())
	}
	return ref
}

func (n *target) connStats(p *peer) connections.ConnStats {
	n.t.Helper()
	d, err := n.Inspection().Tree().Inspect(n.t.Context(), n.conn(p).PID.Id)
	if err != nil {
		n.t.Fatal(err)
	}
	return d.Value.(connections.ConnStats)
}
