package supervisor

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// counter tells when it has seen n messages.
type countTo struct {
	n    int
	want int
	done chan struct{}
}

type payload struct{ _ [4]uint64 }

// setTarget makes the counter report after so many messages.
type setTarget struct{ n int }

func (a *countTo) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *payload:
		a.n++
		if a.n == a.want {
			a.n = 0
			a.done <- struct{}{}
		}
	case setTarget:
		a.want = m.n
	}
}

// benchTell sends bursts of 20,000 from so many senders.
func benchTell(b *testing.B, senders int, props *actor.Props) {
	const burst = 20_000
	a := &countTo{done: make(chan struct{}, 1)}
	var sys *actor.ActorSystem
	var pid *actor.PID
	if props == nil {
		var r *Root
		sys, r = startTree(b, Spec{New: func() actor.Actor { return a }}, Options{})
		pid = r.PID()
	} else {
		sys = newSystem()
		pid = sys.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return a }))
	}
	msg := &payload{}
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= burst {
		n := min(left, burst)
		sys.Root.Send(pid, setTarget{n})
		var wg sync.WaitGroup
		for s := range senders {
			k := n / senders
			if s == 0 {
				k += n % senders
			}
			wg.Go(func() {
				for range k {
					sys.Root.Send(pid, msg)
				}
			})
		}
		wg.Wait()
		<-a.done
	}
}

func BenchmarkTell1to1(b *testing.B) { benchTell(b, 1, nil) }
func BenchmarkTell4to1(b *testing.B) { benchTell(b, 4, nil) }

// The stock mailbox of protoactor, for comparison.
func BenchmarkTell1to1Stock(b *testing.B) { benchTell(b, 1, actor.PropsFromProducer(nil)) }
func BenchmarkTell4to1Stock(b *testing.B) { benchTell(b, 4, actor.PropsFromProducer(nil)) }

type ball struct{ left int }

func BenchmarkPingPong(b *testing.B) {
	done := make(chan struct{})
	player := act(func(c actor.Context) {
		if m, ok := c.Message().(*ball); ok {
			if m.left--; m.left <= 0 {
				close(done)
				return
			}
			other := "a"
			if nameOf(c.Self().Id) == "a" {
				other = "b"
			}
			c.Send(pidOf(c, other), m)
		}
	})
	sys, r := startTree(b, Spec{New: Group(Spec{Name: "a", New: player}, Spec{Name: "b", New: player})}, Options{})
	await(b, r, "t/tree/b")
	b.ReportAllocs()
	b.ResetTimer()
	sys.Root.Send(child(sys, r, "a"), &ball{b.N})
	<-done
}

var pids sync.Map

// pidOf caches the siblings' PIDs, as an actor would.
func pidOf(c actor.Context, name string) *actor.PID {
	key := c.Self().Id + ">" + name
	if p, ok := pids.Load(key); ok {
		return p.(*actor.PID)
	}
	p := c.ActorSystem().NewLocalPID(c.Parent().Id + "/" + name)
	pids.Store(key, p)
	return p
}

// await spins until the actor runs; benchmarks only.
func await(b testing.TB, r *Root, path string) {
	for range 10_000 {
		if alive(r, path) {
			return
		}
		time.Sleep(100 * time.Microsecond)
	}
	b.Fatalf("%s does not come", path)
}

func BenchmarkAsk(b *testing.B) {
	sys, r := startTree(b, Spec{New: act(func(c actor.Context) {
		if _, ok := c.Message().(*payload); ok {
			c.Respond(true)
		}
	})}, Options{})
	msg := &payload{}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Ask[bool](context.Background(), sys, r.PID(), msg); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSpawn spawns and stops one child, until its Terminated.
func BenchmarkSpawn(b *testing.B) {
	done := make(chan struct{})
	left := b.N
	child := Spec{Name: "x", New: act(func(c actor.Context) {
		if _, ok := c.Message().(*actor.Started); ok {
			c.Stop(c.Self())
		}
	})}
	b.ReportAllocs()
	b.ResetTimer()
	startTree(b, Spec{New: act(func(c actor.Context) {
		switch c.Message().(type) {
		case *actor.Started:
			Spawn(c, child)
		case *actor.Terminated:
			if left--; left <= 0 {
				close(done)
				return
			}
			Spawn(c, child)
		}
	})}, Options{})
	<-done
}

// BenchmarkRestart measures from the panic to the Started of the next
// incarnation; every restart is the first in its window.
func BenchmarkRestart(b *testing.B) {
	var panicked time.Time
	started := make(chan time.Duration)
	sys, r := startTree(b, Spec{Children: Policy{Max: math.MaxInt, Within: 1}, New: Group(Spec{Name: "x", New: act(func(c actor.Context) {
		switch c.Message().(type) {
		case *actor.Started:
			if !panicked.IsZero() {
				started <- time.Since(panicked)
			}
		case boom:
			panicked = time.Now()
			panic(errBoom)
		}
	})})}, Options{})
	await(b, r, "t/tree/x")
	pid := child(sys, r, "x")
	var took []time.Duration
	for b.Loop() {
		sys.Root.Send(pid, boom{})
		took = append(took, <-started)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// forest makes n idle actors below one parent.
func forest(b testing.TB, sys *actor.ActorSystem, names []string) *Root {
	r, err := Start(sys, "t", Spec{Name: "tree", New: act(func(c actor.Context) {
		if _, ok := c.Message().(*actor.Started); ok {
			for _, name := range names {
				Spawn(c, Spec{Name: name, Kind: "idle", New: newIdle})
			}
		}
	})}, Options{Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	return r
}

type idle struct{}

func (idle) Receive(actor.Context) {}

func newIdle() actor.Actor { return idle{} }

// idleNames are as long as node ids.
func idleNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%026x", i)
	}
	return names
}

func BenchmarkSnapshot10000(b *testing.B) {
	r := forest(b, newSystem(), idleNames(10_000))
	defer r.Stop(context.Background(), nil)
	b.ReportAllocs()
	for b.Loop() {
		if n := len(r.Snapshot()); n != 10_002 {
			b.Fatalf("got %d actors, want 10,002", n)
		}
	}
}

// BenchmarkIdleMemory reports what an idle actor costs.
func BenchmarkIdleMemory(b *testing.B) {
	const n = 20_000
	for b.Loop() {
		sys, names := newSystem(), idleNames(n)
		before := heapLive()
		r := forest(b, sys, names)
		after := heapLive()
		b.ReportMetric(float64(after-before)/n, "B/actor")
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		r.Stop(ctx, nil)
		cancel()
	}
}

func heapLive() uint64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// protoactor's future, for comparison.
func BenchmarkAskFutureStock(b *testing.B) {
	sys := newSystem()
	pid := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(*payload); ok {
			c.Respond(true)
		}
	}))
	msg := &payload{}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sys.Root.RequestFuture(pid, msg, time.Second).Result(); err != nil {
			b.Fatal(err)
		}
	}
}
