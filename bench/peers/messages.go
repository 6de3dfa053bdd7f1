package peers

import (
	"errors"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/bench/harness"
)

// Messages is FROM/oneway-N, or FROM>TO/oneway-N: messages of n bytes through
// the messaging protocol of both, from a node that keeps a window of them under
// way to one that counts them. CPU is that of both processes.
func Messages(from, to Kind, n int) harness.Case {
	return harness.Case{Name: fmt.Sprintf("%s/oneway-%s", pair(from, to), Size(n)), Rounds: rounds, Run: func(m *harness.Meter) (err error) {
		sender, receiver, closeBoth, err := connected(m, from, to)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeBoth()) }()
		return flow(m, sender, receiver, n, "flood", args{"window": from.window(n)})
	}}
}

// flow measures the messages of n bytes that a command makes the sender send to
// the receiver without end.
func flow(m *harness.Meter, sender, receiver *process, n int, cmd string, a args) error {
	a["peer"], a["size"] = receiver.key, n
	if err := sender.ask(cmd, a, nil); err != nil {
		return err
	}
	if err := first(m, receiver); err != nil {
		return err
	}
	if err := sleep(m, max(m.Window(), settled)); err != nil {
		return err
	}
	type count struct {
		Count uint64
		US    int64
	}
	var before, after count
	cpuBefore, err := cpuOf(sender, receiver)
	err = errors.Join(err, receiver.ask("counted", nil, &before), sleep(m, stretch*m.Window()), receiver.ask("counted", nil, &after))
	cpuAfter, errCPU := cpuOf(sender, receiver)
	if err := errors.Join(err, errCPU); err != nil {
		return err
	}
	var end struct{ Failed map[string]uint64 }
	if err := sender.ask("flood_stop", nil, &end); err != nil {
		return err
	}
	if len(end.Failed) > 0 {
		return fmt.Errorf("messages were lost: %v", end.Failed)
	}
	m.SetBytes(n)
	return m.Counted(after.Count-before.Count, time.Duration(after.US-before.US)*time.Microsecond, cpuAfter-cpuBefore)
}

const (
	// rounds bounds how often each case runs: starting the processes takes
	// longer than what is measured.
	rounds = 3
	// settled is how long messages flow before they are counted: the first proof
	// on a fresh substream takes a while, by design.
	settled = 300 * time.Millisecond
	// stretch is how many windows a measurement lasts.
	stretch = 5
	// credit is our default for one peer and direction, overhead what a message
	// costs besides its bytes.
	credit, overhead = 1 << 20, 256
	// tariWindow is how many messages Tari's sender keeps under way, and
	// tariLarge how many of those above 1 KiB: 6.2.0 fails what queues up for
	// one peer, small ones beyond 500, large ones before that.
	tariWindow, tariLarge = 400, 200
)

// window is how many messages a sender of the kind keeps under way.
func (k Kind) window(n int) int {
	switch {
	case k == Gamelan:
		return credit * 3 / 4 / (n + overhead)
	case n > 1<<10:
		return tariLarge
	default:
		return tariWindow
	}
}

func pair(from, to Kind) string {
	if from == to {
		if from == Gamelan {
			return "gamelan-processes"
		}
		return string(from)
	}
	return string(from) + ">" + string(to)
}

// connected starts both nodes, with arguments besides those of the kind, and
// connects them.
func connected(m *harness.Meter, from, to Kind, with ...string) (sender, receiver *process, closeBoth func() error, err error) {
	if receiver, err = to.start(m.Context(), with...); err != nil {
		return nil, nil, nil, err
	}
	if sender, err = from.start(m.Context(), with...); err != nil {
		return nil, nil, nil, errors.Join(err, receiver.close())
	}
	closeBoth = func() error { return errors.Join(sender.close(), receiver.close()) }
	if err = sender.meet(receiver); err != nil {
		return nil, nil, nil, errors.Join(err, closeBoth())
	}
	return sender, receiver, closeBoth, nil
}

// first waits until the first message has arrived.
func first(m *harness.Meter, receiver *process) error {
	for {
		var c struct{ Count uint64 }
		if err := receiver.ask("counted", nil, &c); err != nil || c.Count > 0 {
			return err
		}
		if err := sleep(m, time.Millisecond); err != nil {
			return err
		}
	}
}

func sleep(m *harness.Meter, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-m.Context().Done():
		return m.Context().Err()
	}
}

// Size names a size as the cases do.
func Size(n int) string {
	if n >= 1024 && n%1024 == 0 {
		return fmt.Sprintf("%dKiB", n/1024)
	}
	return fmt.Sprint(n)
}
