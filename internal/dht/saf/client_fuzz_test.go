package saf_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// watched is a client, and what must always hold of it.
type watched struct {
	*saf.Client[int]
	o         saf.ClientOptions
	now       time.Time
	step      time.Duration // of the wall clock
	connected map[identity.NodeID]bool
	serves    map[identity.NodeID]bool
	asks      map[identity.NodeID][]time.Time
	ids       map[identity.NodeID][]uint32 // of requests
	conns     map[identity.NodeID]uint64   // the last connection
	taken     map[identity.NodeID]int      // answers
	open      []identity.NodeID            // answers that have not ended
	waiting   map[int]bool
	marks     map[identity.NodeID]uint64
	told      bool
}

func newWatched(o saf.ClientOptions) *watched {
	o.Random = rand.New(rand.NewPCG(3, 4))
	return &watched{
		Client: saf.NewClient[int](o), o: o, now: wall, connected: make(map[identity.NodeID]bool), serves: make(map[identity.NodeID]bool),
		asks: make(map[identity.NodeID][]time.Time), ids: make(map[identity.NodeID][]uint32), conns: make(map[identity.NodeID]uint64), taken: make(map[identity.NodeID]int),
		waiting: make(map[int]bool), marks: make(map[identity.NodeID]uint64),
	}
}

func (w *watched) do(t *testing.T, e saf.ClientEvent) {
	t.Helper()
	w.check(t, w.Step(w.now, w.now.Add(w.step), e))
	if next := w.Next(); !next.IsZero() && !next.After(w.now) {
		t.Fatalf("after %T at %v: due again at %v", e, w.now, next)
	}
}

func (w *watched) check(t *testing.T, effects []saf.ClientEffect) {
	t.Helper()
	for _, effect := range effects {
		switch f := effect.(type) {
		case saf.Ask:
			if !w.connected[f.Peer] || !w.serves[f.Peer] {
				t.Fatalf("asks %v, which is not connected, or serves nothing", nameOf(f.Peer))
			}
			if f.Request.Limit != saf.AnswerLimit || !w.o.SinceLast && f.Request.Since != 0 {
				t.Fatalf("asks %+v", f.Request)
			}
			list := append(w.asks[f.Peer], w.now)
			w.asks[f.Peer], w.ids[f.Peer] = list, append(w.ids[f.Peer], f.Request.RequestID)
			if i := len(list) - 1 - saf.RequestBurst; i >= 0 && w.now.Sub(list[i]) < saf.RequestPause {
				t.Fatalf("%d requests to %v in %v", saf.RequestBurst+1, nameOf(f.Peer), w.now.Sub(list[i]))
			}
		case saf.Done[int]:
			if !w.waiting[f.Waiter] {
				t.Fatalf("the waiter %d has its answer already", f.Waiter)
			}
			delete(w.waiting, f.Waiter)
			if (f.Err == nil) != (len(f.Servers) > 0) || len(f.Servers) > saf.MaxServers {
				t.Fatalf("got %d servers, %v", len(f.Servers), f.Err)
			}
			for _, r := range f.Servers {
				if r.Delivered+r.Duplicates+r.Refused+r.Skipped != r.Messages {
					t.Fatalf("got %+v", r)
				}
			}
		case saf.Save:
			if f.Stored <= w.marks[f.Server] {
				t.Fatalf("the watermark of %v goes from %d to %d", nameOf(f.Server), w.marks[f.Server], f.Stored)
			}
			w.marks[f.Server] = f.Stored
		case saf.Silent:
			if !f.Till.After(w.now) {
				t.Fatalf("silent until %v, which is over at %v", f.Till, w.now)
			}
		case saf.Received:
			if w.told {
				t.Fatal("said twice")
			}
			w.told = true
		default:
			t.Fatalf("effect %T", f)
		}
	}
}

// answer ends an answer of the peer with these messages.
func (w *watched) answer(t *testing.T, peer identity.NodeID, from, n int, fault byte) {
	t.Helper()
	e := saf.Answered{Peer: peer, Judged: saf.Judged{Messages: n, Newest: uint64(w.now.Unix())}}
	for i := range n {
		h := wire.Hash{byte(from + i), byte((from + i) >> 8)}
		e.Hashes = append(e.Hashes, h)
		e.Letters = append(e.Letters, saf.Letter{Hash: h, StoredAt: uint64(w.now.Unix())})
		e.Deliveries = append(e.Deliveries, saf.Delivery((from+i)%3))
	}
	if fault&1 != 0 {
		e.Err = errors.New("damaged")
	}
	if fault&3 == 3 {
		e.Violation = protocol.Violated("dht", protocol.BanLong, e.Err)
	}
	w.do(t, e)
}

