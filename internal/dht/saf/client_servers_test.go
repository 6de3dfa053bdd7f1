package saf_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
)

// keeper is a server of a world: it stores messages, and answers requests or does not.
type keeper interface {
	store(w *world, n int)
	asked(w *world, q wire.StoredRequest)
	written(w *world) // its answer has reached the client, as far as it knows
}

// ours is a server of this library.
type ours struct {
	id       identity.NodeID
	index    *saf.Index
	requests saf.Requests
	bodies   map[uint64]int
	bytes    int64
	skew     time.Duration // of its clock
	refs     []saf.Ref     // of the answer under way
}

func newOurs(name string) *ours {
	limits := limited(func(l *saf.Limits) { l.PairMessages = l.DestinationMessages }) // all messages come from one source
	return &ours{id: peerNamed(name), index: saf.NewIndex(limits), bodies: make(map[uint64]int), bytes: 1 << 20}
}

func (s *ours) store(w *world, n int) {
	e := w.envelope(n)
	ref, _, why := s.index.Add(w.now, saf.Record{
		Hash: e.DedupHash(), Destination: us.NodeID(), Source: author.NodeID(), StoredAt: w.now.Add(s.skew).Unix(),
		Size: saf.Size(len(e.Append(nil))), Priority: saf.High,
	})
	if why != 0 {
		w.t.Fatalf("message %d: %v", n, why)
	}
	s.bodies[ref.Seq] = n
}

func (s *ours) asked(w *world, q wire.StoredRequest) {
	switch a := s.requests.Ask(w.now, us.NodeID(), here, true, q); a {
	case saf.AnswerNow:
		s.answer(w, q)
	case saf.AnswerLater:
	default:
		w.t.Errorf("at %v: the request is dropped: %v", w.now.Sub(wall), a)
	}
}

func (s *ours) answer(w *world, q wire.StoredRequest) {
	var list []saf.Stored
	s.refs = nil
	for _, item := range s.index.Answer(w.now, us.NodeID(), q, s.bytes) {
		e := w.envelope(s.bodies[item.Seq])
		list = append(list, saf.Stored{StoredAt: item.StoredAt, Envelope: e.Append(nil)})
		s.refs = append(s.refs, item.Ref)
	}
	part, damaged := saf.AppendAnswer(nil, q, w.now.Add(s.skew), list)
	if len(damaged) > 0 {
		w.t.Fatalf("%d messages are damaged", len(damaged))
	}
	w.send(s, s.id, part)
}

func (s *ours) written(w *world) {
	if s.refs != nil {
		s.index.Confirmed(w.now, s.refs)
	}
	if q, ok := s.requests.Done(us.NodeID()); ok {
		s.answer(w, q)
	}
}

// theirs is a server of the reference: it sends the newest 50, always the same.
type theirs struct {
	id   identity.NodeID
	list []int
	at   []int64
	skew time.Duration // of its clock
}

func (s *theirs) store(w *world, n int) {
	s.list, s.at = append(s.list, n), append(s.at, w.now.Add(s.skew).Unix())
}

func (s *theirs) asked(w *world, q wire.StoredRequest) {
	var list []stored
	for i := len(s.list) - 1; i >= 0 && len(list) < int(q.Limit); i-- {
		if q.Since == 0 || uint64(s.at[i]) > q.Since {
			e := w.envelope(s.list[i])
			list = append(list, stored{uint64(s.at[i]), e.Header.Append(nil), e.Body})
		}
	}
	w.send(s, s.id, response(list...)[0])
}

func (s *theirs) written(*world) {}

// silent is a server of a release without store and forward.
type silent struct{}

func (silent) store(*world, int)                    {}
func (silent) asked(w *world, _ wire.StoredRequest) { w.unheard++ }
func (silent) written(*world)                       {}

// world is a client, its servers, and the time between them.
type world struct {
	t       *testing.T
	client  *saf.Client[int]
	judge   *saf.Judge
	random  *rand.Rand
	now     time.Time
	ahead   time.Duration // of the client's wall clock
	servers map[identity.NodeID]keeper
	later   []event
	loss    float64 // of requests and answers, and of what confirms these

	delivered map[wire.Hash]uint32
	results   map[int]saf.Done[int]
	answers   int
	unheard   int
}

type event struct {
	at time.Time
	do func()
}

func newWorld(t *testing.T, seed uint64, o saf.ClientOptions) *world {
	w := &world{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), now: wall, servers: make(map[identity.NodeID]keeper),
		delivered: make(map[wire.Hash]uint32), results: make(map[int]saf.Done[int]),
	}
	o.Random = w.random
	w.client = saf.NewClient[int](o)
	w.judge = saf.NewJudge(us, func(h wire.Hash) uint32 { return w.delivered[h] })
	return w
}

