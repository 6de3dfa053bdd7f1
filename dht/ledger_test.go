package dht_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// TestLedger follows one send from its acceptance to its end.
func TestLedger(t *testing.T) {
	l := dht.NewLedger()
	var e *dht.Entry
	calls := 0
	changed := func() {
		calls++
		e.Report() // the lock is free
		l.All()
	}
	m := &dht.Message{To: dht.Flood{}, Type: 7, Body: []byte("four"), Tag: 5}
	e = l.Accept(noon, 1, m, changed)
	if r := e.Report(); r.To != "flood" || r.Type != 7 || r.Size != 4 || r.Tag != 5 || !r.Begin.Equal(noon) || r.Ended() {
		t.Errorf("accepted: got %+v", r)
	}
	if calls != 0 {
		t.Errorf("got %d calls before the first change", calls)
	}
	peers := []identity.NodeID{idOf("a"), idOf("b")}
	steps := []dht.Progress{
		{Kind: dht.SendSelected, Peers: peers, Tag: 6},
		{Kind: dht.SendTried, Copy: 0},
		{Kind: dht.SendTried, Copy: 1},
		{Kind: dht.SendTried, Copy: 1},
		{Kind: dht.SendSettled, Copy: 0, Outcome: confirmed},
		{Kind: dht.SendSettled, Copy: 0, Outcome: refused}, // the first outcome stands
		{Kind: dht.SendSettled, Copy: 1, Outcome: lost},
		{Kind: dht.SendEnded},
		{Kind: dht.SendEnded, Reason: dht.SendClosed}, // nothing comes after the end
		{Kind: dht.SendSettled, Copy: 1, Outcome: confirmed},
		{Kind: dht.SendSelected},
	}
	for i, p := range steps {
		p.ID = 1
		l.Apply(noon.Add(time.Duration(i)*time.Second), p)
		if want := min(i+1, 8); calls != want {
			t.Errorf("step %d: got %d calls, want %d", i, calls, want)
		}
		if got := e.Ended(); got != (i >= 7) {
			t.Errorf("step %d: got ended %v", i, got)
		}
	}
	peers[0] = idOf("z") // the machine's list is used again
	r := e.Report()
	if r.Tag != 6 || r.Reason != 0 || !r.End.Equal(noon.Add(7*time.Second)) || len(r.Copies) != 2 {
		t.Fatalf("got %+v", r)
	}
	want := []dht.Copy{
		{Peer: idOf("a"), Outcome: confirmed, At: noon.Add(4 * time.Second), Tries: 1},
		{Peer: idOf("b"), Outcome: lost, At: noon.Add(6 * time.Second), Tries: 2},
	}
	for i := range want {
		if r.Copies[i] != want[i] {
			t.Errorf("copy %d: got %+v, want %+v", i, r.Copies[i], want[i])
		}
	}
	r.Copies[0].Outcome = lost // is the caller's
	if got := e.Report(); got.Copies[0].Outcome != confirmed || !e.Ended() {
		t.Errorf("got %+v, want the first copy confirmed, and the end", got)
	}
	if accepted, ended := l.Counts(); accepted != 1 || ended != 1 {
		t.Errorf("got %d accepted, %d ended", accepted, ended)
	}
	l.Apply(noon, dht.Progress{Kind: dht.SendEnded, ID: 99}) // nobody's
	l.Fail(noon, 99, dht.SendClosed, nil)
	if l.Take(99) || l.Take(1) {
		t.Error("got an unknown or an ended send taken")
	}
}

// TestLedgerTake: a send is taken once, and Fail does not end it then.
func TestLedgerTake(t *testing.T) {
	l := dht.NewLedger()
	cause := errors.New("no room")
	calls := 0
	taken := l.Accept(noon, 1, &dht.Message{To: dht.Flood{}}, func() { calls++ })
	refusal := l.Accept(noon, 2, &dht.Message{}, nil)
	if !l.Take(1) || l.Take(1) {
		t.Error("got it taken never or twice")
	}
	l.Fail(noon, 1, dht.SendOverloaded, cause)
	if taken.Ended() || calls != 0 {
		t.Error("got a send that is carried out ended by another")
	}
	l.Fail(noon, 2, dht.SendOverloaded, cause)
	if r := refusal.Report(); !r.Ended() || r.Reason != dht.SendOverloaded || !errors.Is(r.Err, cause) || r.To != "nobody" {
		t.Errorf("got %+v", r)
	}
	if l.Take(2) {
		t.Error("got an ended send taken")
	}
}

