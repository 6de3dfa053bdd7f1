package supervisor

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"
)

// lent counts what becomes of a message that lends and owns something.
type lent struct {
	n                   int
	finished, discarded *[]int
}

func (m lent) Finish()  { *m.finished = append(*m.finished, m.n) }
func (m lent) Discard() { *m.discarded = append(*m.discarded, m.n) }

func TestBundleArrivesAsItsElementsInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got, finished, discarded []int
		sys, r := startTree(t, Spec{New: act(func(c actor.Context) {
			switch m := c.Message().(type) {
			case lent:
				got = append(got, m.n)
			case *Bundle:
				t.Error("got the bundle itself")
			}
		})}, Options{})
		var want []int
		var all Bundle
		for i := range 3 * batchSize {
			all = append(all, lent{i, &finished, &discarded})
			want = append(want, i)
		}
		sys.Root.Send(r.PID(), &all)
		clear(all) // it is the sender's again
		all = append(all[:0], lent{len(want), &finished, &discarded})
		sys.Root.Send(r.PID(), &all)
		want = append(want, len(want))
		empty := Bundle{}
		sys.Root.Send(r.PID(), &empty)
		synctest.Wait()
		if !slices.Equal(got, want) || !slices.Equal(finished, want) {
			t.Errorf("got %v, finished %v, want %v", got, finished, want)
		}
		if i := info(t, r, "t/tree"); i.Handled != uint64(len(want)) {
			t.Errorf("got %d messages counted, want %d", i.Handled, len(want))
		}

		pid := r.PID()
		if err := r.Stop(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		sys.Root.Send(pid, &all)
		if want := []int{len(want) - 1}; !slices.Equal(discarded, want) {
			t.Errorf("got %v discarded after the end, want %v", discarded, want)
		}
	})
}
