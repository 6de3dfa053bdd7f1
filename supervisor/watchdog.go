package supervisor

import (
	"bytes"
	"path"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"
)

// watch makes sure that the watchdog's timer runs while any actor is busy or any goroutine
// waits for an activation. An idle tree soon has no timer, so that a synctest bubble with nothing else to do ends.
func (h *host) watch() {
	if h.watching.Load() || h.over.Load() || !h.watching.CompareAndSwap(false, true) {
		return
	}
	h.mu.Lock()
	h.unwatch = h.rt.AfterFunc(StuckAfter, h.reportStuck)
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
	if h.pool != nil {
		h.pool.stop()
	}
}

// reportStuck logs every actor whose message in hand is too old, once for each message. It
// also ends goroutines that were idle since the last time.
func (h *host) reportStuck() {
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
	var all string
	if len(late) > 0 {
		all = stuckDumps.take(h.rt.Now)
	}
	for _, c := range late {
		i := h.info(c)
		if i.State != StateStuck {
			continue // it has gone on meanwhile: the machine was slow, not the actor
		}
		stack := stacksOf(all, i.Path)
		h.log.Warn("actor stuck", labelActor, i.Path, "message", i.Message, "since", i.Since, "in", waitsIn(stack, i.Type))
		h.log.Debug("stack of a stuck actor", labelActor, i.Path, "stack", stackText(stack))
	}
	if h.pool != nil && h.pool.trim() || busy {
		h.watch()
	}
}

// waitsIn returns the innermost function of a stack, outside the packages runtime,
// sync and time, with its place: "main.(*ledger).Receive ledger.go:42".
func waitsIn(stack []byte, goType string) string {
	for line := range strings.Lines(string(stack)) {
		f := strings.Split(strings.TrimSpace(line), "\t") // "#", address, function+offset, file:line
		if len(f) < 4 || f[0] != "#" {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimSpace(f[2]), "+")
		pkg, _, _ := strings.Cut(name, ".")
		switch pkg {
		case "runtime", "sync", "time", "internal/poll", "internal/runtime/maps":
			continue
		}
		return name + " " + path.Base(f[len(f)-1])
	}
	return goType
}

// stuckDumps are the dumps for the reports of all trees of the process.
var stuckDumps dumps

// dumps takes the stacks of all goroutines, and spaces the dumps out. A dump stops the
// world for a moment and takes longer the more goroutines there are, so that all dumps
// together take at most a twentieth of the time.
type dumps struct {
	mu   sync.Mutex
	next time.Time // no dump before it
}

// dumpPause is the pause after a dump, as a multiple of the time that it took.
const dumpPause = 20

// take returns the stacks, or "" if the next dump is not due. The clocks of a test's trees
// may differ from those of others: a time far ahead is one of another clock.
func (d *dumps) take(now func() time.Time) string {
	if !d.mu.TryLock() {
		return ""
	}
	defer d.mu.Unlock()
	begin := now()
	if wait := d.next.Sub(begin); wait > 0 && wait < time.Hour {
		return ""
	}
	all := allStacks()
	end := now()
	d.next = end.Add(dumpPause * end.Sub(begin))
	return all
}

// stacks returns the stacks of the goroutines that carry the actor's label: its turn and
// its tasks.
func stacks(path string) []byte { return stacksOf(allStacks(), path) }

// allStacks returns the stacks of all goroutines, with their labels. It stops the world
// for a moment.
func allStacks() string {
	var all strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		return ""
	}
	return all.String()
}

// stacksOf returns the stacks of an actor's goroutines from those of all.
func stacksOf(all, path string) []byte {
	var found bytes.Buffer
	mark := strconv.Quote(labelActor) + ":" + strconv.Quote(path)
	for block := range strings.SplitSeq(all, "\n\n") {
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
	_, rest, ok := strings.Cut(line, mark)
	if !ok {
		return false
	}
	return strings.HasPrefix(rest, ",") || strings.HasPrefix(rest, "}")
}
