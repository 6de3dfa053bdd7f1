package saf_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/saf"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// report tells the keeper what became of the answer that it has sent last.
func (b *bench) report(r dht.Report) {
	all := b.sender.sends()
	b.node.System().Root.Send(b.part.Keeper, dht.Sent{ID: all[len(all)-1].ID, Report: r})
	synctest.Wait()
}

// storeFor has n messages of that length stored for a new peer, and returns the peer.
func (b *bench) storeFor(n, length int) identity.NodeID {
	b.t.Helper()
	to := b.secret().PublicKey()
	for range n {
		if got, want := b.offer(b.sealedBody(to, make([]byte, length))), "dht.DirectOrClosest"; got != want {
			b.t.Fatalf("got a message %s, want it stored", got)
		}
	}
	return to.NodeID()
}

// ask sends a request of a peer, and returns how many answers were sent since the start.
func (b *bench) ask(from identity.NodeID) int {
	b.request(from, wire.StoredRequest{RequestID: 1}.Append(nil))
	return len(b.sender.sends())
}

// TestKeeperWithoutCredit: an answer without credit is sent again until it has some, or
// until the requester waits no more.
func TestKeeperWithoutCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, kv.Memory())
		peer := b.storeFor(1, 100)
		b.ask(peer)
		for want := 2; want <= 25; want++ {
			b.report(dht.Report{Reason: dht.SendOverloaded, Err: actors.ErrOverloaded})
			if s := b.state(); s.Answers != 0 || s.Waiting != 1 || s.Requests.UnderWay != 1 {
				t.Fatalf("without credit: got %+v, want the request to wait", s)
			}
			time.Sleep(time.Second)
			if got := len(b.sender.sends()); got != want {
				t.Fatalf("after %d s: got %d sends, want %d", want-1, got, want)
			}
		}
		b.report(dht.Report{Reason: dht.SendOverloaded, Err: actors.ErrOverloaded})
		time.Sleep(time.Minute)
		if got := len(b.sender.sends()); got != 25 {
			t.Errorf("a minute later: got %d sends, want no more than 25", got)
		}
		if s := b.state(); s.Dropped != 1 || s.Waiting != 0 || s.Requests.UnderWay != 0 {
			t.Errorf("a minute later: got %+v, want the request dropped", s)
		}
	})
}

// TestKeeperWithoutOutcome: an answer of which nothing is heard ends, and the peer may ask
// again.
func TestKeeperWithoutOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, kv.Memory())
		peer := b.storeFor(1, 100)
		b.ask(peer)
		time.Sleep(29 * time.Second)
		if s := b.state(); s.Answers != 1 || s.Requests.UnderWay != 1 {
			t.Errorf("got %+v, want one under way", s)
		}
		time.Sleep(2 * time.Second)
		if s := b.state(); s.Answers != 0 || s.Requests.UnderWay != 0 || s.Messages != 1 {
			t.Errorf("got %+v, want none under way, and its message still stored", s)
		}
		if got := b.ask(peer); got != 2 {
			t.Errorf("got %d answers, want a second one", got)
		}
	})
}

// TestKeeperShortAnswersPass: peers that read large answers slowly hold up other large ones,
// and no short ones.
func TestKeeperShortAnswersPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, kv.Memory())
		const atOnce = 4
		var slow []identity.NodeID
		for range atOnce + 1 {
			slow = append(slow, b.storeFor(5, 100_000))
		}
		short := b.storeFor(10, 5_000)
		for i, peer := range slow {
			if got, want := b.ask(peer), min(i+1, atOnce); got != want {
				t.Errorf("large answer %d: got %d under way, want %d", i, got, want)
			}
		}
		if got := b.ask(short); got != atOnce+1 {
			t.Errorf("got %d answers under way, want the short one under way", got)
		}
		if s := b.state(); s.Answers != atOnce+1 || s.Waiting != 1 {
			t.Errorf("got %+v, want the last large one to wait", s)
		}
		b.report(dht.Report{}) // of the short one
		if s := b.state(); s.Answers != atOnce || s.Waiting != 1 {
			t.Errorf("when the short one has ended: got %+v, want the last large one to wait", s)
		}
		b.node.System().Root.Send(b.part.Keeper, dht.Sent{ID: b.sender.sends()[0].ID})
		if got := len(b.sender.sends()); got != atOnce+2 {
			t.Errorf("when a large one has ended: got %d answers, want the last one under way", got)
		}
	})
}

