package harness

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Group is a set of cases that are compared with one another. Ratios are
// formed against its first case where no [Target] names another one.
type Group struct {
	Name  string
	About string // one line for the report
	Cases []Case
}

// Case is one thing to measure. Name is unique in the whole program and starts
// with what is measured: "libp2p/oneway-each-flushed-32".
type Case struct {
	Name string

	// Run prepares, measures and cleans up. It calls exactly one of the
	// measuring methods of its Meter, and may Report further values.
	Run func(m *Meter) error

	// Fresh runs the case in a process of its own.
	Fresh bool

	// Rounds limits the number of rounds in which the case takes part; 0 is
	// no limit. For long cases, which are nearly always Fresh ones.
	Rounds int

	// Limit is the longest that one run may take; 0 is 60 s.
	Limit time.Duration
}

// Names of the metrics that the harness knows. Report may add others, with the
// unit as part of the name.
const (
	Rate       = "rate/s"         // operations per second of wall time
	CPU        = "cpu ns/op"      // user and system time of the process per operation
	P50        = "p50 ns"         // median latency
	P99        = "p99 ns"         // 99th percentile of the latency
	Throughput = "MB/s"           // 10^6 bytes per second of wall time
	PerEnd     = "bytes/end"      // live heap and stacks per connection end or actor
	Goroutines = "goroutines/end" // goroutines per connection end or actor
)

// Sample is what one run of a case gave: metric → value.
type Sample map[string]float64

// Meter is handed to a case for one run.
type Meter struct {
	ctx    context.Context
	window time.Duration
	bytes  int
	sample Sample
	done   bool
}

// Context ends when the run has used up its limit.
func (m *Meter) Context() context.Context { return m.ctx }

// Window is how long the clocks shall run.
func (m *Meter) Window() time.Duration { return m.window }

// SetBytes says how many bytes one operation moves; Throughput is then given.
func (m *Meter) SetBytes(n int) { m.bytes = n }

// Report adds a value of the case's own.
func (m *Meter) Report(metric string, value float64) { m.sample[metric] = value }

// Loop runs op one at a time until the window is over, at least once, each operation
// timed, after warm of them that are not.
func (m *Meter) Loop(warm int, op func() error) error {
	return m.Parallel(1, func(int) error { return op() }, warm)
}

