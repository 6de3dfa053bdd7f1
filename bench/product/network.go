package product

import (
	"errors"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/examples/memorynet/lab"
)

// Names of the metrics of [MemoryNetwork].
const (
	NetworkHeap   = "live heap bytes" // of all nodes, a minute after they have joined
	NetworkStacks = "stacks bytes"    // … of their goroutines
	NetworkEnds   = "connection ends" // … that they have then
	NetworkStart  = "start ns"        // until all nodes run
	NetworkJoined = "joined ns"       // from the first start until each node is connected to its neighbours
)

// networkRest is how long the network rests before its memory is measured. By then the nodes
// have hung up those whose lists they have read.
const networkRest = time.Minute

// MemoryNetwork is gamelan/memory-network-N: n nodes in one process on the memory
// transport, of which all but one know only that one, until each is connected to its
// neighbours.
func MemoryNetwork(n int) harness.Case {
	return harness.Case{Name: fmt.Sprintf("gamelan/memory-network-%d", n), Fresh: true, Rounds: 2, Limit: 3 * time.Minute, Run: func(m *harness.Meter) error {
		before := harness.AtRest()
		began := time.Now()
		l, err := lab.New(lab.Config{Nodes: n, Random: 1, Limit: time.Minute}) // the last one is not started
		if err != nil {
			return err
		}
		start, err := l.Start(m.Context())
		if err != nil {
			return errors.Join(err, l.Close())
		}
		join, err := l.Join(m.Context())
		if err == nil && !join.OK {
			err = errors.New(join.Result)
		}
		if err != nil {
			return errors.Join(err, l.Close())
		}
		m.Report(NetworkStart, float64(start.Took))
		m.Report(NetworkJoined, float64(time.Since(began)))
		time.Sleep(networkRest)
		after, ends := harness.AtRest(), 0
		for _, x := range l.Members {
			if x.Node != nil {
				ends += len(x.Node.Connections())
			}
		}
		m.Report(NetworkHeap, float64(after.Heap-before.Heap))
		m.Report(NetworkStacks, float64(after.Stacks-before.Stacks))
		m.Report(NetworkEnds, float64(ends))
		if err := l.Close(); err != nil {
			return err
		}
		return m.Reported()
	}}
}
