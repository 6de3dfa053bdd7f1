// Package tracepart is the part of a node that shows what passes through an actor, and what happens with
// a peer or a message, for as long as somebody looks. A trace ends by itself.
package tracepart

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/taps"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

const name = "trace"

// The bounds of a trace whose request names none.
const (
	defaultLimit = 100
	defaultFor   = 10 * time.Second
)

// Trace is the part. It has no actors.
type Trace struct {
	trunk Trunk
	// root returns the tree of the node.
	root func() *supervisor.Root
}

// New returns the part.
func New(t Trunk, root func() *supervisor.Root) *Trace { return &Trace{trunk: t, root: root} }

// Part returns the verbs.
func (x *Trace) Part() actors.Part {
	return actors.Part{
		Name:     name,
		Sections: map[string]func(context.Context) any{name: func(context.Context) any { return x.section() }},
		Verbs: map[string]map[string]inspect.Verb{name: {
			"actor":   {Params: []string{"path", "limit", "for"}, Stream: x.verb(x.actor)},
			"peer":    {Params: []string{"peer", "limit", "for"}, Stream: x.verb(x.peer)},
			"message": {Params: []string{"tag", "limit", "for"}, Stream: x.verb(x.message)},
		}},
	}
}

// Section is the content of the section "trace".
type Section struct {
	Running int `json:"running"` // traces that are under way
	Most    int `json:"most"`    // at a time
}

func (x *Trace) section() Section { return Section{x.trunk.Taps().Number(), taps.MostTaps} }

// bounds are when a trace ends.
type bounds struct {
	limit int
	most  time.Duration
}

func boundsOf(v url.Values) (b bounds, err error) {
	b = bounds{defaultLimit, defaultFor}
	if text := v.Get("limit"); text != "" {
		if b.limit, err = strconv.Atoi(text); err != nil || b.limit < 1 || b.limit > models.MostTraced {
			return b, badQuery("limit cannot be "+strconv.Quote(inspect.Escape(text)), fmt.Sprintf("give a number from 1 to %d", models.MostTraced))
		}
	}
	if text := v.Get("for"); text != "" {
		if b.most, err = time.ParseDuration(text); err != nil || b.most <= 0 || b.most > models.LongestTrace {
			return b, badQuery("for cannot be "+strconv.Quote(inspect.Escape(text)), fmt.Sprintf("give a time up to %s, such as 30s", words.Long(models.LongestTrace)))
		}
	}
	return b, nil
}

func badQuery(what, hint string) error {
	return &inspect.Error{Code: inspect.CodeBadQuery, Message: what, Hint: hint}
}

// verb returns the stream of a trace.
func (x *Trace) verb(begin func(url.Values) (looker, error)) func(context.Context, url.Values) iter.Seq2[any, error] {
	return func(ctx context.Context, v url.Values) iter.Seq2[any, error] {
		return func(yield func(any, error) bool) {
			b, err := boundsOf(v)
			var l looker
			if err == nil {
				l, err = begin(v)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			x.run(ctx, b, l, yield)
		}
	}
}

// looker says what a trace shows.
type looker struct {
	want func(*taps.Event) bool
	// open begins what happens only while it is looked at; nil: nothing does. close ends it.
	open func() (closes func(), err error)
}

// errOver ends a trace whose time is over.
var errOver = errors.New("the time is over")

// run yields what l wants, within the bounds, and at the end why it has ended.
func (x *Trace) run(ctx context.Context, b bounds, l looker, yield func(any, error) bool) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.most, errOver)
	defer cancel()
	all, ok := x.trunk.Taps().Look(ctx, l.want)
	if !ok {
		yield(nil, &inspect.Error{Code: inspect.CodeBusy, Message: fmt.Sprintf("%d traces are under way", taps.MostTaps), Hint: "wait until one ends, or end it"})
		return
	}
	var err error
	if l.open != nil {
		var closes func()
		if closes, err = l.open(); err == nil {
			defer closes()
		} else {
			cancel()
		}
	}
	if err == nil && !yield(nil, nil) { // it is accepted
		cancel()
		yield = func(any, error) bool { return false }
	}
	n, end := 0, models.Traced{What: models.TraceEnded}
	for e, lost := range all { // also after an error: the loop gives the place back
		if end.Lost = 0; e.What == "" || e.Last {
			end.Lost = lost
			if e.Last {
				end.Note = e.Note
				break
			}
			continue
		}
		if !yield(x.line(e, lost), nil) {
			return
		}
		if n++; n == b.limit {
			end.Note = inspect.Count(uint64(n), "line")
			break
		}
	}
	if err != nil {
		yield(nil, err)
		return
	}
	if end.Note == "" {
		end.Note = whyOver(ctx, b.most)
	}
	end.At = x.trunk.OnWall(x.trunk.Now()).UTC()
	yield(end, nil)
}

