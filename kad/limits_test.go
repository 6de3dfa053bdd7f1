package kad_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/kad/limit"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// byHand is a network whose packets the test makes and reads.
type byHand struct {
	limits kad.Limits
	port   *kad.Port

	mu sync.Mutex
	// reply makes the answer of a node; nil: nobody answers. It is called under mu.
	reply   func(to kad.Address, m *kad.Message) (answer kad.Message, ok bool)
	claims  []kad.Address // that each node gives as its own; nil: the one at which it answers
	answers []kad.Message
	last    uint64
}

func (n *byHand) Label() string      { return "by hand" }
func (n *byHand) Limits() kad.Limits { return n.limits }

// Route reaches nodes that the test may answer for.
func (n *byHand) Route(c kad.Contact) kad.Address {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.reply == nil || len(c.Addresses) == 0 {
		return ""
	}
	return c.Addresses[0]
}

// handAddress is the address of a node that the test plays, and handContact that node.
func handAddress(peer uint64) kad.Address { return kad.Address(fmt.Sprintf("/memory/%d", 1000+peer)) }

func handContact(peer uint64) kad.Contact {
	key := kad.MemoryKey(peer)
	return kad.Contact{ID: overlay.NodeID(key), PublicKey: key, Addresses: []kad.Address{handAddress(peer)}}
}

func (n *byHand) Open(_ actor.Context, p *kad.Port) kad.Link {
	n.port = p
	p.Opened("/memory/1")
	return n
}

func (n *byHand) Send(_ actor.Context, o kad.Outgoing) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if o.Answer {
		n.answers = append(n.answers, o.Message)
		return nil
	}
	if n.reply == nil {
		return nil
	}
	var peer uint64
	if _, err := fmt.Sscanf(string(o.Address), "/memory/%d", &peer); err != nil {
		return err
	}
	if m, ok := n.reply(o.Address, &o.Message); ok {
		who := handContact(peer - 1000)
		if n.claims != nil {
			who.Addresses = n.claims
		}
		m.Verb, m.ID, m.Sender = overlay.Reply, o.Message.ID, who.ID
		n.port.Deliver(kad.Incoming{Packet: kad.Packet{Address: o.Address, PublicKey: who.PublicKey, Message: m, Size: 100}, From: who})
	}
	return nil
}

func (n *byHand) Receive(actor.Context) bool { return false }

// ask delivers a request and returns the answers to it.
func (n *byHand) ask(t *testing.T, peer uint64, group string, m kad.Message) []kad.Message {
	t.Helper()
	n.last++
	m.ID = overlay.RequestNumber(n.last)
	from := handContact(peer)
	m.Sender = from.ID
	if n.reply == nil {
		from.Addresses = nil
	}
	in := kad.Incoming{
		Packet: kad.Packet{Address: handAddress(peer), PublicKey: from.PublicKey, Message: m, Size: 100},
		From:   from, Group: group,
	}
	if n.limits.Unproven {
		in.PublicKey = [32]byte{}
	}
	if !n.port.Deliver(in) {
		t.Fatal("got no token")
	}
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.answers
	n.answers = nil
	return list
}

// status sends a PING and returns the status of its answer.
func (n *byHand) status(t *testing.T, peer uint64, group string) (overlay.Status, time.Duration) {
	t.Helper()
	list := n.ask(t, peer, group, kad.Message{Verb: overlay.Ping})
	if len(list) != 1 {
		t.Fatalf("got %d answers, want one", len(list))
	}
	return list[0].Status, list[0].RetryAfter
}

// served sends PINGs until one is refused, and returns how many were served.
func (n *byHand) served(t *testing.T, group string, peer func(i int) uint64) (served int, retry time.Duration) {
	t.Helper()
	for served < 2000 {
		s, after := n.status(t, peer(served), group)
		if s != overlay.OK {
			if s != overlay.RateLimited || after <= 0 {
				t.Fatalf("got %v, again after %v, want RATE_LIMITED and when to come again", s, after)
			}
			return served, after
		}
		served++
	}
	return served, 0
}

