package gamelantest

import (
	"regexp"
	"strings"
	"sync"
	"time"
)

// The watchdog checks a bubble every stuckEvery of real time. After stuckTimes equal
// checks in a row, it considers the bubble stuck.
const (
	stuckEvery = time.Second
	stuckTimes = 10
	// stuckShare is the part of the time that checks may take: each stops all goroutines,
	// and takes seconds with the goroutines of hundreds of nodes.
	stuckShare = 20
)

const stuckText = "gamelantest: this test will not end: a goroutine of its Bubble waits for a real socket or pipe, which keeps virtual time from moving; " +
	"start nodes with Network.Start, whose network is in memory, or test on real sockets without a Bubble"

// watch watches the next bubble from outside, in real time. When a goroutine in the
// bubble has waited for a socket at the given number of checks in a row, and no other
// goroutine could run, watch calls fail with advice and the stacks of the waiting
// goroutines, and ends. end ends it earlier.
func watch(every time.Duration, times int, fail func(string)) (end func()) {
	ended := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		next := time.NewTimer(every)
		defer next.Stop()
		seen := map[string]int{}
		for {
			select {
			case <-ended:
				return
			case <-next.C:
			}
			began := time.Now()
			if stuck := look(seen, stacks(), times); stuck != "" {
				fail(stuckText + "\n\n" + stuck)
				return
			}
			next.Reset(max(every, stuckShare*time.Since(began)))
		}
	})
	return func() { close(ended); done.Wait() }
}

// inBubble matches the first line of the stack of a goroutine in a bubble: its number,
// and its state without "(durable)", which marks a goroutine that does not stop virtual
// time.
var inBubble = regexp.MustCompile(`^goroutine (\d+) \[([^,\]]*)[^\]]*, synctest bubble \d+\]`)

// look is one check. It counts in seen how many checks in a row a goroutine has waited
// for a socket while no other could run, and returns the stacks of those that have
// reached times.
func look(seen map[string]int, all string, times int) string {
	waiting := map[string]string{}
	for stack := range strings.SplitSeq(all, "\n\n") {
		h := inBubble.FindStringSubmatch(stack)
		switch {
		case h == nil:
		case h[2] == "running" || h[2] == "runnable":
			clear(seen)
			return ""
		case h[2] == "IO wait":
			waiting[h[1]] = stack
		}
	}
	for number := range seen {
		if waiting[number] == "" {
			delete(seen, number)
		}
	}
	var stuck []string
	for number, stack := range waiting {
		if seen[number]++; seen[number] >= times {
			stuck = append(stuck, stack)
		}
	}
	return strings.Join(stuck, "\n\n")
}
