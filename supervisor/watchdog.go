package supervisor

import (
	"bytes"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"
)

// watch makes sure that the watchdog's timer runs while any actor is busy. An
// idle tree has none, so a synctest bubble with nothing else to do ends.
func (h *host) watch() {
	if h.watching.Load() || h.over.Load() || !h.watching.CompareAndSwap(false, true) {
		return
	}
	h.mu.Lock()
	h.unwatch = h.rt.AfterFunc(StuckAfter, h.look)
	h.mu.Unlock()
}

// endWatch stops the watchdog for good.
func (h *host) endWatch() {
	h.over.Store(true)
	h.mu.Lock()
	stop := h.unwatch
	h.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// look reports every actor whose message in hand is too old, once.
func (h *host) look() {
	h.watching.Store(false)
	now := h.nanos()
	busy := false
	var late []*cell
	h.mu.RLock()
	for _, c := range h.cells {
		c.mu.Lock()
		if c.batch != nil {
			busy = true
			if time.Duration(now-c.batch.since.Load()) >= StuckAfter && c.stuckSeen.CompareAndSwap(false, true) {
				late = append(late, c)
			}
		}
		c.mu.Unlock()
	}
	h.mu.RUnlock()
	for _, c := range late {
		i := h.info(c)
		h.log.Warn("actor stuck", labelActor, i.Path, "message", i.Message, "since", i.Since, "stack", string(stacks(i.Path)))
	}
	if busy {
		h.watch()
	}
}

// stacks returns the goroutines that carry the actor's label: its turn and its
// tasks. It stops the world for a moment.
func stacks(path string) []byte {
	var all, found bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		return nil
	}
	mark := strconv.Quote(labelActor) + ":" + strconv.Quote(path)
	for block := range strings.SplitSeq(all.String(), "\n\n") {
		for line := range strings.Lines(block) {
			if strings.HasPrefix(line, "# labels:") && hasLabel(line, mark) {
				found.WriteString(block)
				found.WriteString("\n\n")
				break
			}
		}
	}
	return found.Bytes()
}

func hasLabel(line, mark string) bool {
	i := strings.Index(line, mark)
	if i < 0 {
		return false
	}
	rest := line[i+len(mark):]
	return strings.HasPrefix(rest, ",") || strings.HasPrefix(rest, "}")
}
