package kad

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/kad/lookup"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// lookups has an actor for each lookup under way, and for each put. Callers who look for the
// same share one; when the last of them gives up, it ends.
//
// In: startLookup, startPut, nextSteps, giveUp, lookupEnded, putEnded, stepped. Out:
// lookupReply, putReply. Of a child that fails, the callers get a LookupFailedError; after a
// restart of lookups itself all of them get ErrRestarted.
//
// spec: kad B7.7
type lookups struct {
	x *core
	r *running
}

type (
	// startLookup begins a lookup, or joins an equal one under way. Reply: lookupReply.
	// Token names the caller's interest for nextSteps and giveUp; it is one that the caller
	// got from no other place than core.ref.
	startLookup struct {
		Token  uint64
		Target ID
		Mode   lookup.Mode
		Quorum int  // of ForNewest
		Wide   bool // as in lookup.Options
		Traced bool // the reply comes with the first steps, perhaps before the end
		// Background: upkeep wants it, so that the limit for callers does not count it.
		Background bool
	}
	// nextSteps asks for the steps of a traced lookup after the first Seen ones. Reply:
	// lookupReply, when there are some, or the lookup has ended.
	nextSteps struct {
		Token uint64
		Seen  int
	}
	// lookupReply replies to startLookup and nextSteps.
	lookupReply struct {
		Token  uint64
		Steps  []Step
		Done   bool // the lookup has ended; Result and Err are set
		Result LookupResult
		Err    error
	}

	// startPut stores a record at the nodes nearest to its key. Reply: putReply.
	startPut struct {
		Token      uint64
		Record     *Record
		TTL        time.Duration
		Wide       bool // as in lookup.Options: the publication of this node
		Background bool
	}
	// putReply replies to startPut.
	putReply struct {
		Token  uint64
		Report Report
		Err    error
	}

	// giveUp says that nobody waits any more for the replies to this Token.
	giveUp struct{ Token uint64 }

	lookupEnded struct {
		n      uint64
		result LookupResult
	}
	putEnded struct {
		n      uint64
		report Report
		err    error
	}
	// stepped: a traced lookup has done another step.
	stepped struct{ n uint64 }
)

// running are the lookups and puts under way. It outlives restarts of the actor lookups,
// which alone uses it, but for the steps.
type running struct {
	byKey   map[startLookup]*run // Token, Traced and Background are zero
	byN     map[uint64]*run
	waiters map[uint64]*waiter // by their token
	order   []uint64           // tokens, in the order in which they came
	n       uint64
}

// run is a lookup or a put under way.
type run struct {
	n       uint64
	key     startLookup
	put     *startPut // nil: a lookup
	pid     *actor.PID
	waiters []uint64
	trail   trail
}

// waiter is who waits for a run.
type waiter struct {
	token  uint64
	run    *run
	reply  *actor.PID // nil: it does not wait now
	traced bool
	seen   int // steps
	done   *lookupReply
}

// trail is what a lookup has done. The lookup's actor writes it, and lookups reads it.
type trail struct {
	mu     sync.Mutex
	steps  []Step
	traced bool
}

func (t *trail) add(s Step) (traced bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps = append(t.steps, s)
	return t.traced
}

func (t *trail) watch() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.traced = true
}

func (t *trail) after(seen int) []Step {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.steps[min(seen, len(t.steps)):len(t.steps):len(t.steps)]
}

func newRunning() *running {
	return &running{byKey: make(map[startLookup]*run), byN: make(map[uint64]*run), waiters: make(map[uint64]*waiter)}
}

func newLookups(x *core) actor.Actor { return &lookups{x: x, r: x.running} }

func (a *lookups) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.start(c)
	case startLookup:
		a.look(c, m)
	case startPut:
		a.put(c, m)
	case nextSteps:
		a.next(c, m)
	case giveUp:
		a.giveUp(c, m.Token)
	case stepped:
		if r := a.r.byN[m.n]; r != nil {
			a.show(c, r)
		}
	case lookupEnded:
		a.ended(c, m)
	case putEnded:
		a.putEnded(c, m)
	case finish:
		a.stopAll(c)
		supervisor.Reply(c, finished{"lookups"})
	case *actor.Terminated:
		a.terminated(c, m.Who)
	default:
		supervisor.Unhandled(c)
	}
}

