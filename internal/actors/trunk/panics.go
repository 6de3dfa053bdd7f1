package trunk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Panicking is an actor, a service or a layer that has panicked recently. An actor of
// the node's own is listed for panics on messages of peers: the message is dropped and
// the actor goes on. The user's code is listed for every panic.
type Panicking struct {
	Path    string          // of the actor, below that of the node; "" for a service or a layer
	Service protocol.ID     // "" for an actor or a layer
	Layer   string          // position of a layer of the DHT, as in "before verify"; "" for others
	Yours   bool            // it is the user's code
	Count   uint64          // panics in the last PanicQuiet
	Last    time.Time       // when the last one was
	Peer    identity.NodeID // sender of the message of the last panic; zero: none, or unknown
	Message string          // type of that message; for a service as in "method 3"
	Value   string          // beginning of the panic's value
	Where   string          // place in the code, such as "account.go:42"; "" if it is unknown
	StackID string          // id of the stack: see supervisor.PanicError.StackID
	Stopped bool            // by PanicStop, until it is registered again
}

// key returns the key of the actor, service or layer in panics.by.
func (p *Panicking) key() string {
	switch {
	case p.Service != "":
		return serviceKey(p.Service)
	case p.Layer != "":
		return "layer " + p.Layer
	}
	return p.Path
}

func serviceKey(id protocol.ID) string { return "service " + string(id) }

const (
	// PanicQuiet is how long an actor that has panicked is remembered.
	PanicQuiet = 10 * time.Minute
	// maxPanicking bounds how many such actors are remembered. There is no other bound:
	// each peer has actors of its own.
	maxPanicking = 64
	// panicEvery is how often the log sums up the panics of one actor.
	panicEvery = time.Minute
	// panicRecords is the greatest number of log records in a minute for one actor or
	// service of the user's. Each panic gets a record; further panics are summed up,
	// because peers may cause any number of them.
	panicRecords = 60
)

// panics remembers panics and decides what is logged. For each of the node's own
// actors the first panic is logged at once, with its stack, and the number of further
// ones once a minute. Unlike other views panics has many writers, as credit has: it is
// written in the turn of the actor that has panicked, or of its parent.
type panics struct {
	mu    sync.Mutex
	began time.Time // time of the first panic; minutes are counted from it
	by    map[string]*panicked
}

// panicked is the state of one actor or service.
type panicked struct {
	Panicking
	tally   tally
	untold  uint64 // panics since the last log record
	records int    // log records in the minute below
	minute  int64
}

// tally counts panics per minute, over PanicQuiet and the current minute.
type tally struct {
	minute [int(PanicQuiet/time.Minute) + 1]int64
	n      [int(PanicQuiet/time.Minute) + 1]uint64
}

func (t *tally) add(minute int64) {
	i := minute % int64(len(t.n))
	if t.minute[i] != minute {
		t.minute[i], t.n[i] = minute, 0
	}
	t.n[i]++
}

func (t *tally) sum(minute int64) (sum uint64) {
	for i, m := range t.minute {
		if minute-m < int64(len(t.n)) {
			sum += t.n[i]
		}
	}
	return sum
}

// contained records that an actor of the node's own has panicked on a message that an
// outsider chose. It logs the first such panic and reports each one to connectivity.
func (e *env) contained(source any, path string, err *supervisor.PanicError) {
	origin, _ := source.(actors.Origin)
	now := e.Now()
	n := Panicking{Path: e.below(path), Last: now, Peer: origin.Peer, Message: err.Msg, Value: Beginning(err.Value), Where: err.Where(), StackID: err.StackID()}
	if e.panics.add(n) {
		e.Logger.Warn("panic on a message of a peer; the message is dropped and the actor goes on", "actor", path,
			"peer", origin.Peer, "conn", origin.Conn, "message", err.Msg, "panic", err.Value, "at", n.Where, "stack_id", n.StackID, "stack", string(err.Stack))
	}
	e.System.Root.Send(e.Connectivity, PeerPanicked{Peer: origin.Peer, Conn: origin.Conn, Path: n.Path})
}

// below returns path without the path of the node in front.
func (e *env) below(path string) string { return strings.TrimPrefix(path, e.Root+"/node/") }