// FuzzClient feeds the machine with events. Each request keeps the pace, each waiter has one
// answer, watermarks only rise, the machine is never due in the past, and everything ends
// when nobody answers any more.
func FuzzClient(f *testing.F) {
	f.Add([]byte{0, 0, 9, 0, 16, 5, 1, 5, 1})
	f.Add([]byte{1, 0, 0, 0, 1, 2, 0, 6, 0, 50, 6, 0, 50, 9, 200, 3, 0, 9, 255, 7, 1})
	f.Add([]byte{2, 8, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 9, 30, 6, 1, 51, 6, 2, 3, 4, 3, 9, 60, 1, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		next := func() byte {
			if len(b) == 0 {
				return 0
			}
			x := b[0]
			b = b[1:]
			return x
		}
		flags := next()
		w := newWatched(saf.ClientOptions{NoRequests: flags&1 != 0, SinceLast: flags&2 != 0, Minimise: int(flags >> 2 & 3)})
		waiters := 0
		for len(b) > 0 {
			op, x := next(), next()
			peer := identity.NodeID{'A' + x%6}
			switch op % 13 {
			case 0:
				w.connected[peer], w.serves[peer] = true, x < 200
				w.conns[peer]++
				w.do(t, saf.Connected{Peer: peer, Conn: w.conns[peer], Serves: x < 200})
			case 1:
				conn := w.conns[peer] - uint64(x/128) // the last one, or one before it
				w.connected[peer] = w.connected[peer] && x >= 128
				w.do(t, saf.Disconnected{Peer: peer, Conn: conn})
			case 2, 3:
				waiters++
				w.waiting[waiters] = true
				e := saf.Fetch[int]{Waiter: waiters}
				for i := range x % 4 {
					e.Servers = append(e.Servers, identity.NodeID{'A' + (x/4+i)%7})
				}
				w.do(t, e)
			case 4:
				delete(w.waiting, int(x))
				w.do(t, saf.GaveUp[int]{Waiter: int(x)})
			case 5:
				id := uint32(0)
				if list := w.ids[peer]; len(list) > 0 {
					id = list[len(list)-1-int(x)/6%len(list)]
				}
				w.do(t, saf.NotSent{Peer: peer, ID: id, Err: errors.New("full")})
			case 6:
				if w.Open(w.now, peer, 0) {
					if w.taken[peer]++; w.taken[peer] > len(w.asks[peer]) {
						t.Fatalf("%d answers of %v to %d requests", w.taken[peer], nameOf(peer), len(w.asks[peer]))
					}
					w.answer(t, peer, int(next())*32, int(next())%52, x/64)
				}
			case 7:
				if w.Open(w.now, peer, 0) {
					w.taken[peer]++
					w.open = append(w.open, peer)
				}
			case 8:
				if n := len(w.open); n > 0 {
					peer := w.open[n-1]
					w.open = w.open[:n-1]
					w.answer(t, peer, int(next()), int(x)%52, 0)
				}
			case 9:
				w.now = w.now.Add(time.Duration(x) * time.Second / 2)
				w.do(t, saf.Due{})
			case 10:
				w.step += time.Duration(int8(x)) * time.Hour
				w.do(t, saf.Online{Peers: int(x % 4)})
			case 12:
				w.do(t, saf.Missed{})
			case 11:
				if x < 20 {
					w.check(t, w.Abandon(w.now, w.now.Add(w.step), errors.New("restarted")))
				}
			}
		}
		for _, peer := range w.open { // every answer ends, at the latest when it is given up
			w.answer(t, peer, 0, 0, 0)
		}
		for i := 0; !w.Next().IsZero(); i++ {
			if i > 1000 {
				t.Fatal("the machine does not come to rest")
			}
			w.now = w.Next()
			w.do(t, saf.Due{})
		}
		if len(w.waiting) > 0 || w.Fetches() > 0 {
			t.Fatalf("%d waiters, %d fetches are left", len(w.waiting), w.Fetches())
		}
	})
}
