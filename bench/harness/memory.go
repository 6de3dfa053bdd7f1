package harness

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"time"
)

// Memory measures what a subject costs at rest. It takes live heap and
// goroutine stacks after three garbage collections, calls build, rests, takes
// them again, and reports the difference divided by ends. Whatever build made
// must stay reachable until drop is called; drop is called at the end. Use it
// in a Fresh case only: another subject's leftovers would be counted here.
func (m *Meter) Memory(ends int, rest time.Duration, build func() (drop func(), err error)) error {
	before := AtRest()
	drop, err := build()
	if err != nil {
		return err
	}
	defer drop()
	if err := m.sleep(rest); err != nil {
		return err
	}
	after := AtRest()
	m.Report(PerEnd, float64(after.bytes()-before.bytes())/float64(ends))
	m.Report(Goroutines, float64(after.goroutines-before.goroutines)/float64(ends))
	m.done = true
	return nil
}

// HeapAndStacks is the live heap plus goroutine stacks in bytes, after three
// garbage collections. For cases that watch memory over time.
func HeapAndStacks() int64 { return AtRest().bytes() }

// watchEvery is how often WatchMemory looks.
const watchEvery = 20 * time.Millisecond

// WatchMemory watches what heap and stacks of this process take, with what is not
// collected yet, until peak is called: that looks once more, and returns the most
// that was seen.
func WatchMemory() (peak func() uint64) {
	runtime.GC()
	over, ended := make(chan struct{}), make(chan struct{})
	most := inUse()
	go func() {
		defer close(ended)
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				most = max(most, inUse())
			case <-over:
				return
			}
		}
	}()
	return sync.OnceValue(func() uint64 {
		close(over)
		<-ended
		return max(most, inUse())
	})
}

// inUse is what heap and stacks take, without stopping anything.
func inUse() (bytes uint64) {
	sample := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"},
	}
	metrics.Read(sample)
	for _, s := range sample {
		bytes += s.Value.Uint64()
	}
	return bytes
}

// Footprint is the memory of this process.
type Footprint struct {
	Heap, Stacks int64 // bytes of the live heap and of goroutine stacks
	goroutines   int64
}

func (f Footprint) bytes() int64 { return f.Heap + f.Stacks }

// AtRest returns the memory of this process after three garbage collections.
func AtRest() Footprint {
	for range 3 {
		runtime.GC()
	}
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return Footprint{Heap: int64(s.HeapAlloc), Stacks: int64(s.StackInuse), goroutines: int64(runtime.NumGoroutine())}
}
