package dht_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// storm drives an outbound machine by bytes, and checks after each event what
// must hold whatever happens. Now and then the machine is thrown away and another
// takes its place.
type storm struct {
	*desk
	bytes    []byte
	pace     int
	window   int64
	meters   map[identity.NodeID]*meter
	pending  []uint64 // accepted, carried out by nobody yet
	limits   map[uint64]time.Time
	messages map[uint64]dht.Message
	parked   []uint64
	doubted  map[uint64]map[identity.NodeID]bool // of a send: peers at which a try was in doubt
	seen     map[uint64]bool                     // numbers of writes
	stale    []dht.Write                         // of machines that are no more
	calls    map[uint64]int                      // of changed
	closed   bool
	untold   time.Duration // that passed without a word to the machine
}

const relayedBit = 1 << 63

func (s *storm) next() int {
	if len(s.bytes) == 0 {
		return 0
	}
	b := s.bytes[0]
	s.bytes = s.bytes[1:]
	return int(b)
}

// runStorm lets the events of data happen.
func runStorm(t testing.TB, data []byte) {
	t.Helper()
	s := &storm{
		bytes: data, meters: map[identity.NodeID]*meter{}, limits: map[uint64]time.Time{}, messages: map[uint64]dht.Message{},
		doubted: map[uint64]map[identity.NodeID]bool{}, seen: map[uint64]bool{}, calls: map[uint64]int{},
	}
	s.pace = s.next()%8 + 1
	s.window = int64(s.next()) * 16
	s.desk = newDesk(t, villagers, s.set)
	s.discovers = true
	for len(s.bytes) > 0 {
		s.step()
		s.check()
	}
	s.finish()
}

func (s *storm) set(o *dht.OutboundOptions) {
	o.Pace, o.Window = s.pace, max(1, s.window)
	o.Online = func(identity.NodeID) bool { return s.ids%2 == 0 } // now everybody is, now nobody
}

func (s *storm) name() string { return string("abcdegjm"[s.next()%8]) }

func (s *storm) strategy() dht.Strategy {
	switch s.next() % 8 {
	case 0, 1, 2:
		return dht.Direct{Peer: idOf(s.name())}
	case 3:
		return dht.Flood{}
	case 4:
		return dht.Selected{Peers: []identity.NodeID{idOf(s.name()), idOf(s.name())}} // perhaps one twice
	case 5:
		return dht.Random{N: 3}
	case 6:
		// No point of the curve, so that nothing is encrypted and the test can read it.
		return dht.DirectKey{Key: identity.PublicKey{0: byte(s.next()), 31: 0xff}, Discover: true}
	}
	return dht.Propagate{Exclude: []identity.NodeID{idOf(s.name())}}
}

func (s *storm) step() {
	switch s.next() % 16 {
	case 0, 1, 2, 3:
		s.accept()
		s.carryOut(s.next()%8 != 0)
	case 4, 5:
		e := &wire.Envelope{Header: wire.Header{Version: 2}}
		e.Body = wire.AppendBody(nil, nil, numbered(relayedBit|uint64(s.next())))
		r := s.relayed(s.name(), e, s.strategy())
		r.Again = s.next()%4 == 0
		s.happened(s.o.Relay(s.now, r))
	case 6, 7, 8, 9:
		if len(s.under) > 0 {
			i := 0
			if s.next()%4 == 0 { // not the oldest
				i = s.next() % len(s.under)
			}
			s.answer(s.under[i], s.outcome())
		}
	case 10:
		s.happened(s.o.Connected(s.now, idOf(s.name())))
	case 11:
		if n := len(s.parked); n > 0 {
			i := s.next() % n
			id := s.parked[i]
			s.parked = slices.Delete(s.parked, i, i+1)
			var err error
			if s.next()%2 == 0 {
				err = errors.New("not found")
			}
			s.happened(s.o.Discovered(s.now, s.now, id, idOf(s.name()), err))
		}
	case 12:
		s.wait(time.Duration(s.next()*s.next()) * time.Millisecond)
	case 13: // nobody tells the machine
		d := time.Duration(s.next()) * 100 * time.Millisecond
		s.now, s.untold = s.now.Add(d), s.untold+d
	case 14:
		switch s.next() % 8 {
		case 0:
			s.restart()
		case 1:
			s.happened(s.o.Finish(s.now))
		case 2:
			s.closed = true
			s.happened(s.o.Close(s.now))
		default:
			s.carryOut(true)
		}
	case 15:
		if len(s.stale) > 0 { // an outcome for a machine that is no more
			s.happened(s.o.Sent(s.now, s.stale[0].ID, s.outcome()))
			if len(s.writes)+len(s.progress) > 0 && s.wake.After(s.now) {
				s.t.Fatal("got something done about an outcome of the machine before")
			}
			s.stale = s.stale[1:]
		} else {
			id := idOf(s.name())
			s.paced[id] = !s.paced[id]
		}
	}
}

