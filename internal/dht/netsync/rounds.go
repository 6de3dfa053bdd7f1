package netsync

import (
	"cmp"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/deadline"
)

// State is a state of [Rounds].
type State uint8

const (
	Initializing State = iota // waits until the node is online
	Ready                     // decides; no step ends in this state
	Discovering               // a round is under way
	Waiting                   // rests until a time; asks each node that connects if the rest is long
	OnConnect                 // asks each node that connects
)

// String returns the state in words.
func (s State) String() string {
	switch s {
	case Initializing:
		return "waits until the node is online"
	case Ready:
		return "ready"
	case Discovering:
		return "asks nodes for their peers"
	case Waiting:
		return "waits for the next round"
	case OnConnect:
		return "asks each node that connects"
	}
	return "unknown"
}

// Limits of all syncs.
const (
	SyncLimit    = 45 * time.Second // of one sync, dial included
	DialLimit    = 30 * time.Second // of the dial in it
	onConnectAsk = 100              // peers that a node which connects is asked for
	maxQueue     = 256              // connected nodes that wait to be asked
)

// Options configure the machines. Zero fields have the defaults of the comments.
type Options struct {
	Desired int           // known peers below which random nodes are asked: 50
	Peers   int           // nodes that are asked in a round, or at once on connect: 5
	Ask     int           // peers that each node of a round is asked for: 500
	Rounds  int           // rounds after which Rounds rests: 10
	Idle    time.Duration // how long it rests: 30 min
	Failure time.Duration // pause after a round without an answer: 5 s
	Delay   time.Duration // pause before the first round, once the node is online: none
	Resync  time.Duration // a node that connects is asked again after it: 1 h
	Retry   time.Duration // … if it failed: 5 min
}

func (o Options) withDefaults() Options {
	o.Desired = cmp.Or(o.Desired, 50)
	o.Peers = cmp.Or(o.Peers, 5)
	o.Ask = cmp.Or(o.Ask, 500)
	o.Rounds = cmp.Or(o.Rounds, 10)
	o.Idle = cmp.Or(o.Idle, 30*time.Minute)
	o.Failure = cmp.Or(o.Failure, 5*time.Second)
	o.Resync = cmp.Or(o.Resync, time.Hour)
	o.Retry = min(cmp.Or(o.Retry, 5*time.Minute), o.Resync)
	return o
}

// View is what Rounds knows of peers. Its methods return the state of the moment.
type View interface {
	// Known returns the number of known peers, clients included.
	Known() int
	// Random returns up to n nodes at random that may be asked and that skip does not
	// name.
	Random(n int, skip func(identity.NodeID) bool) []identity.NodeID
	// Ready returns up to n nodes that may be asked, connected ones first.
	Ready(n int) []identity.NodeID
	// Nearest returns the n nodes closest to this node that were reached lately, may be
	// asked, and are not named by skip.
	Nearest(n int, skip func(identity.NodeID) bool) []identity.NodeID
	// Connected reports whether a peer is connected.
	Connected(identity.NodeID) bool
}

// Round is the result of a round.
type Round struct {
	Number       int // counts from 1, since the machine was made
	Asked        int // peers
	Began, Ended time.Time
	Answers      []Given // in the order in which they ended
}

// Given is what one peer of a round gave.
type Given struct {
	Peer                identity.NodeID
	New, Known, Skipped int
	Err                 error // nil: the whole list came
}

// New returns how many peers the round added.
func (r Round) New() (n int) {
	for _, g := range r.Answers {
		n += g.New
	}
	return n
}

// Answered returns how many peers gave their whole list.
func (r Round) Answered() (n int) {
	for _, g := range r.Answers {
		if g.Err == nil {
			n++
		}
	}
	return n
}

// Rounds is the state machine of network discovery. It is not safe for concurrent use.
type Rounds struct {
	o    Options
	view View

	state   State
	online  bool
	delayed bool                         // the first pause is over, or there was none
	until   time.Time                    // end of the pause in Waiting, or of the first one in Initializing
	idle    bool                         // the pause is a rest, after which tried is empty
	count   int                          // of rounds, towards Options.Rounds
	tried   map[identity.NodeID]struct{} // asked since the last rest (Q19)
	last    *Round                       // the last round, unless a rest came after it
	number  int
	round   Round
	asked   asked // of the round
	wanted  bool  // the round was asked for
	back    State // the state after a round that was asked for in another one
	backAt  time.Time

	recent  Recent // when connected nodes may be asked again (Q13)
	retry   asked  // connected nodes that failed, and when to ask them again
	queue   []identity.NodeID
	syncing asked // of nodes that have connected
	effects
}

// NewRounds returns a machine that waits until the node is online.
func NewRounds(o Options, v View) *Rounds {
	return &Rounds{
		o: o.withDefaults(), view: v,
		tried: make(map[identity.NodeID]struct{}), asked: make(asked), retry: make(asked), syncing: make(asked),
	}
}

// State returns the state, and the time at which a pause ends.
func (r *Rounds) State() (s State, until time.Time) { return r.state, r.until }

// Number returns how many rounds have begun.
func (r *Rounds) Number() int { return r.number }