// Parallel is Loop on n goroutines; op is told on which one it runs.
func (m *Meter) Parallel(n int, op func(worker int) error, warm int) error {
	for i := range warm {
		if err := op(i % n); err != nil {
			return fmt.Errorf("warm up: %w", err)
		}
	}
	type result struct {
		latencies []time.Duration
		err       error
	}
	results := make([]result, n)
	for i := range results {
		results[i].latencies = make([]time.Duration, 0, 1<<14)
	}
	var wg sync.WaitGroup
	clock := startClock()
	for i := range n {
		wg.Go(func() {
			r := &results[i]
			for {
				begin := time.Now()
				if len(r.latencies) > 0 && begin.Sub(clock.begin) >= m.window {
					return
				}
				if r.err = op(i); r.err != nil {
					return
				}
				r.latencies = append(r.latencies, time.Since(begin))
				if r.err = m.ctx.Err(); r.err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	wall, cpu := clock.stop()
	var all []time.Duration
	for _, r := range results {
		if r.err != nil {
			return r.err
		}
		all = append(all, r.latencies...)
	}
	m.finish(uint64(len(all)), wall, cpu)
	m.sample[P50], m.sample[P99] = percentiles(all)
	return nil
}

// Flow measures something that runs by itself. After a warm-up of a third of
// the window the clocks run for the window; the operations are the difference
// of received, which counts what the receiving side has read completely.
func (m *Meter) Flow(received func() uint64) error {
	if err := m.sleep(m.window / 3); err != nil {
		return err
	}
	before := received()
	clock := startClock()
	if err := m.sleep(m.window); err != nil {
		return err
	}
	after := received()
	wall, cpu := clock.stop()
	if after == before {
		return fmt.Errorf("nothing was received in %v", wall)
	}
	m.finish(after-before, wall, cpu)
	return nil
}

// Until measures run, which does so many operations each time, again and again
// until the window is over, after a third of the window without clocks.
func (m *Meter) Until(ops int, run func() error) error {
	again := func(d time.Duration) (times uint64, err error) {
		for begin := time.Now(); time.Since(begin) < d; times++ {
			if err := errors.Join(run(), m.ctx.Err()); err != nil {
				return 0, err
			}
		}
		return times, nil
	}
	if _, err := again(m.window / 3); err != nil {
		return err
	}
	clock := startClock()
	times, err := again(m.window)
	wall, cpu := clock.stop()
	if err != nil {
		return err
	}
	m.finish(times*uint64(ops), wall, cpu)
	return nil
}

// Flowing is Until for a run that returns how many operations it has done.
func (m *Meter) Flowing(run func() (uint64, error)) error {
	again := func(d time.Duration) (ops uint64, err error) {
		for begin := time.Now(); time.Since(begin) < d; {
			n, err := run()
			if err := errors.Join(err, m.ctx.Err()); err != nil {
				return 0, err
			}
			ops += n
		}
		return ops, nil
	}
	if _, err := again(m.window / 3); err != nil {
		return err
	}
	clock := startClock()
	ops, err := again(m.window)
	wall, cpu := clock.stop()
	if err != nil {
		return err
	}
	m.finish(ops, wall, cpu)
	return nil
}

// Batch measures ops operations that run together, such as spawning a thousand
// actors: run is called once and returns when all of them are over.
func (m *Meter) Batch(ops int, run func() error) error {
	clock := startClock()
	err := run()
	wall, cpu := clock.stop()
	if err != nil {
		return err
	}
	m.finish(uint64(ops), wall, cpu)
	return nil
}

// Timed measures a case that times its operations itself, one after another:
// run works for about the given time, which is the window, and returns the
// latency of each operation.
func (m *Meter) Timed(run func(time.Duration) ([]time.Duration, error)) error {
	clock := startClock()
	all, err := run(m.window)
	wall, cpu := clock.stop()
	if err != nil {
		return err
	}
	m.finish(uint64(len(all)), wall, cpu)
	return m.Latencies(all)
}

// Counted takes what the case measured itself: so many operations, the time that
// they took, and the CPU of all processes that had to do with them.
func (m *Meter) Counted(ops uint64, wall, cpu time.Duration) error {
	if ops == 0 || wall <= 0 {
		return fmt.Errorf("got %d operations in %v", ops, wall)
	}
	m.finish(ops, wall, cpu)
	return nil
}

// Reported says that what the case has given to Report is all.
func (m *Meter) Reported() error {
	if len(m.sample) == 0 {
		return fmt.Errorf("nothing was reported")
	}
	m.done = true
	return nil
}

// Latencies takes latencies that the case measured itself, such as those of
// actor restarts.
func (m *Meter) Latencies(all []time.Duration) error {
	if len(all) == 0 {
		return fmt.Errorf("got no latency")
	}
	m.sample[P50], m.sample[P99] = percentiles(all)
	m.done = true
	return nil
}

func (m *Meter) finish(ops uint64, wall, cpu time.Duration) {
	m.done = true
	if ops == 0 {
		return
	}
	m.sample[Rate] = float64(ops) / wall.Seconds()
	m.sample[CPU] = float64(cpu.Nanoseconds()) / float64(ops)
	if m.bytes > 0 {
		m.sample[Throughput] = m.sample[Rate] * float64(m.bytes) / 1e6
	}
}

func (m *Meter) sleep(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-m.ctx.Done():
		return m.ctx.Err()
	}
}

// clock is wall and CPU time since its start.
type clock struct {
	begin time.Time
	cpu   time.Duration
}

func startClock() clock { return clock{begin: time.Now(), cpu: ProcessCPU()} }

func (c clock) stop() (wall, cpu time.Duration) {
	return time.Since(c.begin), ProcessCPU() - c.cpu
}
