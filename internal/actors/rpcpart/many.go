package rpcpart

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/protocol/manycalls"
	"github.com/gamelan-p2p/gamelan/internal/turns"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/transport"
)

// gather has many goroutines write frames on one stream. Who adds frames while nobody writes, writes what has
// gathered, for all. So nobody waits for a turn, and frames of many calls leave together.
type gather struct {
	mu     *sync.Mutex // of the session; guards all fields
	stream protocol.Stream
	rest   func() // has a task of the session's actor call [gather.all]

	out, spare   []byte
	finished     bool   // nobody writes any more
	busy         bool   // somebody writes, or rest was called
	added, given uint64 // bytes; given to the stream
	written      uint64
	err          error      // nothing can be written any more
	news         turns.News // bytes were written
}

const (
	// gathered is how many bytes may wait before who adds more has to wait.
	gathered = 64 << 10
	// gatherRounds is how often one goroutine writes what others have added meanwhile.
	gatherRounds = 8
)

// add adds a frame. The caller holds mu, and calls flush next.
func (g *gather) add(f *manycalls.Frame) {
	n := len(g.out)
	g.out = manycalls.Append(g.out, f)
	g.added += uint64(len(g.out) - n)
}

// addWhole adds a frame whose payload stands in buf behind [manycalls.Room] bytes. It reports whether buf is the gather's from then on.
func (g *gather) addWhole(buf []byte, f *manycalls.Frame) (taken bool) {
	b := manycalls.AppendInPlace(buf, f)
	g.added += uint64(len(b))
	if taken = len(g.out) == 0 && !g.busy && len(b) > keptCopy; taken {
		g.out = b
	} else {
		g.out = append(g.out, b...)
	}
	return taken
}

// keptCopy is the length up to which a frame is copied.
const keptCopy = 4 << 10

// control adds the frames that the session itself has to send.
func (g *gather) control(s *manycalls.Session) {
	if s.HasControl() {
		n := len(g.out)
		g.out = s.Control(g.out)
		g.added += uint64(len(g.out) - n)
	}
}

// flush writes what has gathered, unless somebody does. The caller holds mu, which flush unlocks meanwhile. With others, those that are
// ready to run add their frames first, which saves more than it delays.
func (g *gather) flush(others bool) {
	if g.busy || len(g.out) == 0 {
		return
	}
	g.busy = true
	if others {
		g.mu.Unlock()
		runtime.Gosched()
		g.mu.Lock()
	}
	for range gatherRounds {
		if len(g.out) == 0 || g.err != nil || !g.some() {
			break
		}
	}
	if g.busy = len(g.out) > 0 && g.err == nil; g.busy {
		g.rest()
		return
	}
	g.news.Tell()
}

// later has a task write what has gathered, unless somebody writes. The caller holds mu.
func (g *gather) later() {
	if !g.busy && len(g.out) > 0 && g.err == nil {
		g.busy = true
		g.rest()
	}
}

// some writes what has gathered. It is false if the write was interrupted.
func (g *gather) some() bool {
	b := g.out
	g.out, g.spare = g.spare[:0], nil
	g.given += uint64(len(b)) // a call of which the stream has a byte may run
	g.mu.Unlock()
	n, err := g.stream.Write(b)
	g.mu.Lock()
	g.written += uint64(n)
	interrupted := err != nil && transport.IsTimeout(err)
	switch {
	case interrupted:
		g.stream.SetWriteDeadline(time.Time{})
		g.out = slices.Concat(b[n:], g.out)
		g.given -= uint64(len(b) - n)
	case errors.Is(err, protocol.ErrUnsent):
		g.err = err
		g.given -= uint64(len(b))
	case err != nil:
		g.err = err
	case cap(b) <= 2*gathered:
		g.spare = b[:0]
	}
	g.news.Tell()
	return !interrupted
}

// finish writes what is left, and lets nobody write any more. The caller holds mu.
func (g *gather) finish() {
	for g.busy && !g.finished && g.err == nil {
		g.news.Await(context.Background())
	}
	g.busy, g.finished = true, true
	for len(g.out) > 0 && g.err == nil {
		g.some()
	}
}

// all writes until nothing is left. A task calls it that [gather.rest] has asked for.
func (g *gather) all() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.out) > 0 && g.err == nil {
		g.some()
	}
	g.busy = false
	g.news.Tell()
	return g.err
}

