package dhtpart_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// TestDHTOffered has the part that stores answer in each way: what it keeps is relayed in
// another way than the rest, what it kept before is not relayed again, and all credit goes
// back.
func TestDHTOffered(t *testing.T) {
	kept := func(m dht.Offered) any { return dht.NewRelayHeard(m.Heard, m.IfKept) }
	not := func(m dht.Offered) any { return dht.NewRelayHeard(m.Heard, m.Otherwise) }
	before := func(dht.Offered) any { return nil }
	for _, row := range []struct {
		name    string
		change  func(*shardSettings)
		part    func(dht.Offered) any // nil: there is none
		draft   wire.MessageType
		offered int
		effect  string
	}{
		{"kept", nil, kept, wire.TypeDomain, 1, "relay, dht.DirectOrClosest"},
		{"not kept", nil, not, wire.TypeDomain, 1, "relay, dht.Propagate"},
		{"kept before", nil, before, wire.TypeDomain, 1, ""},
		{"no part", nil, nil, wire.TypeDomain, 0, "relay, dht.Propagate"},
		{"a join", nil, kept, wire.TypeJoin, 0, "relay, dht.Propagate"},
		{"no forwarding", func(o *shardSettings) { o.DHT.NoForwarding = true }, kept, wire.TypeDomain, 1, ""},
		{"a client", func(o *shardSettings) { o.Base.Features = identity.FeatureNone }, kept, wire.TypeDomain, 0, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShard(t, row.change)
				offered := 0
				if row.part != nil {
					s.Trunk.Provide(dht.Store, s.spawn("store", part[dht.Offered]{func(m dht.Offered) any {
						offered++
						return row.part(m)
					}}))
				}
				e := s.compose(1, "", func(d *wire.Draft) {
					sealed(s.secret().PublicKey())(d)
					d.Type = row.draft
				})
				s.post(e.Append(nil))
				if got := s.effects(); got != row.effect || offered != row.offered {
					t.Errorf("got %q, offered %d times, want %q, %d times", got, offered, row.effect, row.offered)
				}
				if got, want := s.counted(), "1 for somebody else"; got != want {
					t.Errorf("got counted %q, want %q", got, want)
				}
				for _, m := range s.relays() {
					wantRelayed(t, m, e)
					m.End()
				}
				s.wantNoCredit()
			})
		})
	}
}

// asking is the part for answers of servers: it has the messages of one delivered, and
// keeps the replies.
type asking struct {
	deliver []*dht.Incoming
	replies *record
}

func (a asking) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case dht.Heard:
		for _, d := range dht.NewDeliverStored(m, 10, a.deliver) {
			c.Request(c.Sender(), d)
		}
	case dht.StoredHandled:
		fake{a.replies}.Receive(c)
	}
}