// start answers those who waited for the last incarnation: its children have ended with it.
func (a *lookups) start(c actor.Context) { a.answerAll(c, ErrRestarted) }

// stopAll ends all that is under way, because the client is closed.
func (a *lookups) stopAll(c actor.Context) {
	for _, child := range c.Children() {
		c.Stop(child)
	}
	a.answerAll(c, ErrClosed)
}

// answerAll ends the wait of all callers.
func (a *lookups) answerAll(c actor.Context, err error) {
	r := a.r
	for _, token := range r.order {
		w := r.waiters[token]
		if w == nil {
			continue
		}
		if w.run != nil && w.run.put != nil {
			a.send(c, w, &putReply{Token: token, Report: Report{Key: w.run.put.Record.Key}, Err: err})
		} else if w.done == nil {
			a.send(c, w, &lookupReply{Token: token, Done: true, Err: err})
		}
	}
	n := r.n
	*r = *newRunning()
	r.n = n
}

func (a *lookups) send(c actor.Context, w *waiter, m any) {
	if w.reply != nil {
		c.Send(w.reply, m)
		w.reply = nil
	}
}

// full reports whether there are as many runs as callers may have.
func (a *lookups) full(background bool) bool {
	return len(a.r.byN) >= a.x.Params.MaxLookups && !background
}

func (a *lookups) look(c actor.Context, m startLookup) {
	key := startLookup{Target: m.Target, Mode: m.Mode, Quorum: m.Quorum, Wide: m.Wide}
	r := a.r.byKey[key]
	if r != nil {
		a.x.figures.lookupsShared.Add(1)
	}
	if r == nil {
		if a.full(m.Background) {
			supervisor.Reply(c, &lookupReply{Token: m.Token, Done: true, Err: ErrBusy})
			return
		}
		r = a.begin(&run{key: key})
		a.r.byKey[key] = r
		a.x.figures.lookups.Add(1)
		r.pid = supervisor.Spawn(c, supervisor.Spec{
			Name: "lookup-" + strconv.FormatUint(r.n, 10), Kind: "kadLookup", New: func() actor.Actor { return newLookup(a.x, r) },
		})
	}
	w := a.join(c, r, m.Token)
	if m.Traced {
		w.traced = true
		r.trail.watch()
		a.show(c, r)
	}
}

func (a *lookups) put(c actor.Context, m startPut) {
	if a.full(m.Background) {
		supervisor.Reply(c, &putReply{Token: m.Token, Report: Report{Key: m.Record.Key}, Err: ErrBusy})
		return
	}
	r := a.begin(&run{put: &m})
	a.x.figures.puts.Add(1)
	r.pid = supervisor.Spawn(c, supervisor.Spec{
		Name: "put-" + strconv.FormatUint(r.n, 10), Kind: "kadPut", New: func() actor.Actor { return newPutter(a.x, r) },
	})
	a.join(c, r, m.Token)
}

func (a *lookups) begin(r *run) *run {
	a.r.n++
	r.n = a.r.n
	a.r.byN[r.n] = r
	return r
}

func (a *lookups) join(c actor.Context, r *run, token uint64) *waiter {
	w := &waiter{token: token, run: r, reply: c.Sender()}
	a.r.waiters[token] = w
	a.r.order = append(a.r.order, token)
	r.waiters = append(r.waiters, token)
	return w
}

// forget forgets a waiter.
func (a *lookups) forget(token uint64) {
	delete(a.r.waiters, token)
	for i, t := range a.r.order {
		if t == token {
			a.r.order = append(a.r.order[:i], a.r.order[i+1:]...)
			return
		}
	}
}

// next shows a caller the steps that it has not seen.
func (a *lookups) next(c actor.Context, m nextSteps) {
	w := a.r.waiters[m.Token]
	if w == nil {
		supervisor.Reply(c, &lookupReply{Token: m.Token, Done: true, Err: ErrRestarted})
		return
	}
	w.reply, w.seen = c.Sender(), m.Seen
	if w.done != nil {
		a.finish(c, w)
		return
	}
	a.show(c, w.run)
}