// TestLedgerAbandon: taken sends end, with the outcomes that are known; the others
// stay.
//
// conforms: dht 64
func TestLedgerAbandon(t *testing.T) {
	l := dht.NewLedger()
	calls := map[uint64]int{}
	var entries []*dht.Entry
	for id := range uint64(3) {
		entries = append(entries, l.Accept(noon, id+1, &dht.Message{To: dht.Flood{}}, func() { calls[id+1]++; l.All() }))
	}
	l.Take(1)
	l.Take(2)
	l.Apply(noon, dht.Progress{Kind: dht.SendSelected, ID: 1, Peers: []identity.NodeID{idOf("a"), idOf("b"), idOf("c")}})
	l.Apply(noon, dht.Progress{Kind: dht.SendTried, ID: 1, Copy: 0})
	l.Apply(noon, dht.Progress{Kind: dht.SendTried, ID: 1, Copy: 1})
	l.Apply(noon, dht.Progress{Kind: dht.SendSettled, ID: 1, Copy: 0, Outcome: refused})
	clear(calls)
	later := noon.Add(time.Second)
	l.Abandon(later)
	l.Abandon(later)
	if calls[1] != 1 || calls[2] != 1 || calls[3] != 0 {
		t.Errorf("got calls %v, want one for each that ended", calls)
	}
	r := entries[0].Report()
	if r.Copies[0].Outcome != refused || r.Copies[1].Outcome.Kind != protocol.InDoubt || r.Copies[2].Outcome.Kind != protocol.Failed || r.Reason != 0 {
		t.Errorf("got %+v", r)
	}
	if !r.End.Equal(later) || !r.Copies[1].At.Equal(later) || r.Copies[1].Outcome.Err == nil {
		t.Errorf("got %+v, want an end with a cause", r)
	}
	if r := entries[1].Report(); r.Reason != dht.SendClosed || r.Err == nil || !r.Failed() {
		t.Errorf("got %+v", r)
	}
	if entries[2].Ended() || !l.Take(3) {
		t.Error("got what nobody took ended")
	}
	l.Apply(later, dht.Progress{Kind: dht.SendSettled, ID: 1, Copy: 1, Outcome: confirmed}) // of the one before
	if got := entries[0].Report().Copies[1].Outcome.Kind; got != protocol.InDoubt {
		t.Errorf("got %v after the end", got)
	}
}

// TestLedgerKeeps: the last thousand that ended are remembered, oldest first, and
// all that are under way.
func TestLedgerKeeps(t *testing.T) {
	l := dht.NewLedger()
	const n = 2*dht.LedgerKept + 345
	for id := uint64(1); id <= n; id++ {
		l.Accept(noon, id, &dht.Message{To: dht.Flood{}, Tag: id % 500}, nil)
		if id%5 == 0 {
			continue
		}
		l.Fail(noon, id, dht.SendClosed, fmt.Errorf("%d", id))
		if id%97 != 0 {
			continue
		}
		all := l.All()
		if ended, open := int(id-id/5), int(id/5); len(all) != min(ended, dht.LedgerKept)+open {
			t.Fatalf("after %d: got %d reports, want %d ended, %d open", id, len(all), min(ended, dht.LedgerKept), open)
		}
	}
	all := l.All()
	for i, r := range all[:dht.LedgerKept] {
		k := n - n/5 - dht.LedgerKept + i // so many ended before
		if want := fmt.Sprint(k + k/4 + 1); r.Err.Error() != want {
			t.Fatalf("report %d: got that of %v, want that of %s", i, r.Err, want)
		}
	}
	for i, r := range all[dht.LedgerKept:] {
		if r.Ended() || r.Tag != uint64(i+1)*5%500 {
			t.Fatalf("open %d: got %+v", i, r)
		}
	}
	found := l.ByTag(100)
	if len(found) != 5 {
		t.Fatalf("got %d with the tag, want 5", len(found))
	}
	for _, r := range found {
		if r.Tag != 100 {
			t.Errorf("got tag %d, want 100", r.Tag)
		}
	}
	if found := l.ByTag(1); len(found) != 2 || !found[0].Ended() {
		t.Errorf("got %d with the tag, want the 2 that are remembered", len(found))
	}
	if accepted, ended := l.Counts(); accepted != n || ended != n-n/5 {
		t.Errorf("got %d accepted, %d ended", accepted, ended)
	}
}