// Running returns the round under way.
func (r *Rounds) Running() (Round, bool) { return r.round, r.state == Discovering }

// Step applies one event and returns its effects, in order. The slice is valid until
// the next Step.
func (r *Rounds) Step(now time.Time, e Event) []Effect {
	r.begin(e)
	switch e := e.(type) {
	case Online:
		r.online = true
		r.initialize(now)
	case Offline:
		r.online = false
	case Connected:
		if e.Node && r.onConnect() {
			r.enqueue(now, e.Peer)
		}
	case Synced:
		r.synced(now, e)
	case RoundWanted:
		r.want(now)
	case Failed:
		r.failed(now, e.Err)
	case Recovered:
		r.recovered(now)
	case Restarted:
		r.restarted(now)
	case Due:
		r.due(now)
	}
	r.ask(now)
	r.askWake()
	return r.out
}

// initialize leaves Initializing when the node is online and the first pause is over.
func (r *Rounds) initialize(now time.Time) {
	if r.state != Initializing || !r.online {
		return
	}
	if !r.delayed && r.until.IsZero() && r.o.Delay > 0 {
		r.until = now.Add(r.o.Delay)
		return
	}
	if r.until.After(now) {
		return
	}
	r.delayed = true
	r.decide(now)
}

// decide is the state Ready.
//
// spec: dht 10.1.
func (r *Rounds) decide(now time.Time) {
	r.state, r.until = Ready, time.Time{}
	if !r.online { // the dials of a round would all fail
		r.state = Initializing
		return
	}
	skip := func(id identity.NodeID) bool { _, ok := r.tried[id]; return ok }
	if r.view.Known() < r.o.Desired {
		if r.count >= r.o.Rounds {
			r.rest(now)
			return
		}
		r.beginRound(now, r.view.Random(r.o.Peers, skip))
		return
	}
	if r.last != nil {
		r.count++
		if r.last.Answered() > 0 && r.last.New() == 0 {
			r.reset()
			r.state = OnConnect
			return
		}
		if r.count >= r.o.Rounds {
			r.rest(now)
			return
		}
	}
	switch {
	case r.last == nil:
		r.beginRound(now, r.view.Random(r.o.Peers, skip))
	case r.last.New() > 0:
		r.beginRound(now, r.view.Nearest(r.o.Peers, skip))
	default:
		r.state = OnConnect
	}
}

func (r *Rounds) reset() { r.count, r.last = 0, nil }

// rest pauses for the idle period.
func (r *Rounds) rest(now time.Time) {
	r.reset()
	r.pause(now, r.o.Idle)
	r.idle = true
}

func (r *Rounds) pause(now time.Time, d time.Duration) {
	r.state, r.until, r.idle = Waiting, now.Add(d), false
}

// beginRound asks these peers, or rests if there are none.
func (r *Rounds) beginRound(now time.Time, peers []identity.NodeID) {
	if len(peers) == 0 {
		r.rest(now)
		return
	}
	r.number++
	r.state, r.until, r.round = Discovering, time.Time{}, Round{Number: r.number, Asked: len(peers), Began: now}
	for _, peer := range peers {
		r.tried[peer] = struct{}{}
		r.asked[peer] = now.Add(SyncLimit)
		r.do(Sync{
			For: ForRound, Peer: peer, N: r.o.Ask, Clients: true,
			Connected: r.view.Connected(peer), Until: now.Add(SyncLimit),
		})
	}
}

// synced handles the end of a sync.
func (r *Rounds) synced(now time.Time, e Synced) {
	switch e.For {
	case ForRound:
		r.learned(e)
		if r.asked.took(e.Peer) {
			r.given(e)
			r.endIfOver(now)
		}
	case ForConnect:
		r.learned(e)
		if r.syncing.took(e.Peer) {
			r.connectSynced(now, e.Peer, e.Err)
		}
	}
}

func (r *Rounds) learned(e Synced) {
	if e.New > 0 {
		r.do(Learned{e.Peer, e.New})
	}
}

// given adds an answer to the round.
func (r *Rounds) given(e Synced) {
	r.round.Answers = append(r.round.Answers, Given{Peer: e.Peer, New: e.New, Known: e.Known, Skipped: e.Skipped, Err: e.Err})
}

// endIfOver ends the round when every peer has answered or has lost its time.
func (r *Rounds) endIfOver(now time.Time) {
	if r.state != Discovering || len(r.asked) > 0 {
		return
	}
	r.round.Ended = now
	done := r.round
	r.do(RoundEnded{done})
	if r.wanted {
		r.wanted = false
		if r.back != Discovering {
			r.resume(now)
			return
		}
	}
	r.last = &done
	if done.Answered() == 0 {
		r.pause(now, r.o.Failure)
		return
	}
	r.decide(now)
}

// want begins a round that was asked for. It asks connected nodes first, and also those
// that were tried before. When it has ended, the state of before comes back.
func (r *Rounds) want(now time.Time) {
	if r.wanted {
		return
	}
	if r.state == Discovering { // this round is the answer
		r.wanted, r.back = true, Discovering
		return
	}
	peers := r.view.Ready(r.o.Peers)
	if len(peers) == 0 {
		r.do(RoundEnded{Round{Began: now, Ended: now}})
		return
	}
	back, until := r.state, r.until
	r.beginRound(now, peers)
	r.wanted, r.back, r.backAt = true, back, until
}