// limited starts a client on a network by hand.
func limited(t *testing.T, n *byHand, so kad.StandaloneOptions) *kad.Client {
	t.Helper()
	l := newLab(t, kad.HubOptions{}, so)
	c := l.add(func(c *kad.Config) {
		c.Networks, c.PublicKey = []kad.Network{n}, kad.MemoryKey(1<<40) // none of the peers
		if n.limits.Unproven {
			c.Overlay, c.PublicKey = kad.Seed, [32]byte{}
		}
	})
	synctest.Wait()
	return c
}

// Requests of a peer, of a group of addresses, and all together have limits. Who comes too
// often is told when to come again, and is then answered. A peer without a group, as all that
// come in through Tor are, has no limit of groups.
//
// conforms: kad 55
func TestRatesOfRequests(t *testing.T) {
	one := func(int) uint64 { return 1 }
	each := func(i int) uint64 { return uint64(i + 10) }
	for name, c := range map[string]struct {
		group string
		peer  func(int) uint64
		want  int
		same  uint64 // it is refused as well
		other uint64 // it is not, in another group
		rates kad.Rates
	}{
		"peer":          {peer: one, want: 200, same: 1, other: 2, rates: limit.NativeRates()},
		"group":         {group: "g", peer: each, want: 1000, same: 5000, other: 5001, rates: limit.NativeRates()},
		"without group": {peer: each, want: 2000, same: 0, other: 5001, rates: limit.NativeRates()},
		"gateway":       {peer: each, want: 50, same: 5000, rates: kad.Rates{Total: kad.Rate{PerSecond: 1, Burst: 50}, Entries: 1000}},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				n := &byHand{limits: kad.Limits{Private: true, Rates: &c.rates}}
				client := limited(t, n, kad.StandaloneOptions{})
				got, retry := n.served(t, c.group, c.peer)
				if got != c.want {
					t.Errorf("got %d requests served, want %d", got, c.want)
				}
				if c.same > 0 {
					if s, _ := n.status(t, c.same, c.group); s != overlay.RateLimited {
						t.Errorf("got %v, want %v for who shares the limit", s, overlay.RateLimited)
					}
				}
				if c.other > 0 {
					if s, _ := n.status(t, c.other, "another"); s != overlay.OK {
						t.Errorf("got %v, want %v for who does not share the limit", s, overlay.OK)
					}
				}
				if c.same > 0 {
					time.Sleep(retry)
					if s, _ := n.status(t, c.same, c.group); s != overlay.OK {
						t.Errorf("got %v after the time that was told, want %v", s, overlay.OK)
					}
					if client.Stats().Refused == nil {
						t.Error("got no count of refusals")
					}
				}
			})
		})
	}
}

// In the overlay Seed nobody is told that there were too many requests.
//
// conforms: kad 55
func TestSilenceOfSeeds(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := &byHand{limits: kad.Limits{
			Datagram: true, Unproven: true, Private: true, Size: func(m *kad.Message) int { return 10 },
		}}
		client := limited(t, n, kad.StandaloneOptions{})
		served := 0
		for range 50 {
			list := n.ask(t, 1, "", kad.Message{Verb: overlay.Ping})
			served += len(list)
			if slices.ContainsFunc(list, func(m kad.Message) bool { return m.Verb != overlay.Pong }) {
				t.Fatalf("got %v, want PONG or nothing", list)
			}
		}
		if served != 20 {
			t.Errorf("got %d answers to an address without proof, want 20", served)
		}
		if got := client.Stats().Refused["requests"]; got != 30 {
			t.Errorf("got %d refusals counted, want 30", got)
		}
	})
}

