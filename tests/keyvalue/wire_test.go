package keyvalue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/kad/comms"
	"github.com/gamelan-p2p/gamelan/internal/kad/nativewire"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// kadNode starts a node with a client of the key-value DHT.
func kadNode(t *testing.T, net *gamelantest.Network) (*gamelantest.Node, *kad.Client) {
	t.Helper()
	n := net.Start(gamelan.Config{NoDHT: true})
	c, err := n.KV().Open(t.Context(), kad.Config{Name: "main"})
	if err != nil {
		t.Fatal(err)
	}
	return n, c
}

// asks writes frames to a node as a peer that asks by hand, and reads the answers.
type asks struct {
	*gamelan.Stream
	frames *frame.Reader
}

func newAsks(t *testing.T, from, to *gamelantest.Node) asks {
	t.Helper()
	s, err := from.OpenStream(t.Context(), to.ID(), nativewire.Protocol)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return asks{s, frame.NewReader(s, nativewire.MaxFrame)}
}

// kadAsked starts a node with a client, and one that asks it by hand.
func kadAsked(t *testing.T) (a *gamelantest.Node, client *kad.Client, x *gamelantest.Node, s asks) {
	t.Helper()
	net := gamelantest.NewNetwork(t)
	a, client = kadNode(t, net)
	x = net.Start(gamelan.Config{NoDHT: true})
	net.Connect(x, a)
	return a, client, x, newAsks(t, x, a)
}

func (a asks) send(t *testing.T, body []byte) {
	t.Helper()
	if _, err := a.Write(frame.Append(nil, body)); err != nil {
		t.Fatal(err)
	}
}

func (a asks) answer(t *testing.T) overlay.Message {
	t.Helper()
	n, err := a.frames.Next()
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, n)
	if err := a.frames.Body(body); err != nil {
		t.Fatal(err)
	}
	m, err := nativewire.DecodeResponse(body)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func pingOf(n uint64) []byte {
	b, _ := nativewire.AppendRequest(nil, &overlay.Message{Verb: overlay.Ping, ID: overlay.RequestNumber(n), ReadOnly: true, HaveSeq: 1 << 40})
	return b
}

// TestBubbleKadFrames asks a node by hand: each request has its answer, whatever it is; empty
// frames and unknown fields are ignored; after silence the node closes.
//
// conforms: kad 53
func TestBubbleKadFrames(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		a, client, x, s := kadAsked(t)
		want := func(id uint64, status overlay.Status, self bool) {
			t.Helper()
			m := s.answer(t)
			if m.ID.Number() != id || m.Status != status || (m.Self != nil) != self {
				t.Errorf("got %d with %v and self %v, want %d with %v and %v", m.ID.Number(), m.Status, m.Self, id, status, self)
			}
			if self && (m.Self.ID != client.ID() || m.Self.Verify(a.Clock.Wall()) != nil) {
				t.Errorf("got %v, want the node's own claim", m.Self)
			}
		}
		s.send(t, nil) // ignored
		s.send(t, pingOf(1))
		want(1, overlay.OK, true)                  // the first answer says who answers
		s.send(t, append(pingOf(2), 0x2a, 1, 'x')) // field 5 is unknown
		want(2, overlay.OK, false)
		s.send(t, []byte{8, 3}) // no body
		want(3, overlay.BadRequest, false)
		s.send(t, []byte{8, 4, 14<<3 | 2, 0}) // a body that no version has
		want(4, overlay.Unsupported, false)
		old, err := nativewire.AppendRequest(nil, &overlay.Message{Verb: overlay.Ping, ID: overlay.RequestNumber(5), HaveSeq: 1})
		if err != nil {
			t.Fatal(err)
		}
		s.send(t, old) // it has an older claim of the node
		want(5, overlay.OK, true)
		begin := time.Now()
		if n, err := s.frames.Next(); err != io.EOF {
			t.Errorf("got %d, %v, want the end", n, err)
		}
		if idle := time.Since(begin); idle < comms.IdleAfter || idle > 2*comms.IdleAfter {
			t.Errorf("the node closed after %v, want a little more than a minute", idle)
		}
		if _, reason, banned := a.Peers().Banned(x.ID()); banned {
			t.Errorf("got a ban (%s), want none", reason)
		}
	})
}

