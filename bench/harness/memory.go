package harness

import (
	"runtime"
	"time"
)

// Memory measures what a subject costs at rest. It takes live heap and
// goroutine stacks after three garbage collections, calls build, rests, takes
// them again, and reports the difference divided by ends. Whatever build made
// must stay reachable until drop is called; drop is called at the end. Use it
// in a Fresh case only: another subject's leftovers would be counted here.
func (m *Meter) Memory(ends int, rest time.Duration, build func() (drop func(), err error)) error {
	before := residue()
	drop, err := build()
	if err != nil {
		return err
	}
	defer drop()
	if err := m.sleep(rest); err != nil {
		return err
	}
	after := residue()
	m.Report(PerEnd, float64(after.bytes-before.bytes)/float64(ends))
	m.Report(Goroutines, float64(after.goroutines-before.goroutines)/float64(ends))
	m.done = true
	return nil
}

// HeapAndStacks is the live heap plus goroutine stacks in bytes, after three
// garbage collections. For cases that watch memory over time.
func HeapAndStacks() int64 { return residue().bytes }

type footprint struct{ bytes, goroutines int64 }

func residue() footprint {
	for range 3 {
		runtime.GC()
	}
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return footprint{
		bytes:      int64(s.HeapAlloc + s.StackInuse),
		goroutines: int64(runtime.NumGoroutine()),
	}
}
