package supervisor

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// grower is an actor that spawns, fails and stops as it is told.
type grower struct{ depth int }

func (g grower) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case int: // spawn
		name := fmt.Sprint("k", m%4)
		if _, used := c.ActorSystem().ProcessRegistry.GetLocal(c.Self().Id + "/" + name); !used && g.depth < 4 {
			safely(func() { // the name may still wait for its Terminated
				Spawn(c, Spec{Name: name, Children: Policy{Action: Action(m % 3), Retry: time.Second}, New: func() actor.Actor { return grower{g.depth + 1} }})
			})
		}
	case boom:
		panic(errBoom)
	case string:
		c.Stop(c.Self())
	}
}

// Under random spawns, crashes and stops the tree of our registry is the one
// of protoactor's process registry.
func TestRegistryAgreesWithProcesses(t *testing.T) {
	for seed := range uint64(20) {
		bubble(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			sys, r := startTree(t, Spec{Children: Policy{Max: 1 << 30}, New: Group(Spec{Name: "g", Children: Policy{Max: 1 << 30}, New: func() actor.Actor { return grower{} }})}, Options{})
			synctest.Wait()
			for range 300 {
				all := r.Snapshot()
				i := all[2+rng.IntN(max(1, len(all)-2))]
				pid := sys.NewLocalPID(i.Path)
				switch op := rng.IntN(10); {
				case op < 7:
					sys.Root.Send(pid, rng.IntN(12))
				case op < 9 || i.Path == "t/tree/g":
					sys.Root.Send(pid, boom{})
				default:
					sys.Root.Send(pid, "stop")
				}
				if rng.IntN(3) == 0 {
					synctest.Wait()
				}
				if rng.IntN(20) == 0 {
					pass(time.Duration(rng.IntN(3000)) * time.Millisecond)
				}
			}
			pass(time.Hour)
			var ours, theirs []string
			for _, i := range r.Snapshot() {
				if i.State == StateFailed {
					continue
				}
				if i.State != StateRunning || i.Depth != 0 || i.SystemDepth != 0 {
					t.Errorf("%s is %s with %d messages after an hour", i.Path, i.State, i.Depth)
				}
				ours = append(ours, i.Path)
			}
			for _, m := range sys.ProcessRegistry.LocalPIDs.LocalPIDs {
				m.IterCb(func(id string, v any) {
					if id == "t" || strings.HasPrefix(id, "t/") {
						theirs = append(theirs, id)
					}
				})
			}
			slices.Sort(theirs)
			if !slices.Equal(ours, theirs) {
				t.Errorf("got  %v\nwant %v", ours, theirs)
			}
			if err := r.Stop(t.Context(), nil); err != nil {
				t.Error(err)
			}
			if n := len(r.host.cells) + len(r.host.ended) + len(r.host.seeds) + r.host.tasks; n != 0 {
				t.Errorf("the registry keeps %d entries after the end", n)
			}
		})
	}
}