func (s *storm) outcome() protocol.Outcome {
	return []protocol.Outcome{
		confirmed, confirmed, confirmed, lost, lost, overloaded, sessionEnd, unreached, refused, tooLate, lateDoubt,
	}[s.next()%11]
}

// accept enters a send in the ledger.
func (s *storm) accept() {
	s.ids++
	id := s.ids
	m := dht.Message{To: s.strategy(), Body: append(numbered(id), make([]byte, s.next()*4)...)}
	switch limit := s.next(); {
	case limit < 128:
		m.Limit = time.Duration(limit) * time.Second
	case limit == 128:
		m.Encrypt = true // for nobody, often
	}
	s.entries[id] = s.ledger.Accept(s.now, id, &m, func() { s.calls[id]++ })
	most := m.Limit
	if most <= 0 || most > time.Minute {
		most = time.Minute
	}
	s.limits[id] = s.now.Add(most)
	s.pending = append(s.pending, id)
	s.messages[id] = m
}

// carryOut has the machine take what was accepted, or has one refused.
func (s *storm) carryOut(take bool) {
	for _, id := range s.pending {
		if !take {
			s.ledger.Fail(s.now, id, dht.SendClosed, nil)
			s.ends[id]++
			take = true
			continue
		}
		if !s.ledger.Take(id) || s.ledger.Take(id) {
			s.t.Fatalf("send %d: got it taken never or twice", id)
		}
		s.ledger.Fail(s.now, id, dht.SendClosed, nil) // is not for others to end
		s.happened(s.o.SendUntil(s.now, s.now, id, s.messages[id], s.limits[id]))
	}
	s.pending = nil
}

func (s *storm) answer(w dht.Write, o protocol.Outcome) {
	s.meter(w.Peer).got(s.now, w.ID, o)
	n := numberOf(s.t, w.Frame)
	if o.Kind == protocol.InDoubt && n&relayedBit == 0 {
		if s.doubted[n] == nil {
			s.doubted[n] = map[identity.NodeID]bool{}
		}
		s.doubted[n][w.Peer] = true
	}
	i := slices.IndexFunc(s.under, func(u dht.Write) bool { return u.ID == w.ID })
	s.under = slices.Delete(s.under, i, i+1)
	s.happened(s.o.Sent(s.now, w.ID, o))
}

func (s *storm) meter(id identity.NodeID) *meter {
	if s.meters[id] == nil {
		s.meters[id] = newMeter(s.t, s.pace)
	}
	return s.meters[id]
}

