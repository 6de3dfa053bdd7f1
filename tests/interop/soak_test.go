package interop

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/interop/testpb"
)

// soakFor is how long the soak lasts: ten seconds, or GAMELAN_SOAK.
func soakFor(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("GAMELAN_SOAK")
	if text == "" {
		return 10 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Our node and a Tari node of each release, over real sockets, as fast as they
// can: messages both ways without a pause, substreams and calls both ways beside
// them. Everything arrives once and in order, no connection ends, and when the
// traffic rests there are no more goroutines, descriptors and live memory than
// before it began.
//
// GAMELAN_SOAK=1h makes it an hour, GAMELAN_SOAK_CSV=file keeps what was measured
// every five seconds (tools/soakplot draws it).
//
// feature: messages, substreams and calls both ways at full rate, with nothing left over
func TestSoak(t *testing.T) {
	lasts := soakFor(t)
	s := &soak{n: startOurs(t, gamelan.Config{}, gamelan.WithService(new(rpcService).service()))}
	s.warm.Add(len(releases))
	s.rest.Add(len(releases))
	s.begin, s.over = make(chan struct{}), make(chan struct{})
	var watched sync.WaitGroup
	watched.Go(func() { s.watch(t, lasts) })
	t.Run("with", func(t *testing.T) {
		against(t, func(t *testing.T, release string) {
			t.Parallel()
			s.run(t, release, lasts)
		})
	})
	watched.Wait()
}

// soak is a node of ours between two others, and what all of them did.
type soak struct {
	n           *ours
	warm, rest  sync.WaitGroup // until everybody has done a bit of each, and is done
	begin, over chan struct{}

	mu    sync.Mutex
	peers []*tari

	enqueued, confirmed, streams, ourCalls, theirCalls atomic.Uint64
}

// run is the traffic with one release.
func (s *soak) run(t *testing.T, release string, lasts time.Duration) {
	warm, rest := sync.OnceFunc(s.warm.Done), sync.OnceFunc(s.rest.Done)
	defer warm() // also when this fails: the other release waits
	defer rest()
	p := startTari(t, release)
	s.mu.Lock()
	s.peers = append(s.peers, p)
	s.mu.Unlock()
	p.knowsNode(s.n.Node)
	ctx, cancel := context.WithTimeout(t.Context(), lasts+5*time.Minute)
	defer cancel()
	if _, err := s.n.Peers().AddSeed(ctx, p.seed()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.n.Dial(ctx, p.id); err != nil {
		t.Fatal(err)
	}
	gamelantest.Eventually(t, connectLimit, "the Tari node to know of the connection", func() bool { return len(p.links()) == 1 })
	before, ok := s.n.Connection(p.id)
	if !ok {
		t.Fatal("got no connection, want one")
	}

	r := &soaking{soak: s, traffic: &traffic{T: t, n: s.n, p: p}}
	r.all(ctx, time.Time{})
	warm()
	<-s.begin
	r.all(ctx, time.Now().Add(lasts))
	s.settled(t, p, r.traffic)
	if after, ok := s.n.Connection(p.id); !ok || after.ID != before.ID {
		t.Errorf("got another connection at the end than at the beginning, or none, want the same")
	}
	noBan(t, s.n, p)
	rest()
	<-s.over
}

// settled waits for what is on its way and compares what arrived with what was
// sent.
func (s *soak) settled(t *testing.T, p *tari, r *traffic) {
	t.Helper()
	gamelantest.Eventually(t, connectLimit, "all messages there", func() bool { return p.countOf(s.n.PublicKey()) >= r.sent })
	gamelantest.Eventually(t, connectLimit, "all messages here", func() bool { return s.n.heard(p.id).Count >= r.theirs })
	there, here := p.received(s.n.PublicKey()), s.n.heard(p.id)
	there.wantAll(t, "there", 0, r.sent)
	here.wantAll(t, "here", 0, r.theirs)
	t.Logf("%s and %s", &there, &here)
}

// soaking is the traffic of one release.
type soaking struct {
	*soak
	*traffic
}

// all runs each kind of traffic until the end, at least once.
func (r *soaking) all(ctx context.Context, end time.Time) {
	var kinds sync.WaitGroup
	for name, kind := range map[string]func(context.Context) error{
		"our messages": r.messages, "their messages": r.theirBatch, "our substream": r.stream,
		"their substream": r.theirSubstream, "our calls": r.calls, "their calls": r.theirCallsOf,
	} {
		kinds.Go(func() {
			for first := true; first || time.Now().Before(end) && !r.Failed(); first = false {
				if err := kind(ctx); err != nil {
					r.Errorf("%s: %v", name, err)
					return
				}
			}
		})
	}
	kinds.Wait()
}

// soakBatch is how many messages go without looking at the clock.
const soakBatch = 10_000

// messages sends as fast as the credit allows, and waits for every outcome.
func (r *soaking) messages(ctx context.Context) error {
	under := make(chan *gamelan.Pending[gamelan.Outcome], 4096)
	failed := make(chan error, 1)
	go func() {
		defer close(under)
		for range soakBatch {
			p, err := r.traffic.n.Submit(ctx, r.p.id, numbered(r.sent, sizeOf(r.sent)))
			if err != nil {
				failed <- err
				return
			}
			r.sent++
			r.enqueued.Add(1)
			under <- p
		}
	}()
	var other error
	for p := range under {
		if out := p.Wait(ctx); out.Kind == protocol.Confirmed {
			r.confirmed.Add(1)
		} else if other == nil {
			other = fmt.Errorf("got %v, want confirmed", out)
		}
	}
	select {
	case err := <-failed:
		return err
	default:
		return other
	}
}

// theirBatch has them send a thousand messages of one size, or 4 MiB.
func (r *soaking) theirBatch(context.Context) error {
	size := sizeOf(r.theirs)
	count := min(1000, uint64(4<<20/size))
	got, err := r.p.send(r.traffic.n.PublicKey(), batch{first: r.theirs, count: count, size: size})
	if err == nil && got.Sent != count {
		err = errFailed(got)
	}
	r.theirs += count
	return err
}

func (r *soaking) stream(ctx context.Context) error {
	r.streams.Add(1)
	return r.ourStream(ctx)
}

func (r *soaking) theirSubstream(ctx context.Context) error {
	r.streams.Add(1)
	return r.theirStream(ctx)
}

func (r *soaking) calls(ctx context.Context) error {
	r.ourCalls.Add(1)
	if err := r.ourCall(ctx); err != nil {
		return err
	}
	n := uint64(0)
	for item, err := range rpc.Items[testpb.Items, testpb.Item](ctx, r.traffic.n.RPC().Client(r.p.id, rpcID), itemsOf, &testpb.Items{Count: 100, Size: 1000}) {
		if err != nil {
			return err
		}
		if item.Number != n {
			return fmt.Errorf("got item %d, want %d", item.Number, n)
		}
		n++
	}
	if n != 100 {
		return fmt.Errorf("got %d items, want 100", n)
	}
	return nil
}

// theirCallsOf are a hundred calls in a session of their own.
func (r *soaking) theirCallsOf(context.Context) error {
	session, err := r.p.rpcOpen(r.traffic.n.PublicKey().String(), nil)
	if err != nil {
		return err
	}
	for range 100 {
		if got, err := r.p.rpc(session, "hello", args{"name": "you"}); err != nil || got.Greeting != "Hello, you" {
			return fmt.Errorf("got %+v, %w", got, err)
		}
		r.theirCalls.Add(1)
	}
	return r.p.ask("rpc_close", args{"session": session}, nil)
}

// soakRest is what may be there on top when the traffic rests: goroutines of the
// runtime and of the test, and memory that pools keep.
const (
	restGoroutines  = 10
	restDescriptors = 2
	restMemory      = 32 << 20
)

// watch measures while the traffic goes on, and compares the rest after it with
// the rest before it.
func (s *soak) watch(t *testing.T, lasts time.Duration) {
	file, err := os.OpenFile(soakFile(t), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		t.Error(err)
		close(s.begin)
		close(s.over)
		return
	}
	defer file.Close()
	s.warm.Wait()
	before := atRest()
	began := time.Now()
	close(s.begin)
	fmt.Fprintln(file, measured{}.header(releases))
	rested := make(chan struct{})
	go func() { s.rest.Wait(); close(rested) }()
	every := time.NewTicker(min(5*time.Second, lasts/20))
	defer every.Stop()
	for going := true; going; {
		select {
		case <-every.C:
		case <-rested:
			going = false
		}
		fmt.Fprintln(file, s.measure(time.Since(began)).line())
	}
	defer close(s.over)
	var after measured
	for range 60 { // what ends after its last message does so within a moment
		after = atRest()
		if after.restsLike(before) {
			t.Logf("at rest before: %s; after: %s", before, after)
			return
		}
		time.Sleep(time.Second)
	}
	t.Errorf("at rest after the traffic: got %s, want at most a bit more than before it, %s", after, before)
}

func soakFile(t *testing.T) string {
	t.Helper()
	if file := os.Getenv("GAMELAN_SOAK_CSV"); file != "" {
		return file
	}
	return t.TempDir() + "/soak.csv"
}

// measured is one line: what the process is made of, and what all nodes have
// done so far.
type measured struct {
	at                      time.Duration
	resident, live          uint64 // bytes
	goroutines, descriptors int
	sent, confirmed, heard  uint64
	streams                 uint64
	ourCalls, theirCalls    uint64
	theirResident           []uint64 // bytes, in order of the releases
}

func (measured) header(releases []string) string {
	return "seconds,resident,live,goroutines,descriptors,sent,confirmed,heard,substreams,our_calls,their_calls,resident " + strings.Join(releases, ",resident ")
}

func (m measured) line() string {
	line := fmt.Sprintf("%.1f,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d", m.at.Seconds(), m.resident, m.live, m.goroutines, m.descriptors,
		m.sent, m.confirmed, m.heard, m.streams, m.ourCalls, m.theirCalls)
	for _, r := range m.theirResident {
		line += fmt.Sprintf(",%d", r)
	}
	return line
}

func (m measured) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, %.1f MiB live, %.1f MiB resident", m.goroutines, m.descriptors, float64(m.live)/(1<<20), float64(m.resident)/(1<<20))
}

func (m measured) restsLike(before measured) bool {
	return m.goroutines <= before.goroutines+restGoroutines && m.descriptors <= before.descriptors+restDescriptors && m.live <= before.live+restMemory
}

// process measures this process: the node and the test.
func process() measured {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	open, _ := os.ReadDir("/proc/self/fd")
	return measured{resident: residentOf("self"), live: live[0].Value.Uint64(), goroutines: runtime.NumGoroutine(), descriptors: len(open)}
}

// atRest is process after a collection, so that what is live is what is in use.
func atRest() measured {
	runtime.GC()
	runtime.GC() // the first one leaves what pools held
	return process()
}

// residentOf is the memory that the kernel keeps for a process; 0 where it does
// not say.
func residentOf(pid string) uint64 {
	text, err := os.ReadFile("/proc/" + pid + "/statm")
	if f := strings.Fields(string(text)); err == nil && len(f) > 1 {
		pages, _ := strconv.ParseUint(f[1], 10, 64)
		return pages * uint64(os.Getpagesize())
	}
	return 0
}

func (s *soak) measure(at time.Duration) measured {
	m := process()
	m.at, m.sent, m.confirmed, m.streams = at, s.enqueued.Load(), s.confirmed.Load(), s.streams.Load()
	m.ourCalls, m.theirCalls = s.ourCalls.Load(), s.theirCalls.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, release := range releases {
		for _, p := range s.peers {
			if p.release == release {
				m.theirResident = append(m.theirResident, residentOf(strconv.Itoa(p.cmd.Process.Pid)))
				m.heard += s.n.heard(p.id).Count
			}
		}
	}
	return m
}
