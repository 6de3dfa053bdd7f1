package safpart_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// report tells the keeper what became of the answer that it has sent last.
func (b *bench) report(r dht.Report) {
	all := b.sender.sends()
	b.reportOf(all[len(all)-1], r)
}

func (b *bench) reportOf(m dht.SendControl, r dht.Report) {
	b.node.System().Root.Send(b.part.Keeper, dht.Sent{ID: m.ID, Report: r})
	synctest.Wait()
}

var confirmed = dht.Report{Copies: []dht.Copy{{Outcome: protocol.Outcome{Kind: protocol.Confirmed}}}}

// connects has a peer be connected from an address.
func (b *bench) connects(peer identity.NodeID, from string) {
	ref := &actors.ConnRef{ID: 1, Peer: peer, Direction: protocol.Outbound, Addr: ma.StringCast(from + "/tcp/1")}
	b.node.System().Root.Send(b.part.Keeper, actors.PeerConnected{Peer: peer, Conn: ref})
}

// receiver returns whom an answer is for.
func receiver(m dht.SendControl) identity.NodeID { return m.Message.To.(dht.Direct).Peer }

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
		b.moving.Store(true)
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
		b.report(confirmed)
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
			b := newBench(t, kv.Memory(), func(s *trunk.Settings) { s.Messages.NodeCredit, s.Messages.PeerCredit = 1<<30, c.credit })
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

// TestKeeperStandingAnswers: all answers together have a part of the credit. Further requests are
// answered in the order of what their sources have under way. While they wait, answers that do not
// move are given up, as many as are needed: those of the source with most first, and the oldest of it.
//
// conforms: V 39
func TestKeeperStandingAnswers(t *testing.T) {
	const (
		length = 54_000
		fit    = 69 // such answers, each padded to 60 kB, into 4 MiB
		many   = fit + 5
	)
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, kv.Memory())
		stores := func(from string) identity.NodeID {
			t.Helper()
			peer := b.storeFor(1, length)
			b.connects(peer, from)
			return peer
		}
		var crowd []identity.NodeID // of one source
		for i := range many {
			crowd = append(crowd, stores("/ip4/60.0.0.1"))
			if got, want := b.ask(crowd[i]), min(i+1, fit); got != want {
				t.Fatalf("answer %d: got %d under way, want %d", i, got, want)
			}
		}
		others := []identity.NodeID{stores("/ip4/70.0.0.1"), stores("/ip4/70.0.0.1"), stores("/ip4/80.0.0.1")}
		for _, peer := range others {
			b.ask(peer)
		}
		b.moving.Store(true)
		time.Sleep(4 * time.Second)
		if s := b.state(); s.GaveUp != 0 || s.Waiting != many-fit+3 {
			t.Errorf("while all move: got %d given up and %d that wait, want 0 and %d", s.GaveUp, s.Waiting, many-fit+3)
		}
		all := b.sender.sends()
		b.reportOf(all[0], confirmed)
		b.reportOf(all[1], confirmed)
		all = b.sender.sends()
		if got := []identity.NodeID{receiver(all[fit]), receiver(all[fit+1])}; !slices.Equal(got, []identity.NodeID{others[0], others[2]}) {
			t.Errorf("got answers to %v, want the first of each other source of %v", got, others)
		}

		b.moving.Store(false)
		time.Sleep(time.Second)
		cancelled := b.sender.cancelled()
		var want []uint64
		for _, m := range all[2 : 2+many-fit+1] {
			want = append(want, m.ID)
		}
		if !slices.Equal(cancelled, want) {
			t.Errorf("got %d given up, %v, want the oldest of the crowd, %v", len(cancelled), cancelled, want)
		}
		if s := b.state(); s.GaveUp != uint64(len(want)) || s.Waiting != 0 || s.Answers != fit {
			t.Errorf("got %d given up, %d that wait, %d under way, want %d, 0, %d", s.GaveUp, s.Waiting, s.Answers, len(want), fit)
		}
		b.reportOf(all[2], confirmed) // too late
		time.Sleep(10 * time.Second)
		if s := b.state(); s.GaveUp != uint64(len(want)) || s.Answers != fit {
			t.Errorf("while nobody waits: got %d given up, %d under way, want %d, %d", s.GaveUp, s.Answers, len(want), fit)
		}

		// Whoever has not confirmed an answer comes after others of its source.
		b.moving.Store(true)
		b.ask(crowd[2])
		fresh := stores("/ip4/60.0.0.1")
		b.ask(fresh)
		b.reportOf(b.sender.sends()[fit-1], confirmed)
		if last := b.sender.sends(); receiver(last[len(last)-1]) != fresh {
			t.Errorf("got an answer to %v, want one to %v", receiver(last[len(last)-1]), fresh)
		}
	})
}