// await waits until at most most bytes wait, or stop says true at some news. The caller holds mu.
func (g *gather) await(ctx context.Context, most int, stop func() bool) error {
	for len(g.out) > most && g.err == nil && !stop() {
		g.news.Await(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return g.err
}

// memory is what a call holds of the credit of its peer. The session's mu guards it.
type memory struct {
	of     *inboundCredit
	held   []int // for whole messages
	window []int // for items that may wait
}

// tryTake takes n bytes for a message, unless it would have to wait.
func (m *memory) tryTake(n int) bool {
	ok := m.of.TryTake(n)
	if ok {
		m.held = append(m.held, n)
	}
	return ok
}

// tryWindow takes n bytes for items, unless it would have to wait.
func (m *memory) tryWindow(n int) bool {
	ok := m.of.windows.TryTake(n)
	if ok {
		m.window = append(m.window, n)
	}
	return ok
}

// Memory for messages that wait to be taken, in each call.
const (
	firstWindow = 256 << 10 // or a quarter, or
	leastWindow = 16 << 10
	mostWindow  = 1 << 20
)

// firstWindow takes memory for messages that may wait, and returns how much: 0 if there is none.
func (m *memory) firstWindow() int {
	for n := firstWindow; n >= leastWindow; n /= 4 {
		if m.tryWindow(n) {
			return n
		}
	}
	return 0
}

// growth returns by how much a window is to grow when of messages that cost got some were taken, and waiting ones are there: the window may be
// what the sender waits for.
func (m *memory) growth(got *int, window, waiting int) int {
	if waiting > 0 || *got < window {
		return 0
	}
	if *got = 0; 2*window > mostWindow || !m.tryWindow(window) {
		return 0
	}
	return window
}

// took says that n bytes were taken for a message.
func (m *memory) took(n int) { m.held = append(m.held, n) }

// giveBack gives n bytes back that were taken for a message.
func (m *memory) giveBack(n int) {
	if i := slices.Index(m.held, n); i >= 0 {
		m.held = slices.Delete(m.held, i, i+1)
		m.of.Return(n)
	}
}

// release gives all back.
func (m *memory) release() {
	for _, n := range m.held {
		m.of.Return(n)
	}
	for _, n := range m.window {
		m.of.windows.Return(n)
	}
	m.held, m.window = nil, nil
}

// arrived is a message that has come whole.
type arrived struct {
	body   []byte
	frame  heldFrame // body is a part of it; or body has a slice of its own
	serial int
	cost   int
	charge int // bytes that memory has for it
}

// queue has messages that have come. The first one needs no memory of its own.
type queue struct {
	waiting []arrived
	room    [1]arrived
}

func (q *queue) len() int { return len(q.waiting) }

func (q *queue) push(a arrived) {
	if len(q.waiting) == 0 {
		q.waiting = q.room[:0]
	}
	if q.waiting = append(q.waiting, a); len(q.waiting) == 2 {
		q.room[0] = arrived{} // it was copied
	}
}

// pop takes the first one out.
func (q *queue) pop() arrived {
	a := q.waiting[0]
	q.waiting[0] = arrived{}
	q.waiting = q.waiting[1:]
	return a
}

// take takes all out.
func (q *queue) take() []arrived {
	all := q.waiting
	q.waiting = nil
	return all
}

// find returns the message with that serial; nil if it is not there.
func (q *queue) find(serial int) *arrived {
	if i := slices.IndexFunc(q.waiting, func(a arrived) bool { return a.serial == serial }); i >= 0 {
		return &q.waiting[i]
	}
	return nil
}

// assembly puts the parts of a message together.
type assembly struct {
	body   []byte
	length int
}

// add adds a part, whose frame the reader holds. It returns the whole message when it is complete. Only one that is taken soon may
// have a buffer that is much larger, of at most smallBuffer bytes.
func (a *assembly) add(r *frameReader, e manycalls.Event, part []byte, soon bool) (m arrived, whole bool) {
	if e.Whole && e.Length >= 0 { // it came in one part
		if cap(r.buf) > 2*len(part) && (!soon || cap(r.buf) > smallBuffer) {
			m = arrived{body: slices.Clone(part), cost: e.Cost, serial: e.Serial}
			r.free()
			return m, true
		}
		return arrived{body: part, frame: r.detach(), cost: e.Cost, serial: e.Serial}, true
	}
	if e.Length >= 0 {
		a.length = e.Length
		a.body = make([]byte, 0, min(e.Length, max(len(part), manycalls.First)))
	}
	if need := len(a.body) + len(part); need > cap(a.body) { // memory is allocated as the bytes arrive
		a.body = slices.Grow(a.body, max(min(a.length, max(need, 2*cap(a.body)))-len(a.body), 0))
	}
	a.body = append(a.body, part...)
	r.free()
	if !e.Whole {
		return arrived{}, false
	}
	m = arrived{body: a.body, cost: e.Cost, serial: e.Serial}
	*a = assembly{}
	return m, true
}

// milliseconds converts a time limit to the form of requests: at least one.
func milliseconds(d time.Duration) uint64 {
	d = min(d, rpc.MaxDeadline)
	return uint64(max((d+time.Millisecond-1)/time.Millisecond, 1))
}

// full is the text of an error about a limit that is reached.
func full(what string, n int, setting string) string {
	return fmt.Sprintf("%s: %d at once, as many as there may be (%s)", what, n, setting)
}
