package gamelantest

import (
	"regexp"
	"strings"
	"sync"
	"time"
)

// A bubble is looked at every stuckEvery of real time; what is the same so many
// times in a row will not change by itself.
const (
	stuckEvery = time.Second
	stuckTimes = 10
)

const stuckText = "gamelantest: this test will not end: a goroutine of its Bubble waits for a real socket or pipe, which keeps virtual time from moving; " +
	"start nodes with Network.Start, whose network is in memory, or test on real sockets without a Bubble"

// watch looks from outside at the bubble that runs next, in real time. Once a
// goroutine in a bubble has waited for a socket at every look, and none had
// anything else to do, it calls fail with what to do about it and the stacks of
// those that wait, and ends. The function that it returns ends it before.
func watch(every time.Duration, times int, fail func(string)) (end func()) {
	ended := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		seen := map[string]int{}
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
			}
			if stuck := look(seen, stacks(), times); stuck != "" {
				fail(stuckText + "\n\n" + stuck)
				return
			}
		}
	})
	return func() { close(ended); done.Wait() }
}

// inBubble begins the stack of a goroutine in a bubble: its number, and its
// state without the "(durable)" of one that virtual time does not wait for.
var inBubble = regexp.MustCompile(`^goroutine (\d+) \[([^,\]]*)[^\]]*, synctest bubble \d+\]`)

// look counts in seen at how many looks in a row a goroutine has waited for a
// socket while no other had anything to do, and returns the stacks of those that
// have been seen so often.
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