// storedFor is a message that the peer has stored for us, as far as an answer was checked.
func (s *shard) storedFor(e wire.Envelope) *dht.Incoming {
	s.t.Helper()
	parts, err := wire.DecodeBody(e.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return &dht.Incoming{
		Now: time.Now(), Wall: time.Now(), Source: s.source.NodeID(), Key: s.source.PublicKey(),
		Envelope: e, Hash: e.DedupHash(), Parts: parts, Copies: 1, Stored: true,
	}
}

// answer has the peer send an answer with these messages, and returns the replies so far to
// the part that had them delivered.
func (s *shard) answer(all ...wire.Envelope) string { return repliesText(s.deliver(all...)) }

// deliver does the same, and returns all replies that the part will ever have.
func (s *shard) deliver(all ...wire.Envelope) *record {
	part := asking{replies: new(record)}
	for _, e := range all {
		part.deliver = append(part.deliver, s.storedFor(e))
	}
	name := fmt.Sprintf("asking-%d", s.random.Uint64())
	s.Trunk.Provide(dht.ProviderOf(wire.TypeStoredMessages), s.spawn(name, part))
	e := s.compose(0, "", func(d *wire.Draft) {
		d.Type, d.Body = wire.TypeStoredMessages, wire.AppendBody(nil, []byte(name))
	})
	s.post(e.Append(nil))
	return part.replies
}

// repliesText lists the replies by their messages. They come in no order: that of a message
// which no handler gets is the inbound actor's, that of another is its handler's.
func repliesText(replies *record) string {
	replies.mu.Lock()
	defer replies.mu.Unlock()
	slices.SortFunc(replies.messages, func(x, y any) int {
		return cmp.Compare(x.(dht.StoredHandled).ID, y.(dht.StoredHandled).ID)
	})
	var list []string
	for _, m := range replies.messages {
		r := m.(dht.StoredHandled)
		list = append(list, fmt.Sprintf("%d %s", r.ID, r.Reason))
	}
	return strings.Join(list, ", ")
}

// TestDHTDeliverStored has messages delivered that a server had stored for us: each reply
// says how it went, what no handler took does not count as seen, and the credit of the
// answer goes back with the last of its messages.
func TestDHTDeliverStored(t *testing.T) {
	stop := func(s *shardSettings) {
		s.DHT.Layers = map[dht.Position][]dht.Layer{dht.BeforeDeliver: {func(dht.Handler) dht.Handler {
			return func(*dht.Incoming) dht.Verdict {
				return dht.Verdict{Reason: dht.Stopped, Err: errors.New("not today")}
			}
		}}}
	}
	for _, row := range []struct {
		name    string
		change  func(*shardSettings)
		before  func(s *shard, e wire.Envelope)
		kind    int32
		replies string
		counted string
		effect  string
		seen    uint32
	}{
		{name: "delivered", kind: ourType, replies: "10 delivered", counted: "1 delivered, 1 handled", effect: "type-1000: a", seen: 1},
		{name: "seen", before: func(s *shard, e wire.Envelope) {
			s.DHT.Settings.Dedup.Count(e.DedupHash(), identity.NodeID{}, time.Now())
		}, kind: ourType, replies: "10 duplicate", counted: "1 handled, 1 duplicate", seen: 1},
		{name: "no handler", kind: 4711, replies: "10 no handler", counted: "1 handled, 1 no handler"},
		{name: "handler failed", before: func(s *shard, _ wire.Envelope) { s.SetType(ourType, nil) }, kind: ourType, replies: "10 handler failed", counted: "1 handled, 1 handler failed"},
		{name: "stopped", change: stop, kind: ourType, replies: "10 stopped by a layer", counted: "1 handled, 1 stopped by a layer", seen: 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShard(t, row.change)
				e := s.compose(row.kind, "a", nil)
				if row.before != nil {
					row.before(s, e)
				}
				if got := s.answer(e); got != row.replies {
					t.Errorf("got the replies %q, want %q", got, row.replies)
				}
				if got := s.counted(); got != row.counted {
					t.Errorf("got counted %q, want %q", got, row.counted)
				}
				if got := s.effects(); got != row.effect {
					t.Errorf("got %q, want %q", got, row.effect)
				}
				if n := s.DHT.Settings.Dedup.Seen(e.DedupHash()); n != row.seen {
					t.Errorf("got it seen %d times, want %d", n, row.seen)
				}
				s.wantNoCredit()
			})
		})
	}
}

// ending is an actor that ends each message in its own way.
type ending func(dht.Received)

func (e ending) Receive(c actor.Context) {
	if m, ok := c.Message().(dht.Received); ok {
		e(m)
	}
}