// TestLedgerForgetsCallers: an ended send that is remembered does not keep alive
// what its caller gave.
func TestLedgerForgetsCallers(t *testing.T) {
	l := dht.NewLedger()
	calls := 0
	l.Accept(noon, 1, &dht.Message{To: dht.Flood{}}, func() { calls++ })
	l.Fail(noon, 1, dht.SendClosed, nil)
	if calls != 1 || l.Kept() != 0 {
		t.Errorf("got %d calls, %d callers kept, want 1, 0", calls, l.Kept())
	}
}

// TestLedgerConserves has many callers and several incarnations of who carries
// sends out meet at one ledger: each send ends once, in one report.
//
// conforms: dht 64
func TestLedgerConserves(t *testing.T) {
	l := dht.NewLedger()
	const callers, each = 4, 500
	type seen struct {
		mu   sync.Mutex
		ends map[uint64]int
		last map[uint64]dht.Report
	}
	s := seen{ends: map[uint64]int{}, last: map[uint64]dht.Report{}}
	work := make(chan uint64, 64)
	var send, carry sync.WaitGroup
	for c := range callers {
		send.Go(func() {
			r := rand.New(rand.NewPCG(uint64(c), 64))
			for i := range each {
				id := uint64(c*each + i + 1)
				var e *dht.Entry
				var ready sync.WaitGroup
				ready.Add(1)
				e = l.Accept(noon, id, &dht.Message{To: dht.Flood{}, Tag: id}, func() {
					ready.Wait()
					s.mu.Lock()
					defer s.mu.Unlock()
					now, before := e.Report(), s.last[id]
					for _, k := range []protocol.OutcomeKind{protocol.Confirmed, protocol.InDoubt, protocol.Failed} {
						if now.Count(k) < before.Count(k) {
							t.Errorf("send %d: got %+v after %+v", id, now, before)
						}
					}
					if s.last[id] = now; now.Ended() {
						s.ends[id]++
					}
				})
				ready.Done()
				switch r.IntN(10) {
				case 0:
					l.Fail(noon, id, dht.SendOverloaded, nil)
				default:
					work <- id
				}
			}
		})
	}
	carry.Go(func() {
		r := rand.New(rand.NewPCG(5, 64))
		for id := range work {
			if r.IntN(20) == 0 {
				l.Abandon(noon)
			}
			if !l.Take(id) {
				continue
			}
			peers := make([]identity.NodeID, r.IntN(4))
			if len(peers) == 0 {
				l.Apply(noon, dht.Progress{Kind: dht.SendEnded, ID: id, Reason: dht.NobodySelected})
				continue
			}
			l.Apply(noon, dht.Progress{Kind: dht.SendSelected, ID: id, Peers: peers, Tag: id})
			for i := range peers {
				l.Apply(noon, dht.Progress{Kind: dht.SendTried, ID: id, Copy: i})
			}
			if r.IntN(3) == 0 {
				continue // until it is abandoned
			}
			for i := range peers {
				l.Apply(noon, dht.Progress{Kind: dht.SendSettled, ID: id, Copy: i, Outcome: confirmed})
			}
			l.Apply(noon, dht.Progress{Kind: dht.SendEnded, ID: id})
		}
	})
	done := make(chan struct{})
	go func() { // somebody looks
		defer close(done)
		for {
			accepted, ended := l.Counts()
			for _, r := range l.All() {
				if r.Ended() && r.Open() != 0 {
					t.Errorf("got %+v, which has ended", r)
				}
			}
			if accepted == callers*each && ended == accepted {
				return
			}
		}
	}()
	send.Wait()
	close(work)
	carry.Wait()
	l.Abandon(noon)
	<-done
	if len(s.ends) != callers*each {
		t.Errorf("got %d sends ended, want %d", len(s.ends), callers*each)
	}
	for id, n := range s.ends {
		if n != 1 {
			t.Errorf("send %d: got %d ends, want 1", id, n)
		}
	}
}