// full returns the path in the tree of an actor below the node. Logs have this path.
func (e *env) full(below string) string { return e.Root + "/node/" + below }

// panicked records that an actor of the user's has panicked. The log names the peer
// whose message it was, but the panic does not count against that peer.
func (e *env) panicked(p supervisor.Panic) {
	origin, _ := p.Source.(actors.Origin)
	e.yours(Panicking{Path: e.below(p.Path), Peer: origin.Peer, Message: p.Err.Msg, Value: Beginning(p.Err.Value)},
		origin.Conn, p.Err.Stack, p.Fate == supervisor.Stops, p.Then())
}

// yours records and logs a panic of the user's code.
func (e *env) yours(n Panicking, conn uint64, stack []byte, stops bool, then string) {
	n.Yours, n.Last = true, e.Now()
	from := supervisor.PanicError{Stack: stack}
	n.Where, n.StackID = from.Where(), from.StackID()
	record, sum := e.panics.addYours(n)
	if sum {
		e.System.Root.Send(e.Connectivity, panicsUntold{})
	}
	if !record {
		return
	}
	what, level := "actor", slog.LevelWarn
	name := e.full(n.Path)
	switch {
	case n.Service != "":
		what, name = "service", string(n.Service)
	case n.Layer != "":
		what, name = "layer", n.Layer
	}
	if stops {
		level = slog.LevelError
	}
	attrs := []any{what, name, "message", n.Message, "panic", n.Value, "at", n.Where, "stack_id", n.StackID, "then", then}
	if !n.Peer.IsZero() {
		attrs = append(attrs, "peer", n.Peer, "conn", conn)
	}
	ctx := context.Background()
	if e.Logger.Enabled(ctx, slog.LevelDebug) {
		attrs = append(attrs, "stack", string(stack))
	}
	e.Logger.Log(ctx, level, "your code panicked; the message is dropped", attrs...)
}

// Beginning returns the first 200 bytes of the value of a panic: [Panicking] keeps no
// more.
func Beginning(v any) string {
	text := fmt.Sprint(v)
	return strings.ToValidUTF8(text[:min(len(text), 200)], "")
}

// minute returns the number of the current minute. The caller holds mu.
func (p *panics) minute(now time.Time) int64 {
	if p.began.IsZero() {
		p.began = now
	}
	return int64(now.Sub(p.began) / time.Minute)
}

// note counts one panic. fresh reports that it is the first one, or the first after
// PanicQuiet. The caller holds mu.
func (p *panics) note(n Panicking) (x *panicked, fresh bool) {
	minute := p.minute(n.Last)
	key := n.key()
	x = p.by[key]
	if fresh = x == nil || n.Last.Sub(x.Last) >= PanicQuiet; fresh {
		stopped := x != nil && x.Stopped
		p.makeRoom(key)
		x = new(panicked)
		x.Stopped = stopped
		p.by[key] = x
	}
	x.tally.add(minute)
	n.Count, n.Stopped = x.tally.sum(minute), x.Stopped
	x.Panicking = n
	return x, fresh
}

// add counts a panic of the node's own actor and reports whether to log it at once.
func (p *panics) add(n Panicking) (first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x, first := p.note(n)
	if !first {
		x.untold++
	}
	return first
}

// addYours counts a panic of the user's code. record reports whether it gets a log
// record of its own. Otherwise sum reports whether it is the first panic to be summed
// up.
func (p *panics) addYours(n Panicking) (record, sum bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x, _ := p.note(n)
	if minute := p.minute(n.Last); x.minute != minute {
		x.minute, x.records = minute, 0
	}
	if x.records < panicRecords {
		x.records++
		return true, false
	}
	x.untold++
	return false, x.untold == 1
}

// stop records that an actor or a service of the user's has stopped for good.
func (p *panics) stop(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.by[key]; x != nil {
		x.Stopped = true
	}
}

// forget removes an actor or a service of the user's, which has ended or begins again.
func (p *panics) forget(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.by, key)
}