// TestKeeperLargeAnswerWaits: a large answer that does not fit comes after short ones for five seconds, and
// holds them up after that, so that it is its turn some time. One above all that there is goes alone.
func TestKeeperLargeAnswerWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, kv.Memory(), func(s *trunk.Settings) { s.Messages.NodeCredit = 1 << 24 }) // 256 KiB for answers
		b.moving.Store(true)
		b.ask(b.storeFor(1, 54_000))
		large := b.storeFor(1, 500_000)
		if got := b.ask(large) + b.ask(b.storeFor(1, 100)); got != 3 {
			t.Errorf("got a sum of %d, want the large one to wait, and a short one under way at once", got)
		}
		time.Sleep(5 * time.Second)
		short := b.storeFor(1, 100)
		b.ask(short)
		all := b.sender.sends()
		b.reportOf(all[0], confirmed)
		b.reportOf(all[1], confirmed)
		if all = b.sender.sends(); len(all) != 3 || receiver(all[2]) != large {
			t.Fatalf("got %d answers, want the large one alone", len(all))
		}
		b.report(confirmed)
		if all = b.sender.sends(); len(all) != 4 || receiver(all[3]) != short {
			t.Errorf("got %d answers, want the short one", len(all))
		}
	})
}

// TestKeeperUntakenAnswers: peers that have not confirmed their last answer have half of what there is for
// answers, so that they hold up no others, and when they wait no others' answers are given up.
//
// conforms: V 39
func TestKeeperUntakenAnswers(t *testing.T) {
	const (
		length = 54_000
		fit    = 34 // such answers into 2 MiB
		many   = fit + 6
	)
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, kv.Memory())
		b.moving.Store(true)
		var crowd []identity.NodeID
		for range many {
			peer := b.storeFor(1, length)
			crowd = append(crowd, peer)
			b.ask(peer)
			b.report(dht.Report{Copies: []dht.Copy{{Outcome: protocol.Outcome{Kind: protocol.InDoubt}}}})
			b.request(peer, wire.StoredRequest{RequestID: 2, Since: uint64(time.Now().Add(time.Hour).Unix())}.Append(nil))
			b.report(confirmed) // an empty answer, which proves nothing
		}
		for _, peer := range crowd {
			b.ask(peer)
		}
		if s := b.state(); s.Answers != fit || s.Waiting != many-fit {
			t.Errorf("got %d under way and %d that wait, want %d and %d", s.Answers, s.Waiting, fit, many-fit)
		}
		for i := range 2 {
			if got, want := b.ask(b.storeFor(1, length)), 2*many+fit+1+i; got != want {
				t.Errorf("got %d answers, want %d: that of another peer at once", got, want)
			}
		}
		last := b.sender.sends()[2*many:]
		b.moving.Store(false)
		time.Sleep(20 * time.Second)
		cancelled := b.sender.cancelled()
		if len(cancelled) < many-fit || slices.Contains(cancelled, last[fit].ID) || slices.Contains(cancelled, last[fit+1].ID) {
			t.Errorf("got %v given up, want some, and not %d and %d", cancelled, last[fit].ID, last[fit+1].ID)
		}
	})
}
