package supervisor

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// TestCompact finds in a compacted registry what was there before and what came
// later, in few maps.
func TestCompact(t *testing.T) {
	sys := newSystem()
	pid := func(i int) *actor.PID { return sys.NewLocalPID(fmt.Sprintf("early-%d", i)) }
	early, want := 100, registryBuckets
	if strconv.IntSize == 32 {
		early, want = 0, 1 // before Compact no name can be added
	}
	for i := range early {
		sys.ProcessRegistry.Add(sys.DeadLetter, pid(i).Id)
	}
	Compact(sys)
	for i := range early {
		if _, ok := sys.ProcessRegistry.Get(pid(i)); !ok {
			t.Fatalf("got no process %s, want that of before", pid(i).Id)
		}
		sys.ProcessRegistry.Remove(pid(i))
		if _, ok := sys.ProcessRegistry.Get(pid(i)); ok {
			t.Errorf("got process %s after its end, want none", pid(i).Id)
		}
	}
	heard := make(chan string, 1)
	later := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if s, ok := c.Message().(string); ok {
			heard <- s
		}
	}))
	sys.Root.Send(later, "later")
	if got := <-heard; got != "later" {
		t.Errorf("got %q, want what was sent to an actor that came later", got)
	}
	if got := len(sys.ProcessRegistry.LocalPIDs.LocalPIDs); got != want {
		t.Errorf("got %d buckets, want %d", got, want)
	}
}

// TestManyNames starts a tree on a system that is not compacted. The hashes of half of the
// names are negative in an int of 32 bits.
func TestManyNames(t *testing.T) {
	var all []Spec
	for i := range 64 {
		all = append(all, Spec{Name: fmt.Sprintf("name-%d", i), New: act(func(actor.Context) {})})
	}
	sys, r := startTree(t, Spec{New: Group(all...)}, Options{})
	for _, s := range all {
		if _, ok := sys.ProcessRegistry.Get(child(sys, r, s.Name)); !ok {
			t.Errorf("got no actor %s, want one", s.Name)
		}
	}
}

// TestOneBucket leaves the registry of a system the one bucket that it has with ints of 32
// bits, and finds what was there before.
func TestOneBucket(t *testing.T) {
	sys := newSystem()
	Compact(sys)
	for i := range 100 {
		sys.ProcessRegistry.Add(sys.DeadLetter, fmt.Sprintf("early-%d", i))
	}
	fit32(sys)
	fit32(sys)
	if got := len(sys.ProcessRegistry.LocalPIDs.LocalPIDs); got != 1 {
		t.Errorf("got %d buckets, want 1", got)
	}
	for i := range 100 {
		if _, ok := sys.ProcessRegistry.GetLocal(fmt.Sprintf("early-%d", i)); !ok {
			t.Errorf("got no process early-%d, want that of before", i)
		}
	}
}

// BenchmarkRegistryBuckets looks names up from all processors, by the number of buckets.
func BenchmarkRegistryBuckets(b *testing.B) {
	for _, n := range []int{registryBuckets, 1} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			sys := newSystem()
			keepBuckets(sys, n)
			pids := make([]*actor.PID, 10_000)
			for i := range pids {
				pids[i], _ = sys.ProcessRegistry.Add(sys.DeadLetter, fmt.Sprintf("gamelan-0123456789abcdef/node/conns/%d", i))
			}
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					sys.ProcessRegistry.Get(pids[i%len(pids)])
				}
			})
		})
	}
}