// makeRoom removes the entry for key. If there are still too many entries, it also removes
// the one whose last panic was longest ago: entries of the node's own actors first, because
// each peer has such actors, and never a stopped one.
func (p *panics) makeRoom(key string) {
	if p.by == nil {
		p.by = make(map[string]*panicked)
	}
	delete(p.by, key)
	if len(p.by) < maxPanicking {
		return
	}
	rank := func(x *panicked) int {
		switch {
		case x.Stopped:
			return 2
		case x.Yours:
			return 1
		}
		return 0
	}
	oldest := ""
	for key, x := range p.by {
		o := p.by[oldest]
		if o == nil || cmp.Or(cmp.Compare(rank(x), rank(o)), x.Last.Compare(o.Last), cmp.Compare(key, oldest)) < 0 {
			oldest = key
		}
	}
	if !p.by[oldest].Stopped { // there are at most as many stopped ones as registrations
		delete(p.by, oldest)
	}
}

// untold returns, by path, the entries with panics that were not logged yet, and
// counts these panics as logged.
func (p *panics) untold() (all []panicked) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.by {
		if x.untold > 0 {
			all = append(all, *x)
			x.untold = 0
		}
	}
	slices.SortFunc(all, func(a, b panicked) int { return cmp.Compare(a.key(), b.key()) })
	return all
}

// panicking returns, by path, the actors, services and layers that have panicked in
// the last PanicQuiet, and those that were stopped because of a panic.
func (e *env) panicking() (all []Panicking) {
	now := e.Now()
	e.panics.mu.Lock()
	defer e.panics.mu.Unlock()
	for _, x := range e.panics.by {
		if x.Stopped || now.Sub(x.Last) < PanicQuiet {
			x.Count = x.tally.sum(e.panics.minute(now))
			all = append(all, x.Panicking)
		}
	}
	slices.SortFunc(all, func(a, b Panicking) int { return cmp.Compare(a.key(), b.key()) })
	return all
}

// panicsDue makes connectivity log how many panics there were in the last minute.
// panicsUntold tells it that there are some to log.
type (
	panicsDue    struct{}
	panicsUntold struct{}
)

// panicked closes a connection whose messages have caused three panics in a minute,
// and makes sure that the number of panics is logged.
func (a *connectivity) panicked(c actor.Context, m PeerPanicked) {
	a.sumUpLater(c)
	if m.Conn != 0 && a.panics.Count(supervisor.Now(c), m.Conn) {
		c.Send(a.env.Conns, CloseConn{m.Peer, m.Conn, actors.CloseReason{Code: actors.ClosePanics, By: "us", Err: errors.New(m.Path)}})
	}
}

// blamed closes the connection of a peer that the application has blamed three times
// within a minute.
func (a *connectivity) blamed(c actor.Context, m BlamePeer) {
	ref, ok := a.env.Connections.Get(m.Peer)
	if !ok {
		return
	}
	supervisor.Log(c).Debug("peer blamed by the application", "peer", m.Peer, "conn", ref.ID, "reason", m.Reason)
	if a.blames.Count(supervisor.Now(c), ref.ID) {
		c.Send(a.env.Conns, CloseConn{m.Peer, ref.ID, actors.CloseReason{Code: actors.CloseBlamed, By: "us", Err: errors.New(m.Reason)}})
	}
}

func (a *connectivity) sumUpLater(c actor.Context) {
	if a.panicsDue == nil {
		a.panicsDue = supervisor.After(c, panicEvery, panicsDue{})
	}
}

func (a *connectivity) sumUpPanics() {
	a.panicsDue = nil
	for _, x := range a.env.panics.untold() {
		switch {
		case x.Service != "":
			a.env.Logger.Warn("more panics of your code", "service", x.Service, "n", x.untold, "peer", x.Peer, "panic", x.Value, "at", x.Where, "stack_id", x.StackID)
		case x.Layer != "":
			a.env.Logger.Warn("more panics of your code", "layer", x.Layer, "n", x.untold, "peer", x.Peer, "panic", x.Value, "at", x.Where, "stack_id", x.StackID)
		case x.Yours:
			a.env.Logger.Warn("more panics of your code", "actor", a.env.full(x.Path), "n", x.untold, "peer", x.Peer, "panic", x.Value, "at", x.Where, "stack_id", x.StackID)
		default:
			a.env.Logger.Warn("more panics on messages of peers", "actor", a.env.full(x.Path), "n", x.untold, "peer", x.Peer, "panic", x.Value, "at", x.Where, "stack_id", x.StackID)
		}
	}
}