// TestBubbleKadReplacedSubstream replaces the substream on which a peer asks while what it asked
// there is in work or was refused: on the new one the peer gets answers to what it asks there,
// and no others, which would be offences of the node.
//
// conforms: kad 53
func TestBubbleKadReplacedSubstream(t *testing.T) {
	find, err := nativewire.AppendRequest(nil, &overlay.Message{Verb: overlay.FindValue, ID: overlay.RequestNumber(1), Target: kad.Key{1}, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func(t *testing.T, old asks, store, gateway func(stop time.Duration), crash func()){
		"in work": func(t *testing.T, old asks, store, _ func(time.Duration), _ func()) {
			store(time.Second)
			old.send(t, find)
		},
		"in work over a restart": func(t *testing.T, old asks, store, _ func(time.Duration), crash func()) {
			store(time.Second)
			old.send(t, find)
			time.Sleep(50 * time.Millisecond)
			crash()
		},
		"refused": func(t *testing.T, old asks, _, gateway func(time.Duration), _ func()) {
			gateway(time.Second)
			old.send(t, pingOf(1))
			time.AfterFunc(500*time.Millisecond, func() { _, _ = old.Write(frame.Append(nil, []byte{8, 1})) }) // no body
		},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				var store, gateway atomic.Int64 // how long the next message takes there
				slow := gamelan.WithFault(func(path, point string) {
					switch {
					case strings.HasSuffix(path, "/store") && point == "*kad.serving":
						time.Sleep(time.Duration(store.Swap(0)))
					case strings.HasSuffix(path, "/gateways/0") && point == "*kad.arrived":
						time.Sleep(time.Duration(gateway.Swap(0)))
					}
				})
				net := gamelantest.NewNetwork(t)
				a, x := net.Start(gamelan.Config{NoDHT: true}, slow), net.Start(gamelan.Config{NoDHT: true})
				if _, err := a.KV().Open(t.Context(), kad.Config{Name: "main"}); err != nil {
					t.Fatal(err)
				}
				net.Connect(x, a)
				ask(t, newAsks(t, x, a), func(d time.Duration) { store.Store(int64(d)) }, func(d time.Duration) { gateway.Store(int64(d)) },
					func() {
						if !gamelantest.Crash(a.Node, "kad/main/gateways/0", "a bug") {
							t.Fatal("the gateway is not there")
						}
					})
				time.Sleep(100 * time.Millisecond)
				s := newAsks(t, x, a)
				for id := range uint64(3) {
					time.Sleep(time.Second)
					s.send(t, pingOf(100+id))
					if m := s.answer(t); m.ID.Number() != 100+id {
						t.Errorf("got an answer to %d on the new substream, want %d", m.ID.Number(), 100+id)
					}
				}
			})
		})
	}
}

// TestBubbleKadOversized: a frame that is too long resets the substream, and is an offence.
//
// conforms: kad 53, 59
func TestBubbleKadOversized(t *testing.T) {
	for name, bytes := range map[string][]byte{
		"too long":  binary.BigEndian.AppendUint32(nil, nativewire.MaxFrame+1),
		"malformed": frame.Append(nil, []byte("\xff\xff\xff")),
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				a, client, x, s := kadAsked(t)
				if _, err := s.Write(bytes); err != nil {
					t.Fatal(err)
				}
				if n, err := s.frames.Next(); err == nil || err == io.EOF {
					t.Errorf("got %d, %v, want a reset", n, err)
				}
				synctest.Wait()
				if _, reason, banned := a.Peers().Banned(x.ID()); !banned || !strings.Contains(reason, "key-value DHT") {
					t.Errorf("got banned %v (%s), want a ban by connectivity", banned, reason)
				}
				if _, err := client.Connect(t.Context(), x.Seed()); !errors.Is(err, kad.ErrUnreachable) {
					t.Errorf("got %v, want that a banned node is not asked", err)
				}
				if _, err := x.OpenStream(t.Context(), a.ID(), nativewire.Protocol); err == nil {
					t.Error("a banned node could open a substream")
				}
			})
		})
	}
}