// happened judges the effects of an event.
func (s *storm) happened(fx *dht.OutboundEffects) {
	s.t.Helper()
	s.apply(fx)
	for _, d := range s.searches {
		if !d.Until.Equal(s.limits[d.ID]) {
			s.t.Fatalf("send %d: got a search until %v, want %v", d.ID, d.Until, s.limits[d.ID])
		}
		s.parked = append(s.parked, d.ID)
	}
	for _, w := range s.withdrawn {
		if !slices.ContainsFunc(s.under, func(u dht.Write) bool { return u.ID == w.ID && u.Peer == w.Peer }) {
			s.t.Fatalf("write %d: got it withdrawn, and it is not under way", w.ID)
		}
	}
	before := s.under[:len(s.under)-len(s.writes)]
	given := map[identity.NodeID]int64{}
	for _, w := range before {
		given[w.Peer] += int64(len(w.Frame)) + 256
	}
	for _, w := range s.writes {
		n := numberOf(s.t, w.Frame)
		switch {
		case s.seen[w.ID]:
			s.t.Fatalf("write %d: got it twice", w.ID)
		case s.closed:
			s.t.Fatalf("write %d: got it after the end", w.ID)
		case n&relayedBit == 0 && !s.now.Before(s.limits[n]):
			s.t.Fatalf("send %d: got it written %v after its limit", n, s.now.Sub(s.limits[n]))
		case n&relayedBit == 0 && s.ends[n] > 0 && s.entries[n].Report().End.Before(s.now):
			s.t.Fatalf("send %d: got it written after its end", n)
		}
		s.seen[w.ID] = true
		cost := int64(len(w.Frame)) + 256
		if given[w.Peer] > 0 && given[w.Peer]+cost > max(1, s.window) {
			s.t.Fatalf("got %d bytes given to one peer, want at most %d", given[w.Peer]+cost, s.window)
		}
		given[w.Peer] += cost
		if s.paced[w.Peer] {
			s.meter(w.Peer).gave(s.now, w.ID)
		} else {
			s.meter(w.Peer).freely(w.ID)
		}
	}
}

// wait lets time pass with the wakes in it.
func (s *storm) wait(d time.Duration) {
	still := 0
	for end := s.now.Add(d); ; still++ {
		if s.wake.IsZero() || s.wake.After(end) {
			s.now = end
			s.inTime()
			return
		}
		if s.now.Before(s.wake) {
			s.now, still = s.wake, 0
		}
		s.busy(still)
		s.wake = time.Time{}
		s.happened(s.o.Due(s.now))
		s.check()
	}
}

// inTime sees, when the machine has had all its wakes, that no send it took is
// open at its limit.
func (s *storm) inTime() {
	s.t.Helper()
	for id, limit := range s.limits {
		if s.now.After(limit) && !slices.Contains(s.pending, id) && !s.entries[id].Ended() {
			s.t.Fatalf("send %d: got it open %v after its limit", id, s.now.Sub(limit))
		}
	}
}

// restart throws the machine away. What it had under way is nobody's.
func (s *storm) restart() {
	s.stale = append(s.stale, s.under...)
	s.under, s.parked, s.closed = nil, nil, false
	s.meters = map[identity.NodeID]*meter{} // the pace begins anew
	before, ended := s.ledger.Counts()
	open := before - ended - uint64(len(s.pending))
	s.ledger.Abandon(s.now)
	for _, l := range s.o.Abandon() {
		l.Discard()
	}
	if n := s.held(); n != 0 {
		s.t.Fatalf("got the credit of %d messages held by a machine that is no more", n)
	}
	if _, after := s.ledger.Counts(); after-ended != open {
		s.t.Fatalf("got %d sends abandoned, want the %d that were taken", after-ended, open)
	}
	for id, e := range s.entries {
		if e.Ended() && s.ends[id] == 0 {
			s.ends[id]++
			r := e.Report()
			if len(r.Copies) == 0 && r.Reason != dht.SendClosed {
				s.t.Fatalf("send %d: got %q, want closed", id, r.Reason)
			}
			for _, c := range r.Copies {
				if c.Tries == 0 && c.Outcome.Kind != protocol.Failed || c.Outcome.Kind == protocol.Failed && s.doubted[id][c.Peer] && c.Tries > 0 && c.At.Equal(s.now) && c.Outcome.Err != nil {
					s.t.Fatalf("send %d: got %v after %d tries", id, c.Outcome, c.Tries)
				}
			}
		}
	}
	s.begin(s.set)
}