// show sends those who wait the steps that they have not seen.
func (a *lookups) show(c actor.Context, r *run) {
	for _, token := range r.waiters {
		w := a.r.waiters[token]
		if w == nil || !w.traced || w.reply == nil {
			continue
		}
		if steps := r.trail.after(w.seen); len(steps) > 0 {
			w.seen += len(steps)
			a.send(c, w, &lookupReply{Token: token, Steps: steps})
		}
	}
}

// finish sends a waiter the end of its lookup, with the steps that it has not seen.
func (a *lookups) finish(c actor.Context, w *waiter) {
	if w.traced {
		w.done.Steps = w.run.trail.after(w.seen)
	}
	a.send(c, w, w.done)
	a.forget(w.token)
}

// giveUp ends the interest of a caller, and the run when there is no other.
func (a *lookups) giveUp(c actor.Context, token uint64) {
	w := a.r.waiters[token]
	if w == nil {
		return
	}
	a.forget(token)
	r := w.run
	for i, t := range r.waiters {
		if t == token {
			r.waiters = append(r.waiters[:i], r.waiters[i+1:]...)
			break
		}
	}
	if len(r.waiters) == 0 && a.r.byN[r.n] == r {
		a.remove(r)
		c.Stop(r.pid)
	}
}

func (a *lookups) remove(r *run) {
	delete(a.r.byN, r.n)
	if a.r.byKey[r.key] == r {
		delete(a.r.byKey, r.key)
	}
}

func (a *lookups) ended(c actor.Context, m lookupEnded) {
	r := a.r.byN[m.n]
	if r == nil {
		return
	}
	a.remove(r)
	f := &a.x.figures
	f.lookupAsked.Add(uint64(m.result.Asked))
	if m.result.Record != nil {
		f.lookupsFound.Add(1)
		f.hops.Add(uint64(m.result.Hops))
	}
	if r.key.Mode == lookup.ForNodes {
		c.Send(a.x.upkeep, lookedUp{r.key.Target, m.result.Nearest})
	}
	a.finishAll(c, r, lookupReply{Done: true, Result: m.result, Err: m.result.Err})
	c.Stop(r.pid)
}

func (a *lookups) finishAll(c actor.Context, r *run, reply lookupReply) {
	for _, token := range r.waiters {
		w := a.r.waiters[token]
		if w == nil {
			continue
		}
		d := reply
		d.Token = token
		w.done = &d
		if w.reply != nil {
			a.finish(c, w)
		}
	}
}

func (a *lookups) putEnded(c actor.Context, m putEnded) {
	r := a.r.byN[m.n]
	if r == nil {
		return
	}
	a.remove(r)
	if m.err != nil {
		a.x.figures.putsPartial.Add(1)
	}
	a.finishPut(c, r, m.report, m.err)
	c.Stop(r.pid)
}

func (a *lookups) finishPut(c actor.Context, r *run, report Report, err error) {
	for _, token := range r.waiters {
		if w := a.r.waiters[token]; w != nil {
			a.send(c, w, &putReply{Token: token, Report: report, Err: err})
			a.forget(token)
		}
	}
}

// terminated tells the callers of a run whose actor has failed.
func (a *lookups) terminated(c actor.Context, who *actor.PID) {
	for _, r := range a.r.byN {
		if r.pid == nil || r.pid.Id != who.Id {
			continue
		}
		a.remove(r)
		a.x.figures.lookupsFailed.Add(1)
		err := &LookupFailedError{Steps: r.trail.after(0), Cause: "its actor panicked"}
		if r.put != nil {
			a.finishPut(c, r, Report{Key: r.put.Record.Key}, err)
		} else {
			if r.key.Mode == lookup.ForNodes { // upkeep may wait for it
				c.Send(a.x.upkeep, lookedUp{target: r.key.Target})
			}
			a.finishAll(c, r, lookupReply{Done: true, Err: err})
		}
		return
	}
}

// String is the line of lookups in the tree.
func (a *lookups) String() string {
	f := &a.x.figures
	return fmt.Sprintf("%s under way; %s since the start, %d found a value, %d failed",
		inspect.Count(uint64(len(a.r.byN)), "lookup"), inspect.Count(f.lookups.Load(), "lookup"), f.lookupsFound.Load(), f.lookupsFailed.Load())
}