// envelope returns a message, the same one for the same number.
func (w *world) envelope(n int) wire.Envelope {
	text := make([]byte, 1000)
	binary.BigEndian.PutUint64(text, uint64(n))
	e, err := wire.Compose(wire.Draft{Body: body(string(text))}, author, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (w *world) after(d time.Duration, do func()) {
	w.later = append(w.later, event{w.now.Add(d), do})
}

func (w *world) delay() time.Duration {
	return 10*time.Millisecond + time.Duration(w.random.Int64N(int64(2*time.Second)))
}

func (w *world) lost() bool { return w.random.Float64() < w.loss }

// send brings an answer to the client, and then its confirmation to the server, unless one
// of them is lost.
func (w *world) send(s keeper, from identity.NodeID, part []byte) {
	if w.lost() {
		w.after(time.Minute, func() { // in doubt
			if s, ok := s.(*ours); ok {
				s.refs = nil
			}
			s.written(w)
		})
		return
	}
	w.after(w.delay(), func() {
		w.heard(from, part)
		w.after(w.delay(), func() {
			if s, ok := s.(*ours); ok && w.lost() {
				s.refs = nil
			}
			s.written(w)
		})
	})
}

func (w *world) heard(from identity.NodeID, part []byte) {
	if !w.client.Open(w.now, from, wire.StoredResponseTo(part)) {
		return
	}
	w.answers++
	d := w.judge.Response(w.now.Add(w.ahead), [][]byte{part})
	if d.Err != nil {
		w.t.Errorf("an answer of %v: %v", nameOf(from), d.Err)
	}
	w.after(w.delay()/100, func() {
		e := saf.Answered{Peer: from, Judged: d}
		for _, l := range d.Letters {
			w.delivered[l.Hash]++
			outcome := saf.Delivered
			if w.delivered[l.Hash] > 1 {
				outcome = saf.Duplicate
			}
			e.Deliveries = append(e.Deliveries, outcome)
		}
		w.step(e)
	})
}

func (w *world) step(e saf.ClientEvent) {
	for _, effect := range w.client.Step(w.now, w.now.Add(w.ahead), e) {
		switch f := effect.(type) {
		case saf.Ask:
			if !w.lost() {
				w.after(w.delay(), func() { w.servers[f.Peer].asked(w, f.Request) })
			}
		case saf.Done[int]:
			w.results[f.Waiter] = f
		}
	}
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for steps := 0; ; steps++ {
		if steps > 100_000 {
			w.t.Fatal("the world does not come to rest")
		}
		next, first := w.client.Next(), -1
		for i, e := range w.later {
			if next.IsZero() || !e.at.After(next) {
				next, first = e.at, i
			}
		}
		if next.IsZero() || next.After(end) {
			w.now = end
			return
		}
		w.now = next
		if first < 0 {
			w.step(saf.Due{})
			continue
		}
		do := w.later[first].do
		w.later = slices.Delete(w.later, first, first+1)
		do()
	}
}

func (w *world) connect(name string, k keeper) {
	w.servers[peerNamed(name)] = k
	w.step(saf.Connected{Peer: peerNamed(name), Serves: true})
}

// has checks that these messages were delivered.
func (w *world) has(what string, numbers ...int) {
	w.t.Helper()
	missing := 0
	for _, n := range numbers {
		e := w.envelope(n)
		if w.delivered[e.DedupHash()] == 0 {
			missing++
		}
	}
	if missing > 0 {
		w.t.Errorf("%s: %d of %d messages are missing", what, missing, len(numbers))
	}
}

func upTo(n int) (list []int) {
	for i := range n {
		list = append(list, i)
	}
	return list
}

// TestRunsEnd: a run with a server of ours brings everything, also what is cut by bytes. It
// takes as many answers as that needs and one, and some more if it is so long that the
// server repeats the first. No request is over the server's limits. A run with a server
// of the reference brings the newest 50, in two answers, or in three if they are 50.
func TestRunsEnd(t *testing.T) {
	for _, tt := range []struct{ messages, ours, theirs int }{
		{0, 1, 1}, {1, 2, 2}, {49, 2, 2}, {50, 2, 3}, {51, 3, 3}, {600, 13, 3}, {1999, 48, 3},
	} {
		for name, k := range map[string]keeper{"ours": newOurs("A"), "theirs": &theirs{id: peerNamed("A")}} {
			w := newWorld(t, 1, saf.ClientOptions{NoRequests: true})
			for n := range tt.messages {
				k.store(w, n)
			}
			w.connect("A", k)
			w.step(saf.Fetch[int]{Waiter: 1})
			w.run(10 * time.Minute)
			got, ok := w.results[1]
			if !ok || !allFetched(got.Fetched) {
				t.Fatalf("%d messages of %s: got %+v", tt.messages, name, got)
			}
			first, want := 0, tt.ours
			if name == "theirs" {
				first, want = max(0, tt.messages-50), tt.theirs
			}
			w.has(name, upTo(tt.messages)[first:]...)
			if r := got.Servers[0]; r.Answers != want || r.Delivered != tt.messages-first {
				t.Errorf("%d messages of %s: got %d in %d answers, want %d answers", tt.messages, name, r.Delivered, r.Answers, want)
			}
		}
	}
	cut := newOurs("A")
	cut.bytes = 10_000
	w := newWorld(t, 1, saf.ClientOptions{})
	for n := range 200 {
		cut.store(w, n)
	}
	w.connect("A", cut)
	w.run(10 * time.Minute)
	w.has("cut by bytes", upTo(200)...)
}

// TestFetchOfSeveralServers: servers that have the same messages, and each some of its own
// behind them.
func TestFetchOfSeveralServers(t *testing.T) {
	w := newWorld(t, 2, saf.ClientOptions{NoRequests: true})
	for i, name := range []string{"A", "B", "C"} {
		k := newOurs(name)
		for n := range 180 {
			k.store(w, n)
		}
		for n := range 10 {
			k.store(w, 1000*(i+1)+n)
		}
		w.connect(name, k)
	}
	w.connect("D", silent{})
	w.step(saf.Fetch[int]{Waiter: 1})
	w.run(5 * time.Minute)
	w.has("all", upTo(180)...)
	for i := range 3 {
		w.has(fmt.Sprintf("of server %d alone", i), 1000*(i+1), 1000*(i+1)+9)
	}
	if got := w.results[1]; got.Delivered() != 210 || got.Complete() || len(got.Servers) != 4 {
		t.Errorf("got %d of %d servers", got.Delivered(), len(got.Servers))
	}
}

// TestClientAmongServers: a day of connections that come and go, with servers of three
// kinds, lost requests, answers and confirmations, and clocks that are set. Whatever a server of ours stores, and
// what a server of the reference still has among its newest, arrives, and nothing twice. There are 8 such days, and 20 with GAMELAN_LONG.
//
// conforms: V 21
func TestClientAmongServers(t *testing.T) {
	seeds := uint64(8)
	if os.Getenv("GAMELAN_LONG") != "" {
		seeds = 20
	}
	for seed := range seeds {
		w := newWorld(t, seed, saf.ClientOptions{SinceLast: seed%2 == 1})
		w.loss = 0.05
		keepers := map[string]keeper{
			"A": newOurs("A"), "B": newOurs("B"), "C": &theirs{id: peerNamed("C")}, "D": silent{},
		}
		names := []string{"A", "B", "C", "D"}
		n := 0
		for range 24 {
			w.ahead = []time.Duration{0, time.Hour, 1000 * time.Hour, -time.Minute, -3 * time.Hour}[w.random.IntN(5)]
			for _, name := range names {
				skew := time.Duration(w.random.Int64N(int64(4*time.Minute))) - 2*time.Minute
				switch k := keepers[name].(type) {
				case *ours:
					k.skew = skew
				case *theirs:
					k.skew = skew
				}
			}
			for _, name := range names { // while the client is away
				for range w.random.IntN(20) {
					keepers[name].store(w, n)
					if w.random.IntN(2) == 0 && name == "A" {
						keepers["B"].store(w, n)
					}
					n++
				}
				w.run(time.Minute)
			}
			for _, name := range names {
				w.connect(name, keepers[name])
			}
			w.run(10 * time.Minute)
			for _, name := range names {
				w.step(saf.Disconnected{Peer: peerNamed(name)})
			}
			w.run(time.Hour)
		}
		w.loss = 0
		for _, name := range names {
			w.connect(name, keepers[name])
		}
		w.step(saf.Fetch[int]{Waiter: 1, Servers: []identity.NodeID{peerNamed("A"), peerNamed("B"), peerNamed("C")}})
		w.run(time.Hour)
		if got := w.results[1]; !allFetched(got.Fetched) {
			t.Errorf("seed %d: got %+v", seed, got)
		}
		for _, name := range []string{"A", "B"} {
			for _, m := range keepers[name].(*ours).bodies {
				w.has(fmt.Sprintf("seed %d: %s", seed, name), m)
			}
		}
		last := keepers["C"].(*theirs).list
		w.has(fmt.Sprintf("seed %d: C", seed), last[max(0, len(last)-50):]...)
		if w.unheard > 2*saf.SilentAfter { // in 31 hours
			t.Errorf("seed %d: a server without store and forward had %d requests", seed, w.unheard)
		}
		if s := w.client.Stats(); s.Delivered != uint64(len(w.delivered)) {
			t.Errorf("seed %d: %d delivered, and there are %d", seed, s.Delivered, len(w.delivered))
		}
	}
}

// allFetched reports whether no server has anything that it would hand out.
func allFetched(f dht.Fetched) bool {
	for _, r := range f.Servers {
		if r.Err != nil && r.Err != saf.ErrRepeats {
			return false
		}
	}
	return len(f.Servers) > 0
}