// whyOver says why a trace has ended with its context.
func whyOver(ctx context.Context, most time.Duration) string {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errOver):
		return most.String() + " are over"
	case cause == nil, errors.Is(cause, context.Canceled):
		return "it was cancelled"
	default:
		return words.OneLine(cause.Error())
	}
}

// line returns an event as it is shown.
func (x *Trace) line(e taps.Event, lost uint64) models.Traced {
	t := models.Traced{At: x.trunk.OnWall(e.At).UTC(), What: e.What, Protocol: e.Kind, Size: e.Size, Note: e.Note, Lost: lost}
	if e.Peer != (identity.NodeID{}) {
		t.Peer = e.Peer.String()
	}
	if e.Tag != 0 {
		t.Tag = fmt.Sprintf("%016x", e.Tag)
	}
	if m := e.Handled; m != nil {
		t.Actor, t.From, t.Type = x.below(m.Actor), x.below(m.From), m.Message
		t.TookMS, t.Queue, t.Failed = float64(m.Took.Microseconds())/1000, m.Waiting, m.Failed
	}
	return t
}

// below returns the path of an actor without the name of the tree.
func (x *Trace) below(path string) string { return strings.TrimPrefix(path, x.trunk.Root()+"/") }

// actor traces the messages of an actor.
func (x *Trace) actor(v url.Values) (l looker, err error) {
	path := strings.Trim(v.Get("path"), "/")
	if path == "" {
		return l, badQuery("no actor is named", "give its path, as /v1/tree shows it")
	}
	all, mine := x.trunk.Taps(), new(int)
	l.want = func(e *taps.Event) bool { return e.Handled != nil && e.Handled.By == mine }
	l.open = func() (func(), error) {
		at, ok := x.find(path)
		if !ok {
			return nil, &inspect.Error{Code: inspect.CodeNotFound, Message: "there is no actor " + inspect.Escape(path), Hint: inspect.HintActors}
		}
		stop, err := x.root().Trace(at, func(m supervisor.Traced) {
			e := taps.Event{At: m.At, What: "handled", Handled: &taps.Handled{Traced: m, Actor: at, By: mine}, Last: m.Ended}
			if m.Ended {
				e.Note = "the actor has ended"
			}
			all.Put(e)
		})
		switch {
		case err == nil:
			return stop, nil
		case errors.Is(err, supervisor.ErrNoActor):
			return nil, &inspect.Error{Code: inspect.CodeNotFound, Message: inspect.Escape(path) + " does not run", Hint: inspect.HintActors}
		}
		return nil, &inspect.Error{Code: inspect.CodeBusy, Message: "the actor is traced already", Hint: "wait until that trace ends"}
	}
	return l, nil
}

// find returns the path of an actor that is named as in all requests, or by its path below the node.
func (x *Trace) find(path string) (at string, ok bool) {
	all := inspect.FromRoot(x.root(), x.trunk.System())
	a, ok := inspect.FindActor(all, path)
	if !ok {
		a, ok = inspect.FindActor(all, "node/"+path)
	}
	return a.ID, ok
}

// peer traces what happens with a peer.
func (x *Trace) peer(v url.Values) (l looker, err error) {
	id, err := x.trunk.FindPeer(v.Get("peer"))
	if err != nil {
		return l, trunk.NotFound(err, inspect.HintAdd)
	}
	l.want = func(e *taps.Event) bool { return e.Handled == nil && e.Peer == id }
	return l, nil
}

// message traces what happens with a message of the DHT.
func (x *Trace) message(v url.Values) (l looker, err error) {
	tag, ok := inspect.ParseTag(v.Get("tag"))
	if !ok {
		return l, badQuery("the tag of a message cannot be "+strconv.Quote(inspect.Escape(v.Get("tag"))), "give the hexadecimal digits that /v1/ledger shows")
	}
	l.want = func(e *taps.Event) bool { return e.Tag == tag }
	return l, nil
}

// Published shows events of the node that are about a peer. It is called for each of them, and does not wait.
func (x *Trace) Published(event any) {
	all := x.trunk.Taps()
	if !all.Open() {
		return
	}
	e := taps.Event{At: x.trunk.Now()}
	switch m := event.(type) {
	case actors.PeerConnected:
		e.What, e.Peer, e.Note = "connected", m.Conn.Peer, m.Conn.Direction.String()+", "+m.Conn.Addr.String()
	case actors.PeerDisconnected:
		e.What, e.Peer, e.Note = "disconnected", m.Peer, m.Reason.String()
	case actors.DialFailed:
		e.What, e.Peer, e.Note = "dial failed", m.Peer, words.Cause(m.Err)
	case actors.PeerRefused:
		e.What, e.Peer, e.Note = "refused", m.Peer, words.Cause(m.Err)
	case actors.InboundRejected:
		if m.Peer.IsZero() {
			return
		}
		e.What, e.Peer, e.Note = "refused", m.Peer, words.Cause(m.Err)
	case actors.PeerBanned:
		e.What, e.Peer, e.Note = "banned", m.Peer, m.Reason
	default:
		return
	}
	all.Put(e)
}
