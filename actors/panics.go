package actors

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Panicking is an actor that has panicked on messages of peers. Such panics are
// contained: the message is dropped, and the actor goes on.
type Panicking struct {
	Path  string          // of the actor, below that of the node
	Count uint64          // panics in a row, with less than PanicQuiet between two
	Last  time.Time       // the last one
	Peer  identity.NodeID // whose message that was; zero if that is not known
	Value string          // what it panicked with, the beginning of it
}

const (
	// PanicQuiet is how long an actor that has panicked is remembered.
	PanicQuiet = 10 * time.Minute
	// maxPanicking bounds how many such actors are remembered: peers have actors of
	// their own.
	maxPanicking = 64
	// panicEvery is how often the log sums up the panics of one actor.
	panicEvery = time.Minute
)

// panics remembers contained panics and has the log say them: the first one of an
// actor at once and with its stack, then once a minute how many there were. It is
// an exception among the views, as credit is: whoever has panicked writes it, in
// his own turn.
type panics struct {
	mu sync.Mutex
	by map[string]*panicked
}

// panicked is the state of one actor.
type panicked struct {
	Panicking
	untold uint64 // since the log has said it
}

// Contained notes a panic on a message that an outsider chose.
func (e *Env) Contained(source any, path string, err *supervisor.PanicError) {
	origin, _ := source.(Origin)
	now := e.Now()
	path = strings.TrimPrefix(path, e.Root+"/node/")
	if e.panics.add(now, Panicking{Path: path, Last: now, Peer: origin.Peer, Value: beginning(err.Value)}) {
		e.Logger.Warn("panic on a message of a peer; the message is dropped and the actor goes on", "actor", path,
			"peer", origin.Peer, "conn", origin.Conn, "message", err.Msg, "panic", err.Value, "stack", string(err.Stack))
	}
	e.System.Root.Send(e.Connectivity, PeerPanicked{Peer: origin.Peer, Conn: origin.Conn, Path: path})
}

// beginning is as much of a value as is kept.
func beginning(v any) string {
	text := fmt.Sprint(v)
	return strings.ToValidUTF8(text[:min(len(text), 200)], "")
}

// add reports whether the log is to say it at once.
func (p *panics) add(now time.Time, n Panicking) (first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.by[n.Path]
	if x == nil || now.Sub(x.Last) >= PanicQuiet {
		p.makeRoom(n.Path)
		x, first = new(panicked), true
		p.by[n.Path] = x
	} else {
		x.untold++
	}
	n.Count = x.Count + 1
	x.Panicking = n
	return first
}

// makeRoom forgets who has panicked longest ago when there are too many.
func (p *panics) makeRoom(path string) {
	if p.by == nil {
		p.by = make(map[string]*panicked)
	}
	delete(p.by, path)
	if len(p.by) < maxPanicking {
		return
	}
	oldest := ""
	for path, x := range p.by {
		if o := p.by[oldest]; o == nil || cmp.Or(x.Last.Compare(o.Last), cmp.Compare(path, oldest)) < 0 {
			oldest = path
		}
	}
	delete(p.by, oldest)
}

// untold returns what the log has not said yet, by path, and takes it as said.
func (p *panics) untold() (all []panicked) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.by {
		if x.untold > 0 {
			all = append(all, *x)
			x.untold = 0
		}
	}
	slices.SortFunc(all, func(a, b panicked) int { return cmp.Compare(a.Path, b.Path) })
	return all
}

// Panicking returns the actors that have panicked on messages of peers in the last
// PanicQuiet, by path.
func (e *Env) Panicking() (all []Panicking) {
	now := e.Now()
	e.panics.mu.Lock()
	defer e.panics.mu.Unlock()
	for _, x := range e.panics.by {
		if now.Sub(x.Last) < PanicQuiet {
			all = append(all, x.Panicking)
		}
	}
	slices.SortFunc(all, func(a, b Panicking) int { return cmp.Compare(a.Path, b.Path) })
	return all
}

// panicsDue has connectivity sum up the panics of the last minute.
type panicsDue struct{}

// panicked closes the connection that the third panic in a minute came from, and
// sees to it that the log says how many there were.
func (a *connectivity) panicked(c actor.Context, m PeerPanicked) {
	if a.panicsDue == nil {
		a.panicsDue = supervisor.After(c, panicEvery, panicsDue{})
	}
	if m.Conn != 0 && a.panics.Count(supervisor.Now(c), m.Conn) {
		c.Send(a.env.Conns, CloseConn{m.Peer, m.Conn, CloseReason{Code: ClosePanics, By: "us", Err: errors.New(m.Path)}})
	}
}

func (a *connectivity) sumUpPanics() {
	a.panicsDue = nil
	for _, x := range a.env.panics.untold() {
		a.env.Logger.Warn("more panics on messages of peers", "actor", x.Path, "n", x.untold, "peer", x.Peer, "panic", x.Value)
	}
}