// check holds the sums together.
func (s *storm) check() {
	s.t.Helper()
	c := s.o.Counts()
	sends, copies := s.o.Len()
	own := c.Copies - c.Confirmed - c.InDoubt - c.Failed
	relays := c.RelayCopies - c.RelayConfirmed - c.RelayFailed.Total()
	if uint64(copies) != own+relays {
		s.t.Fatalf("got %d copies under way, want %d own and %d relayed", copies, own, relays)
	}
	wakes, listed := s.o.Sizes()
	if most := sends + int(relays) + s.o.Peers() + 1; wakes > most {
		s.t.Fatalf("got %d wakes for %d sends and peers", wakes, most)
	}
	if listed > 2*copies {
		s.t.Fatalf("got %d copies in the lists of peers, %d under way", listed, copies)
	}
	accepted, ended := s.ledger.Counts()
	if accepted != uint64(len(s.entries)) || accepted-ended != uint64(sends+len(s.pending)) {
		s.t.Fatalf("ledger: got %d accepted, %d ended; %d are under way, %d wait", accepted, ended, sends, len(s.pending))
	}
}

// finish answers everything, and sees that every send has ended once and that the
// machine holds nothing.
func (s *storm) finish() {
	s.t.Helper()
	if s.restart(); len(s.pending) > 0 {
		s.carryOut(true)
	}
	for range 3 {
		for len(s.under) > 0 {
			s.answer(s.under[0], confirmed)
		}
		s.wait(3 * time.Minute)
		s.check()
	}
	if held := s.o.Held(); held != "" {
		s.t.Fatalf("got %s held after everything has ended", held)
	}
	if n := s.held(); n != 0 {
		s.t.Fatalf("got the credit of %d messages held after everything has ended", n)
	}
	for id, e := range s.entries {
		r := e.Report()
		if !r.Ended() || s.ends[id] != 1 || r.Open() != 0 {
			s.t.Fatalf("send %d: got ended %v, %d ends, %d open", id, r.Ended(), s.ends[id], r.Open())
		}
		if s.calls[id] == 0 {
			s.t.Fatalf("send %d: got no call for its end", id)
		}
		for _, c := range r.Copies {
			if c.Tries == 0 && c.Outcome.Kind != protocol.Failed {
				s.t.Fatalf("send %d: got %v without a try", id, c.Outcome)
			}
		}
		if late := r.End.Sub(s.limits[id]); late > s.untold {
			s.t.Fatalf("send %d: got an end %v after its limit", id, late)
		}
		s.doubts(id, r)
	}
}

// doubts: at a peer where a try was in doubt, a copy that was tried has not
// failed.
func (s *storm) doubts(id uint64, r dht.Report) {
	s.t.Helper()
	n := map[identity.NodeID]int{}
	for _, c := range r.Copies {
		n[c.Peer]++
	}
	for _, c := range r.Copies {
		if n[c.Peer] == 1 && s.doubted[id][c.Peer] && c.Outcome.Kind == protocol.Failed {
			s.t.Fatalf("send %d: got %v at %v, which was written once", id, c.Outcome, c.Peer)
		}
	}
}

// TestStorm lets thousands of events happen in random order, 100 times, and 300 times with GAMELAN_LONG.
//
// conforms: V 15, 28
func TestStorm(t *testing.T) {
	seeds := uint64(100)
	if os.Getenv("GAMELAN_LONG") != "" {
		seeds = 300
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 9))
			data := make([]byte, 2000+r.IntN(4000))
			for i := 0; i+8 <= len(data); i += 8 {
				binary.LittleEndian.PutUint64(data[i:], r.Uint64())
			}
			runStorm(t, data)
		})
	}
}

func FuzzOutbound(f *testing.F) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 10))
		data := make([]byte, 60)
		for i := range data {
			data[i] = byte(r.Uint64())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<14 {
			t.Skip()
		}
		runStorm(t, data)
	})
}