// TestDHTStoredCopyOfUnhandled: no handler finishes a message that a relay brings. Further
// copies of relays are duplicates, the part that fetches stored messages hears of it once, and
// the message does not count as handled.
func TestDHTStoredCopyOfUnhandled(t *testing.T) {
	received := func(s *shard) dht.Received {
		s.heard["type-1001"].mu.Lock()
		defer s.heard["type-1001"].mu.Unlock()
		return s.heard["type-1001"].messages[0].(dht.Received)
	}
	for _, row := range []struct {
		name   string
		before func(s *shard)
		after  func(s *shard) // the message has come
		clear  bool           // the message is not encrypted, so no server stores it
		copies string
	}{
		{name: "no handler", before: func(s *shard) { s.DHT.Types.Delete(ourType) }, copies: "1 duplicate, 1 no handler"},
		{name: "no handler, clear", before: func(s *shard) { s.DHT.Types.Delete(ourType) }, clear: true, copies: "1 duplicate, 1 no handler"},
		{name: "handler failed", before: func(s *shard) { s.SetType(ourType, nil) }, copies: "1 duplicate, 1 handler failed"},
		{name: "panics", before: func(s *shard) { s.SetType(ourType, s.spawn("ending", ending(dht.Received.Discard))) }, copies: "1 delivered, 1 duplicate"},
		{name: "kept, and discarded", before: func(s *shard) {
			var release []func()
			s.SetType(ourType, s.spawn("keeper", keeper{s.heard["type-1001"], &release}))
		}, after: func(s *shard) { received(s).Discard() }, copies: "1 delivered, 1 duplicate"},
		{name: "refused", before: func(s *shard) { s.SetType(ourType, s.spawn("ending", ending(dht.Received.Refuse))) }, copies: "2 delivered"}, // there may be room for it now
		{name: "stuck", before: func(s *shard) {
			var release []func()
			s.SetType(ourType, s.spawn("keeper", keeper{s.heard["type-1001"], &release}))
			for i := range 11 {
				e := s.compose(ourType, fmt.Sprint(i, strings.Repeat(".", 4000)), nil)
				s.post(e.Append(nil))
			}
			time.Sleep(12 * time.Second)
			s.t.Cleanup(func() {
				for _, f := range release {
					f()
				}
			})
		}, copies: "1 duplicate, 5 handler stuck"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShard(t, nil)
				part := new(record)
				s.Trunk.Provide(dht.ProviderOf(wire.TypeStoredMessages), s.spawn("part", fake{part}))
				row.before(s)
				change := sealed(s.Node.Key())
				if row.clear {
					change = nil
				}
				e := s.compose(ourType, "a", change)
				s.post(e.Append(nil))
				if row.after != nil {
					row.after(s)
				}
				s.post(e.Append(nil))
				if got := s.counted(); !strings.HasSuffix(got, row.copies) {
					t.Errorf("got counted %q, want %q", got, row.copies)
				}
				want := 1
				if row.clear {
					want = 0
				}
				if n := count[dht.Missed](part); n != want {
					t.Errorf("got %d messages missed, want %d", n, want)
				}
				d, h := s.DHT.Settings.Dedup, e.DedupHash()
				if d.Handled(h) > 0 || d.InHand(h) {
					t.Errorf("got it handled %d times, in hand %v, want a stored copy to be of use", d.Handled(h), d.InHand(h))
				}
			})
		})
	}
}

// TestDHTDeliverStoredInOrder: the messages of an answer come in its order, marked as
// stored, and one that is there twice comes once.
func TestDHTDeliverStoredInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShard(t, nil)
		a, b := s.compose(ourType, "a", nil), s.compose(ourType, "b", nil)
		if got, want := s.answer(a, b, a), "10 delivered, 11 delivered, 12 duplicate"; got != want {
			t.Errorf("got the replies %q, want %q", got, want)
		}
		if got, want := s.effects(), "type-1000: a; type-1000: b"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		s.heard["type-1000"].mu.Lock()
		defer s.heard["type-1000"].mu.Unlock()
		for _, m := range s.heard["type-1000"].messages {
			if m := m.(dht.Received); !m.Stored || m.Copies != 1 || m.Peer != s.source.NodeID() {
				t.Errorf("got %+v, want it stored, once, from the peer", m)
			}
		}
	})
}