// TestBubbleKadBan: a contact that the user bans leaves the routing table at once, and does not
// come back while the ban lasts.
//
// conforms: kad 59
func TestBubbleKadBan(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		_, nodes, clients := kadNetwork(t, 4)
		time.Sleep(time.Minute)
		synctest.Wait()
		knows := func() bool {
			return slices.ContainsFunc(clients[1].Known(), func(k kad.Known) bool { return k.Contact.ID == clients[2].ID() })
		}
		if !knows() {
			t.Fatal("got a table without the other node")
		}
		if err := nodes[1].Peers().Ban(t.Context(), nodes[2].ID(), time.Hour, "by the test"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if knows() {
			t.Error("got a banned node in the table")
		}
		time.Sleep(30 * time.Minute)
		if knows() {
			t.Error("got a banned node in the table after half an hour")
		}
	})
}

// TestBubbleKadFlood: a peer that sends requests without reading the answers commits an
// offence; it does not bloat the node.
//
// conforms: kad 59
func TestBubbleKadFlood(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		a, client, x, s := kadAsked(t)
		var b []byte
		for i := range 5000 {
			b = frame.Append(b, []byte{8, byte(i) & 0x7f}) // no body: refused
		}
		sent, banned, reason := uint64(0), false, ""
		for !banned && sent < 20*5000 { // a node with time to spare answers as fast as they come
			sent += 5000
			_, _ = s.Write(b) // the node may end the substream meanwhile
			synctest.Wait()
			_, reason, banned = a.Peers().Banned(x.ID())
		}
		if !banned || !strings.Contains(reason, "without waiting") {
			t.Errorf("got banned %v (%s), want a ban by connectivity", banned, reason)
		}
		if n := client.Stats().Malformed; n == 0 || n > sent {
			t.Errorf("got %d malformed requests counted of %d, want some", n, sent)
		}
	})
}

// TestBubbleKadUnlisted: a node that does not list the protocol is not asked, also if it takes
// such substreams by now. If it asks and serves others, it is asked from then on.
//
// conforms: kad 53
func TestBubbleKadUnlisted(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, client := kadNode(t, net)
		x := net.Start(gamelan.Config{NoDHT: true})
		net.Connect(a, x)
		synctest.Wait() // a knows what x speaks
		var served atomic.Int32
		byHand := kadByHand{func(protocol.Stream) error { served.Add(1); return nil }}
		if err := x.Register(t.Context(), nativewire.Protocol, func(*gamelan.Node) actor.Actor { return byHand }); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Connect(t.Context(), x.Seed()); !errors.Is(err, kad.ErrUnreachable) {
			t.Errorf("got %v, want that it is not asked", err)
		}
		if n := served.Load(); n != 0 {
			t.Errorf("it got %d substreams, want none", n)
		}
		if err := x.Unregister(t.Context(), nativewire.Protocol); err != nil {
			t.Fatal(err)
		}
		late, err := x.KV().Open(t.Context(), kad.Config{Name: "main"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := late.Connect(t.Context(), a.Seed()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := client.Connect(t.Context(), x.Seed()); err != nil {
			t.Errorf("got %v, want an answer of a node that asks and serves others", err)
		}
	})
}

// kadByHand is a server of the protocol that a test writes by hand.
type kadByHand struct{ serve func(protocol.Stream) error }

func (b kadByHand) Receive(c actor.Context) {
	if m, ok := c.Message().(actors.SubstreamOpened); ok {
		if s, ok := m.Stream.Take(); ok {
			supervisor.Go(c, "serve", s, func(context.Context) error { return b.serve(s) })
		}
	}
}

// kadServing starts a node that serves the protocol by hand.
func kadServing(net *gamelantest.Network, serve func(protocol.Stream) error) *gamelantest.Node {
	return net.Start(gamelan.Config{NoDHT: true}, gamelan.WithProtocol(nativewire.Protocol, func(*gamelan.Node) actor.Actor { return kadByHand{serve} }))
}

// readRequest reads one request.
func readRequest(r *frame.Reader) (m overlay.Message, err error) {
	n, err := r.Next()
	if err != nil {
		return m, err
	}
	body := make([]byte, n)
	if err := r.Body(body); err != nil {
		return m, err
	}
	return nativewire.DecodeRequest(body)
}

// TestBubbleKadIdle: the side that asks closes its substream a minute after the last request,
// although the peer has not answered. It asks again on another substream. The client knows a
// node that answers: otherwise it would ask the silent one by itself, at random times.
//
// conforms: kad 53
func TestBubbleKadIdle(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net, _, clients := kadNetwork(t, 2)
		client := clients[1]
		time.Sleep(time.Minute)
		var ends []string
		asked := 0 // on all substreams
		x := kadServing(net, func(s protocol.Stream) error {
			r := frame.NewReader(s, nativewire.MaxFrame)
			for last := time.Now(); ; asked++ {
				if _, err := readRequest(r); err != nil {
					ends = append(ends, fmt.Sprintf("%d requests, %v", asked, time.Since(last)))
					return err
				}
				last = time.Now()
			}
		})
		for _, wait := range []time.Duration{comms.IdleAfter - 10*time.Second, 2 * comms.IdleAfter, 2 * comms.IdleAfter} {
			if _, err := client.Connect(t.Context(), x.Seed()); !errors.Is(err, kad.ErrUnreachable) {
				t.Errorf("got %v, want no answer", err)
			}
			time.Sleep(wait)
		}
		synctest.Wait()
		if want := []string{"2 requests, 1m0s", "3 requests, 1m0s"}; !slices.Equal(ends, want) {
			t.Errorf("got substreams that ended after %q, want %q", ends, want)
		}
	})
}

