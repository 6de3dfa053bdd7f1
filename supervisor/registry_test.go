package supervisor

import (
	"fmt"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// TestCompact finds in a compacted registry what was there before and what came
// later, in few maps.
func TestCompact(t *testing.T) {
	sys := newSystem()
	pid := func(i int) *actor.PID { return sys.NewLocalPID(fmt.Sprintf("early-%d", i)) }
	for i := range 100 {
		sys.ProcessRegistry.Add(sys.DeadLetter, pid(i).Id)
	}
	Compact(sys)
	for i := range 100 {
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
	if got := len(sys.ProcessRegistry.LocalPIDs.LocalPIDs); got != registryBuckets {
		t.Errorf("got %d buckets, want %d", got, registryBuckets)
	}
}