// TestKeeperStrangers: peers for which nothing is stored, however many ask, do not keep one
// from its messages for which some are.
func TestKeeperStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, kv.Memory())
		peer := b.storeFor(1, 100)
		const strangers = 40
		for n := range byte(strangers) {
			for range saf.PeerRequests {
				b.ask(identity.NodeID{7, n})
				b.report(dht.Report{})
			}
		}
		if got, want := b.ask(peer), strangers*saf.PeerRequests+1; got != want {
			t.Errorf("got %d answers, want %d", got, want)
		}
	})
}

// TestKeeperSlowReaders: peers that do not read their short answers do not hold up another one.
func TestKeeperSlowReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, kv.Memory())
		const slow = 200
		for range slow {
			b.ask(b.storeFor(1, 100))
		}
		if got := b.ask(b.storeFor(1, 100)); got != slow+1 {
			t.Errorf("got %d answers, want %d", got, slow+1)
		}
	})
}

// TestKeeperCutAnswer: a peer that has waited for 5 s because others read large answers slowly
// gets the oldest of its messages in a short one.
func TestKeeperCutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, kv.Memory())
		for range 4 {
			b.ask(b.storeFor(5, 100_000))
		}
		peer := b.storeFor(10, 20_000)
		if got := b.ask(peer); got != 4 {
			t.Errorf("got %d answers at once, want four", got)
		}
		time.Sleep(5 * time.Second)
		all := b.sender.sends()
		if len(all) != 5 {
			t.Fatalf("got %d answers 5 s later, want five", len(all))
		}
		first, err := wire.DecodeStoredResponse(all[4].Message.Part)
		if err != nil || len(first.Messages) != 2 {
			t.Errorf("got %d messages, %v, want the two that fit 64 KiB", len(first.Messages), err)
		}
		b.report(dht.Report{Copies: []dht.Copy{{Outcome: protocol.Outcome{Kind: protocol.Confirmed}}}})
		b.ask(peer)
		time.Sleep(5 * time.Second)
		all = b.sender.sends()
		second, err := wire.DecodeStoredResponse(all[len(all)-1].Message.Part)
		if err != nil || len(all) != 6 || len(second.Messages) != 2 || slices.Equal(second.Messages[0].Body, first.Messages[0].Body) {
			t.Errorf("got answer %d with %d messages, %v, want the next two", len(all), len(second.Messages), err)
		}
		large := b.storeFor(2, 100_000)
		b.ask(large)
		time.Sleep(10 * time.Second)
		if got := len(b.sender.sends()); got != 6 {
			t.Errorf("got %d answers, want the one with a large message to wait", got)
		}
	})
}

// TestKeeperAnswerLeavesRoom: an answer takes less than half of what its peer may have
// outstanding, unless a single message is larger.
func TestKeeperAnswerLeavesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			credit int64
			want   int // messages of an answer
		}{{1 << 20, 5}, {4 << 20, 20}} {
			b := newBench(t, kv.Memory(), func(s *actors.Settings) { s.NodeCredit, s.PeerCredit = 1<<30, c.credit })
			b.ask(b.storeFor(30, 100_000))
			got, err := wire.DecodeStoredResponse(b.sender.sends()[0].Message.Part)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Messages) != c.want {
				t.Errorf("with credit %d: got %d messages of 100,000 bytes, want %d", c.credit, len(got.Messages), c.want)
			}
		}
	})
}