// TestBubbleKadLies: a server whose claim is of another key than its connection, and one that
// answers what nobody asked, commit an offence.
//
// conforms: kad 17
func TestBubbleKadLies(t *testing.T) {
	for name, answers := range map[string]func(m overlay.Message, other *kad.Contact) []overlay.Message{
		"claim of another": func(m overlay.Message, other *kad.Contact) []overlay.Message {
			return []overlay.Message{{Verb: overlay.Reply, ID: m.ID, Self: other}}
		},
		"two answers": func(m overlay.Message, _ *kad.Contact) []overlay.Message {
			a := overlay.Message{Verb: overlay.Reply, ID: m.ID}
			return slices.Repeat([]overlay.Message{a}, 2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				a, client := kadNode(t, net)
				y, _ := kadNode(t, net)
				other, err := client.Connect(t.Context(), y.Seed())
				if err != nil {
					t.Fatal(err)
				}
				x := kadServing(net, func(s protocol.Stream) error {
					r := frame.NewReader(s, nativewire.MaxFrame)
					m, err := readRequest(r)
					if err != nil {
						return err
					}
					var b []byte
					for _, m := range answers(m, &other) {
						body, err := nativewire.AppendResponse(nil, &m)
						if err != nil {
							return err
						}
						b = frame.Append(b, body)
					}
					_, err = s.Write(b)
					return errors.Join(err, func() error { _, err := r.Next(); return err }())
				})
				_, _ = client.Connect(t.Context(), x.Seed())
				synctest.Wait()
				if _, _, banned := a.Peers().Banned(x.ID()); !banned {
					t.Error("got no ban, want one")
				}
			})
		})
	}
}

// TestBubbleKadOutstanding: of many requests to a node that does not answer, 16 are under way.
//
// conforms: kad 53
func TestBubbleKadOutstanding(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		_, client := kadNode(t, net)
		var heard atomic.Int32
		x := kadServing(net, func(s protocol.Stream) error {
			r := frame.NewReader(s, nativewire.MaxFrame)
			for {
				if _, err := readRequest(r); err != nil {
					return err
				}
				heard.Add(1)
			}
		})
		who, err := kad.ParseContact(x.Seed())
		if err != nil {
			t.Fatal(err)
		}
		for range 40 {
			go client.Ping(t.Context(), who)
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if n := heard.Load(); n != kad.MaxRequestsPerPeer {
			t.Errorf("got %d requests, want %d", n, kad.MaxRequestsPerPeer)
		}
		time.Sleep(time.Minute)
	})
}