// TestDHTDeliverStoredToStuckHandler: of an answer's messages a handler that finishes
// nothing gets what fits its half of the peer's credit. The others wait, are dropped after
// ten seconds, and are delivered when they come again.
func TestDHTDeliverStoredToStuckHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShard(t, nil)
		var release []func()
		kept := new(record)
		s.SetType(4, s.spawn("keeper", keeper{kept, &release}))
		var all []wire.Envelope
		for i := range 12 {
			all = append(all, s.compose(4, fmt.Sprint(i, strings.Repeat(".", 4000)), nil))
		}
		replies := s.deliver(all...)
		if got := repliesText(replies); got != "" {
			t.Errorf("got the replies %q while the handler has finished none", got)
		}
		n := count[dht.Received](kept)
		if n == 0 || n == len(all) {
			t.Fatalf("got %d with the handler, want some to wait", n)
		}
		time.Sleep(12 * time.Second)
		synctest.Wait()
		if got, want := s.counted(), fmt.Sprintf("%d delivered, 1 handled, %d handler stuck", n, len(all)-n); got != want {
			t.Errorf("got counted %q, want %q", got, want)
		}
		if s.account.Used() == 0 {
			t.Error("the answer's credit went back before the handler has finished")
		}
		if got := repliesText(replies); strings.Count(got, "handler stuck") != len(all)-n || strings.Contains(got, "delivered") {
			t.Errorf("got the replies %q, want that of the dropped messages", got)
		}
		for _, f := range release {
			f()
		}
		synctest.Wait()
		s.wantNoCredit()
		if got := repliesText(replies); strings.Count(got, "delivered") != n || strings.Count(got, ",") != len(all)-1 {
			t.Errorf("got the replies %q, want one for each message", got)
		}
		replies = s.deliver(all...)
		if got := repliesText(replies); strings.Count(got, "duplicate") != n || strings.Contains(got, "delivered") {
			t.Errorf("again: got the replies %q, want those that the handler has had", got)
		}
		for range 20 {
			for _, f := range slices.Clone(release) {
				f()
			}
			synctest.Wait()
		}
		if got := count[dht.Received](kept); got != len(all) || strings.Count(repliesText(replies), "delivered") != len(all)-n {
			t.Errorf("got %d messages, want each of %d once; replies %s", got, len(all), repliesText(replies))
		}
		for _, f := range release {
			f()
		}
	})
}

// TestDHTStoredIsSeenWhenHandled: while its handler has it, a stored message counts as seen
// and has no record for the disk. When the handler has finished it, it has one; when nobody
// handles it, it counts as new.
func TestDHTStoredIsSeenWhenHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShard(t, nil)
		var release []func()
		kept := new(record)
		s.SetType(4, s.spawn("keeper", keeper{kept, &release}))
		e := s.compose(4, "a", nil)
		recorded := func() bool {
			return slices.ContainsFunc(s.DHT.Settings.Dedup.All(), func(r dht.DedupRecord) bool { return r.Hash == e.DedupHash() })
		}
		replies := s.deliver(e)
		inHand := func() bool { return s.DHT.Settings.Dedup.InHand(e.DedupHash()) }
		if s.DHT.Settings.Dedup.Seen(e.DedupHash()) != 1 || recorded() || !inHand() || repliesText(replies) != "" {
			t.Error("in hand: got it recorded, want it seen only")
		}
		s.post(e.Append(nil))
		if got, want := s.counted(), "1 delivered, 1 handled, 1 duplicate"; got != want || recorded() {
			t.Errorf("a copy meanwhile: got counted %q, want %q and no record", got, want)
		}
		release[0]()
		synctest.Wait()
		if got := repliesText(replies); !recorded() || inHand() || got != "10 delivered" {
			t.Errorf("handled: got recorded %v, replies %q", recorded(), got)
		}

		e = s.compose(ourType, "b", nil)
		s.answer(e)
		e = s.compose(4, "c", nil)
		replies = s.deliver(e)
		kept.mu.Lock()
		last := kept.messages[len(kept.messages)-1].(dht.Received)
		kept.mu.Unlock()
		last.Discard() // as the mailbox of an actor that has panicked does
		synctest.Wait()
		if got := repliesText(replies); s.DHT.Settings.Dedup.Seen(e.DedupHash()) != 0 || recorded() || got != "10 handler failed" {
			t.Errorf("not handled: got the replies %q, want it to come again", got)
		}
		release[1]()
		if recorded() {
			t.Error("released after it was discarded: got a record")
		}
		replies = s.deliver(e)
		for _, f := range release {
			f()
		}
		synctest.Wait()
		if got, want := repliesText(replies), "10 delivered"; got != want {
			t.Errorf("again: got %q, want %q", got, want)
		}
	})
}