// resume returns to the state before a round that was asked for.
func (r *Rounds) resume(now time.Time) {
	r.state, r.until = r.back, r.backAt
	switch {
	case r.state == Initializing:
		r.initialize(now)
	case r.state == Waiting && !r.until.After(now):
		r.paused(now)
	}
}

// failed ends the round because this node cannot store what it learns.
func (r *Rounds) failed(now time.Time, err error) {
	if r.state != Discovering {
		return
	}
	resume := r.wanted && r.back != Discovering
	r.abandon(now, err)
	if resume {
		r.resume(now)
		return
	}
	r.pause(now, r.o.Failure)
}

// abandon ends the syncs of the round, and the round with them.
func (r *Rounds) abandon(now time.Time, err error) {
	for _, peer := range r.asked.all() {
		r.do(Abandon{ForRound, peer})
		r.given(Synced{Peer: peer, Err: err})
	}
	r.round.Ended, r.wanted = now, false
	r.do(RoundEnded{r.round})
}

// recovered begins anew: seeds and connected nodes have just been asked.
func (r *Rounds) recovered(now time.Time) {
	if r.state == Discovering {
		r.abandon(now, ErrAbandoned)
	}
	r.reset()
	clear(r.tried)
	r.delayed = true
	r.decide(now)
}

// restarted ends the round, whose answers are lost.
func (r *Rounds) restarted(now time.Time) {
	r.wakes = nil
	for _, peer := range r.syncing.all() {
		r.connectSynced(now, peer, ErrAbandoned)
	}
	for _, peer := range r.asked.all() {
		r.given(Synced{Peer: peer, Err: ErrAbandoned})
	}
	r.endIfOver(now)
}

func (r *Rounds) due(now time.Time) {
	for _, peer := range r.asked.late(now) {
		r.do(Abandon{ForRound, peer})
		r.given(Synced{Peer: peer, Err: ErrTimeLimit})
	}
	r.endIfOver(now)
	for _, peer := range r.syncing.late(now) {
		r.do(Abandon{ForConnect, peer})
		r.connectSynced(now, peer, ErrTimeLimit)
	}
	for _, peer := range r.retry.late(now) {
		if r.onConnect() && r.view.Connected(peer) {
			r.enqueue(now, peer)
		}
	}
	switch {
	case r.state == Initializing:
		r.initialize(now)
	case r.state == Waiting && !r.until.After(now):
		r.paused(now)
	}
}

// paused ends a pause. After a rest everybody may be asked again.
func (r *Rounds) paused(now time.Time) {
	if r.idle {
		clear(r.tried)
	}
	r.decide(now)
}

// enqueue lets a connected node be asked, unless it was lately.
func (r *Rounds) enqueue(now time.Time, peer identity.NodeID) {
	if r.recent.Has(now, peer) || len(r.queue) >= maxQueue {
		return
	}
	r.recent.Add(now, peer, now.Add(r.o.Resync)) // not twice in the queue
	r.queue = append(r.queue, peer)
}

// onConnect reports whether nodes that connect are asked: in OnConnect, in a rest, and in a
// round that was asked for then. A node that rests because a seed knew nobody learns the
// network from those who come to it.
func (r *Rounds) onConnect() bool {
	resting := func(s State) bool { return s == OnConnect || s == Waiting && r.idle }
	return resting(r.state) || r.state == Discovering && r.wanted && resting(r.back)
}

// ask asks the nodes in the queue, a few at a time.
func (r *Rounds) ask(now time.Time) {
	for len(r.queue) > 0 && len(r.syncing) < r.o.Peers && r.onConnect() {
		peer := r.queue[0]
		r.queue = r.queue[1:]
		if !r.view.Connected(peer) {
			r.recent.Add(now, peer, now)
			continue
		}
		r.syncing[peer] = now.Add(SyncLimit)
		r.do(Sync{For: ForConnect, Peer: peer, N: onConnectAsk, Connected: true, Until: now.Add(SyncLimit)})
	}
	if !r.onConnect() {
		for _, peer := range r.queue {
			r.recent.Add(now, peer, now)
		}
		r.queue = nil
	}
}

// connectSynced notes when a node that connected may be asked again.
func (r *Rounds) connectSynced(now time.Time, peer identity.NodeID, err error) {
	again := r.o.Resync
	if err != nil {
		again = r.o.Retry
		if len(r.retry) < maxQueue {
			r.retry[peer] = now.Add(again)
		}
	}
	r.recent.Add(now, peer, now.Add(again))
}

// askWake asks for the next Due.
func (r *Rounds) askWake() {
	at := deadline.Earlier(r.asked.first(), r.syncing.first())
	at = deadline.Earlier(at, r.retry.first())
	if r.state == Waiting || r.state == Initializing && r.online {
		at = deadline.Earlier(at, r.until)
	}
	r.wake(at)
}
