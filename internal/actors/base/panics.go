package base

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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

// key returns the key of the actor, service or layer in Panics.by.
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
	// PanicEvery is how often the log sums up the panics of one actor.
	PanicEvery = time.Minute
	// panicRecords is the greatest number of log records in a minute for one actor or
	// service of the user's. Each panic gets a record; further panics are summed up,
	// because peers may cause any number of them.
	panicRecords = 60
)

// Panics remembers panics and decides what is logged. For each of the node's own
// actors the first panic is logged at once, with its stack, and the number of further
// ones once a minute. Unlike other views Panics has many writers, as credit has: it is
// written in the turn of the actor that has panicked, or of its parent.
type Panics struct {
	mu    sync.Mutex
	began time.Time // time of the first panic; minutes are counted from it
	by    map[string]*panicked

	contained, yours atomic.Uint64 // since the node's start: of the node's own actors, and of the user's code
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

// Contained records that an actor of the node's own has panicked on a message that an
// outsider chose. It logs the first such panic and reports each one to connectivity.
func (b *Base) Contained(source supervisor.Source, path string, err *supervisor.PanicError) {
	origin := originOf(source)
	now := b.Now()
	n := Panicking{Path: b.below(path), Last: now, Peer: origin.Peer, Message: err.Msg, Value: Beginning(err.Value), Where: err.Where(), StackID: err.StackID()}
	b.Panics.contained.Add(1)
	if b.Panics.add(n) {
		b.Logger.Warn("panic on a message of a peer; the message is dropped and the actor goes on", "actor", path,
			"peer", origin.Peer, "conn", origin.Conn, "message", err.Msg, "panic", err.Value, "at", n.Where, "stack_id", n.StackID, "stack", string(err.Stack))
	}
	b.System.Root.Send(b.Connectivity, PeerPanicked{Peer: origin.Peer, Conn: origin.Conn, Path: n.Path})
}

// originOf returns the origin that a source is or names, such as a message that embeds one.
func originOf(source supervisor.Source) actors.Origin {
	if a, ok := source.(supervisor.Attributed); ok {
		source = a.Source()
	}
	origin, _ := source.(actors.Origin)
	return origin
}

// below returns path without the path of the node in front.
func (b *Base) below(path string) string { return strings.TrimPrefix(path, b.Root+"/node/") }

// full returns the path in the tree of an actor below the node. Logs have this path.
func (b *Base) full(below string) string { return b.Root + "/node/" + below }

// Panicked records that an actor of the user's has panicked. The log names the peer
// whose message it was, but the panic does not count against that peer.
func (b *Base) Panicked(p supervisor.Panic) {
	origin := originOf(p.Source)
	b.UserPanicked(Panicking{Path: b.below(p.Path), Peer: origin.Peer, Message: p.Err.Msg, Value: Beginning(p.Err.Value)},
		origin.Conn, p.Err.Stack, p.Fate == supervisor.Stops, p.Then())
}

// UserPanicked records and logs a panic of the user's code.
func (b *Base) UserPanicked(n Panicking, conn uint64, stack []byte, stops bool, then string) {
	n.Yours, n.Last = true, b.Now()
	b.Panics.yours.Add(1)
	from := supervisor.PanicError{Stack: stack}
	n.Where, n.StackID = from.Where(), from.StackID()
	record, sum := b.Panics.addYours(n)
	if sum {
		b.System.Root.Send(b.Connectivity, PanicsUntold{})
	}
	if !record {
		return
	}
	what, level := "actor", slog.LevelWarn
	name := b.full(n.Path)
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
	if b.Logger.Enabled(ctx, slog.LevelDebug) {
		attrs = append(attrs, "stack", string(stack))
	}
	b.Logger.Log(ctx, level, "your code panicked; the message is dropped, and comes again from an inbox", attrs...)
}

// Beginning returns the first 200 bytes of the value of a panic: [Panicking] keeps no
// more.
func Beginning(v any) string {
	text := fmt.Sprint(v)
	return strings.ToValidUTF8(text[:min(len(text), 200)], "")
}

// minute returns the number of the current minute. The caller holds mu.
func (p *Panics) minute(now time.Time) int64 {
	if p.began.IsZero() {
		p.began = now
	}
	return int64(now.Sub(p.began) / time.Minute)
}

// note counts one panic. fresh reports that it is the first one, or the first after
// PanicQuiet. The caller holds mu.
func (p *Panics) note(n Panicking) (x *panicked, fresh bool) {
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
func (p *Panics) add(n Panicking) (first bool) {
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
func (p *Panics) addYours(n Panicking) (record, sum bool) {
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

// Stop records that an actor or a service of the user's has stopped for good.
func (p *Panics) Stop(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.by[key]; x != nil {
		x.Stopped = true
	}
}

// Forget removes an actor or a service of the user's, which has ended or begins again.
func (p *Panics) Forget(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.by, key)
}

// makeRoom removes the entry for key. If there are still too many entries, it also removes
// the one whose last panic was longest ago: entries of the node's own actors first, because
// each peer has such actors, and never a stopped one.
func (p *Panics) makeRoom(key string) {
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
func (p *Panics) untold() (all []panicked) {
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

// Panicking returns, by path, the actors, services and layers that have panicked in
// the last PanicQuiet, and those that were stopped because of a panic.
func (b *Base) Panicking() (all []Panicking) {
	now := b.Now()
	b.Panics.mu.Lock()
	defer b.Panics.mu.Unlock()
	for _, x := range b.Panics.by {
		if x.Stopped || now.Sub(x.Last) < PanicQuiet {
			x.Count = x.tally.sum(b.Panics.minute(now))
			all = append(all, x.Panicking)
		}
	}
	slices.SortFunc(all, func(a, b Panicking) int { return cmp.Compare(a.key(), b.key()) })
	return all
}

// SumUpPanics logs how many panics there were that have no log record yet.
func (b *Base) SumUpPanics() {
	for _, x := range b.Panics.untold() {
		who := slog.String("actor", b.full(x.Path))
		switch {
		case x.Service != "":
			who = slog.Any("service", x.Service)
		case x.Layer != "":
			who = slog.String("layer", x.Layer)
		}
		attrs := []any{who, "n", x.untold, "peer", x.Peer, "panic", x.Value, "at", x.Where, "stack_id", x.StackID}
		if x.Yours {
			b.Logger.Warn("more panics of your code", attrs...)
		} else {
			b.Logger.Warn("more panics on messages of peers", attrs...)
		}
	}
}

// ServiceStopped records that a service of the user's has stopped for good.
func (p *Panics) ServiceStopped(id protocol.ID) { p.Stop(serviceKey(id)) }

// ServiceEnded removes the record of a service of the user's.
func (p *Panics) ServiceEnded(id protocol.ID) { p.Forget(serviceKey(id)) }