// A peer that brings a forged record is ignored for ten minutes, however many others come
// meanwhile: the memory for limits is bounded, and whoever makes way, a penalty does not.
//
// conforms: kad 55
func TestPenalty(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		rates := limit.NativeRates()
		rates.Entries = 8
		n := &byHand{limits: kad.Limits{Private: true, Rates: &rates}}
		client := limited(t, n, kad.StandaloneOptions{})
		forged := &kad.Record{Kind: overlay.Immutable, Key: kad.Key{1}, Value: []byte("another")}
		list := n.ask(t, 1, "", kad.Message{Verb: overlay.Store, Record: forged})
		if len(list) != 1 || list[0].Status != overlay.BadSignature {
			t.Fatalf("got %v, want %v", list, overlay.BadSignature)
		}
		ignored := func(peer uint64, want bool) {
			t.Helper()
			if s, _ := n.status(t, peer, ""); (s == overlay.RateLimited) != want {
				t.Errorf("peer %d: got %v, want it to be ignored: %v", peer, s, want)
			}
		}
		ignored(1, true)
		for i := range 100 {
			ignored(uint64(100+i), false)
		}
		ignored(1, true)
		if got := client.Stats().Refused["penalty"]; got != 2 {
			t.Errorf("got %d refusals counted, want 2", got)
		}
		time.Sleep(rates.Penalty - time.Second)
		ignored(1, true)
		time.Sleep(time.Second)
		ignored(1, false)
	})
}

// A peer on whose messages the node panicked three times within a minute is ignored for a
// minute.
//
// conforms: kad 63
func TestPanicsArePunished(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		left := 3
		n := &byHand{limits: kad.Limits{Private: true}}
		limited(t, n, kad.StandaloneOptions{Fault: func(path, at string) {
			mu.Lock()
			defer mu.Unlock()
			if left > 0 && at == "*kad.arrived" && strings.HasSuffix(path, "/gateways/0") {
				left--
				panic("as a bug would")
			}
		}})
		for range 2 {
			n.ask(t, 1, "", kad.Message{Verb: overlay.Ping})
		}
		n.ask(t, 2, "", kad.Message{Verb: overlay.Ping})
		for peer := uint64(1); peer <= 2; peer++ {
			if s, _ := n.status(t, peer, ""); s != overlay.OK {
				t.Errorf("peer %d: got %v after less than three panics, want %v", peer, s, overlay.OK)
			}
		}
		mu.Lock()
		left = 1
		mu.Unlock()
		n.ask(t, 1, "", kad.Message{Verb: overlay.Ping})
		if s, _ := n.status(t, 1, ""); s != overlay.RateLimited {
			t.Errorf("got %v after the third panic, want %v", s, overlay.RateLimited)
		}
		if s, _ := n.status(t, 2, ""); s != overlay.OK {
			t.Errorf("another peer: got %v, want %v", s, overlay.OK)
		}
		time.Sleep(limit.PanicWindow)
		if s, _ := n.status(t, 1, ""); s != overlay.OK {
			t.Errorf("got %v a minute later, want %v", s, overlay.OK)
		}
	})
}

// A peer that has told the client when to come again is not asked before that, by nobody.
func TestWaitsAsTold(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		const peer, wait = 11, 30 * time.Second
		asked, busy := 0, false
		n := &byHand{limits: kad.Limits{Private: true}}
		n.reply = func(_ kad.Address, _ *kad.Message) (a kad.Message, ok bool) {
			asked++
			if busy {
				a.Status, a.RetryAfter = overlay.RateLimited, wait
			}
			return a, true
		}
		c := limited(t, n, kad.StandaloneOptions{})
		if _, err := c.ConnectTo(t.Context(), handContact(peer)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		n.mu.Lock()
		asked, busy = 0, true
		n.mu.Unlock()
		told := func(least, most time.Duration) {
			t.Helper()
			_, err := c.Ping(t.Context(), handContact(peer))
			if e := (*kad.RateLimitedError)(nil); !errors.As(err, &e) || e.RetryAfter < least || e.RetryAfter > most {
				t.Errorf("got %v, want a %T with %v to %v", err, e, least, most)
			}
		}
		told(wait, wait)
		time.Sleep(wait / 2)
		told(wait/2, wait/2)
		_, _ = c.Get(t.Context(), kad.Key{1})
		time.Sleep(wait/2 - time.Second)
		synctest.Wait()
		n.mu.Lock()
		if asked != 1 {
			t.Errorf("got %d requests within the wait, want the first one", asked)
		}
		busy = false
		n.mu.Unlock()
		time.Sleep(time.Second)
		if _, err := c.Ping(t.Context(), handContact(peer)); err != nil {
			t.Errorf("got %v after the wait, want an answer", err)
		}
	})
}
