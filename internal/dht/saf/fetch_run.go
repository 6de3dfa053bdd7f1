package saf

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/internal/deadline"
)

// Limits of a run.
const (
	AnswerTimeout = 30 * time.Second // for one answer
	RunTimeout    = 5 * time.Minute  // for a run
	MaxAnswers    = 200              // of a run
	AutoRuns      = 4                // at a time that no [Fetch] waits for
	AutoPatience  = 5 * time.Second  // after that long without an answer, such a run does not count any more

	// fullBytes is the length of an answer that may have been cut by bytes.
	fullBytes = 512 << 10
)

// Errors that a run ends with. The server may have more messages then.
var (
	// ErrUnanswered reports that the server has not answered within [AnswerTimeout]. Its
	// release may have no store and forward (spec: V21).
	ErrUnanswered = fmt.Errorf("saf: no answer within %v", AnswerTimeout)
	// ErrDisconnected reports that there is no connection to the server. Connect first.
	ErrDisconnected = errors.New("saf: not connected to the server")
	// ErrNoServer reports a peer that says of itself that it stores nothing for others. Ask
	// another one.
	ErrNoServer = errors.New("saf: the peer stores no messages for others")
	// ErrRunLimit reports a run of more than [RunTimeout] or [MaxAnswers]. Fetch again for
	// the rest.
	ErrRunLimit = errors.New("saf: the server has more messages than one fetch brings; fetch again")
	// ErrRepeats reports a server that hands out the same full answer again and again, as
	// those of Tari do, which hand out their newest messages. It may have older ones; they
	// cannot be fetched before it has deleted newer ones.
	ErrRepeats = fmt.Errorf("saf: the server repeats its newest %d messages; it may have older ones, which it does not hand out", AnswerLimit)
	// ErrUnhandled reports that messages of an answer, perhaps of an earlier run, were still
	// with their handlers after [RunTimeout]. The server is not asked for more before. Fetch
	// again when the handlers have finished.
	ErrUnhandled = fmt.Errorf("saf: handlers here have not finished the messages that came, after %v; fetch again later", RunTimeout)
	// ErrNotSent reports a request that was not written.
	ErrNotSent = errors.New("saf: the request was not sent")
)

// Stage is what a run is doing.
type Stage uint8

const (
	StageQueued  Stage = iota + 1 // waits for its turn
	StagePaused                   // waits until the server may be asked again
	StageWaiting                  // waits for an answer
	StageReading                  // the messages of an answer are being delivered
)

// String returns the stage in words.
func (s Stage) String() string {
	switch s {
	case StageQueued:
		return "waits for its turn"
	case StagePaused:
		return "waits until it may ask again"
	case StageWaiting:
		return "waits for an answer"
	case StageReading:
		return "delivers an answer"
	}
	return fmt.Sprintf("stage %d", uint8(s))
}

// run asks one server until it has nothing new. New is what this run has not seen: what
// other servers brought counts too, because a server of ours sends the oldest first, and what
// is behind them may be missing here.
type run struct {
	server *server
	auto   bool // no [Fetch] waits for it
	own    bool // another run may follow it whatever its end: it was begun without a Fetch, or something was not handled meanwhile
	stage  Stage
	at     time.Time          // when the stage ends; zero while reading
	due    time.Time          // when it would have begun without the Fetch that hurries it
	limit  time.Time          // of the run, once it has left the queue
	seen   map[wire.Hash]bool // with true, no handler has finished it
	stale  bool               // the last answer was full, and had nothing new
	asked  time.Time          // its first request; zero for none
	// request is the number of its last request, and conn the connection to the server then.
	request uint32
	conn    uint64
	fresh   bool // an answer since the last request had something new
	full    bool // … was full
	result  dht.FetchResult

	reached uint64 // stored until then was delivered
}

// RunState describes a run.
type RunState struct {
	Stage     Stage
	Automatic bool // no [Fetch] waits for it
	Result    dht.FetchResult
}

func (r *run) state() RunState { return RunState{Stage: r.stage, Automatic: r.auto, Result: r.result} }

func (r *run) until() time.Time { return deadline.Earlier(r.limit, r.at) }

// later reports whether the run begins later.
func (r *run) later(now time.Time) bool { return r.stage == StageQueued && r.at.After(now) }

// begin begins a run at a time.
func (c *Client[W]) begin(s *server, auto bool, at time.Time) {
	s.run = &run{
		server: s, auto: auto, own: auto, stage: StageQueued, at: at,
		seen: make(map[wire.Hash]bool), result: dht.FetchResult{Server: s.peer},
	}
	c.runs = append(c.runs, s.run)
}

// wait waits until the server may be asked.
func (r *run) wait(now time.Time) {
	if r.limit.IsZero() {
		r.limit = now.Add(RunTimeout)
	}
	r.stage, r.at = StagePaused, r.server.room(now)
}

// autoRoom reports whether one more automatic run may leave the queue.
func (c *Client[W]) autoRoom() bool {
	n := 0
	for _, r := range c.runs {
		if c.holdsPlace(r) {
			n++
		}
	}
	return n < AutoRuns
}

// holdsPlace reports whether a run counts towards [AutoRuns]. One that waits for its answer
// for long does not, so that many silent servers do not hold up the others.
func (c *Client[W]) holdsPlace(r *run) bool {
	return r.auto && r.stage != StageQueued && (r.stage != StageWaiting || r.slow().After(c.now))
}

// slow returns when the answer that the run waits for is slow.
func (r *run) slow() time.Time { return r.at.Add(AutoPatience - AnswerTimeout) }

// advance does what is due.
func (c *Client[W]) advance() {
	for i := 0; i < len(c.runs); {
		r := c.runs[i]
		if r.stage == StageQueued && !r.at.After(c.now) && c.autoRoom() {
			r.wait(c.now)
		}
		switch due := !r.at.IsZero() && !r.at.After(c.now); {
		case r.stage == StageQueued:
		case !r.limit.After(c.now) && r.server.reading > 0:
			c.end(r, ErrUnhandled)
		case !r.limit.After(c.now):
			c.end(r, ErrRunLimit)
		case r.stage == StageWaiting && due:
			c.unanswered(r)
		case r.stage == StagePaused && due && r.server.reading > 0:
			r.stage, r.at = StageReading, time.Time{} // until its handlers have finished what came before
		case r.stage == StagePaused && due:
			c.ask(r)
		}
		if r.server.run == r {
			i++
		} else { // its end may have made room for an earlier one
			i = 0
		}
	}
}

func (c *Client[W]) ask(r *run) {
	q := c.request(r.server.peer)
	r.server.take(c.now, q.RequestID)
	if r.asked.IsZero() {
		r.asked = c.now
	}
	r.request, r.conn = q.RequestID, r.server.conn
	r.fresh, r.full = false, false
	r.stage, r.at = StageWaiting, c.now.Add(AnswerTimeout)
	c.stats.Requests++
	c.do(Ask{r.server.peer, q})
}

func (c *Client[W]) unanswered(r *run) {
	c.stats.Unanswered++
	r.server.silence++
	r.server.silent = c.now
	if r.server.isSilent(c.now) {
		c.do(Silent{r.server.peer, r.server.silentTill()})
	}
	c.end(r, ErrUnanswered)
}

func (c *Client[W]) notSent(e NotSent) {
	s := c.servers[e.Peer]
	if s == nil || e.ID == 0 || !s.answered(e.ID) {
		return
	}
	c.stats.NotSent++
	if r := s.run; r != nil && r.stage == StageWaiting && r.request == e.ID {
		c.end(r, fmt.Errorf("%w: %w", ErrNotSent, e.Err))
	}
}

// outcome returns what became of a letter.
func (e *Answered) outcome(i int) Delivery {
	if i < len(e.Deliveries) {
		return e.Deliveries[i]
	}
	return Refused
}

// unhandled reports whether no actor has finished one of the letters.
func (e *Answered) unhandled() bool {
	for i := range e.Letters {
		if e.open(i) {
			return true
		}
	}
	return false
}

// open reports whether no actor has finished a letter.
func (e *Answered) open(i int) bool {
	d := e.outcome(i)
	return d == Refused || d == InHand
}

// tally counts the messages of an answer by how they ended.
func tally(e Answered) dht.FetchResult {
	t := dht.FetchResult{Answers: 1, Messages: e.Messages, Duplicates: e.Skipped[SkipDuplicate], Ahead: e.Ahead}
	t.Skipped = e.Skipped.Sum() - t.Duplicates
	for i := range e.Letters {
		switch e.outcome(i) {
		case Delivered:
			t.Delivered++
		case Duplicate, InHand:
			t.Duplicates++
		default:
			t.Refused++
		}
	}
	return t
}

// answeredRun goes on with a run after an answer.
func (c *Client[W]) answeredRun(r *run, e Answered, t dht.FetchResult) {
	r.add(t)
	r.note(e)
	switch {
	case e.Violation != nil:
		c.end(r, e.Violation)
		return
	case e.Err != nil && !r.asked.IsZero():
		c.end(r, e.Err)
		return
	}
	if r.stage != StageReading || r.server.reading > 0 {
		return // a late answer to an earlier request, or one of several
	}
	switch {
	case r.asked.IsZero():
		c.proceed(r)
	case !r.fresh && !r.full:
		c.end(r, nil)
	case !r.fresh && r.stale:
		c.end(r, ErrRepeats)
	case r.result.Answers >= MaxAnswers:
		c.end(r, ErrRunLimit)
	default:
		r.stale = !r.fresh
		c.proceed(r)
	}
}

// proceed has a run ask as soon as it may.
func (c *Client[W]) proceed(r *run) {
	switch {
	case !r.server.connected:
		c.end(r, ErrDisconnected)
	case !r.server.serves:
		c.end(r, ErrNoServer)
	default:
		r.wait(c.now)
	}
}

func (r *run) add(t dht.FetchResult) {
	r.result.Answers += t.Answers
	r.result.Messages += t.Messages
	r.result.Delivered += t.Delivered
	r.result.Duplicates += t.Duplicates
	r.result.Refused += t.Refused
	r.result.Skipped += t.Skipped
	r.result.Ahead += t.Ahead
}

// note records what an answer had, and whether it had anything new.
func (r *run) note(e Answered) {
	for _, h := range e.Hashes {
		if _, ok := r.seen[h]; !ok {
			r.seen[h] = false
			r.fresh = true
		}
	}
	for i := range e.Letters {
		r.seen[e.Letters[i].Hash] = e.open(i)
	}
	r.full = r.full || e.Messages >= AnswerLimit || e.Bytes >= fullBytes
	r.reached = max(r.reached, e.Newest)
}

// openDigest is a digest of letters; zero for none.
type openDigest [sha256.Size]byte

// open returns the digest of the letters of a run that no handler has finished.
func (r *run) open() (d openDigest) {
	var list []wire.Hash
	for h, open := range r.seen {
		if open {
			list = append(list, h)
		}
	}
	if len(list) == 0 {
		return d
	}
	slices.SortFunc(list, func(a, b wire.Hash) int { return bytes.Compare(a[:], b[:]) })
	all := sha256.New()
	for _, h := range list {
		all.Write(h[:])
	}
	return openDigest(all.Sum(nil))
}

// end ends a run; with err the server may have more, and is asked again if it may be. A Fetch that
// is told that a run was complete does not ask again, so this client does if the run is not sure.
func (c *Client[W]) end(r *run, err error) {
	sure := c.leave(r, err)
	if r.own || err == nil {
		c.again(r, err, sure)
	}
}

// leave ends a run for good. It reports whether all that the server had for us was handled:
// only then the watermark is raised, because without the rest it would be skipped for ever
// (Q24).
func (c *Client[W]) leave(r *run, err error) (sure bool) {
	s := r.server
	c.runs = slices.DeleteFunc(c.runs, func(o *run) bool { return o == r })
	s.run = nil
	if r.auto && r.stage == StageQueued { // it has not begun, and nobody waits for it
		return false
	}
	c.stats.Runs++
	if err == nil {
		c.stats.Complete++
	} else {
		s.doubt = c.now
	}
	if err == nil || err == ErrRepeats { // it has nothing more for us
		s.complete = c.now
	}
	sure = err == nil
	for _, doubt := range []time.Time{c.born, s.doubt, c.missed} {
		sure = sure && (doubt.IsZero() || !r.asked.Before(doubt.Add(CheckAfter)))
	}
	if sure {
		if m, ok := c.o.Watermarks.Raise(c.wall, s.peer, r.reached); ok {
			c.do(Save{m})
		}
	}
	r.result.Err = err
	s.ended, s.result = c.now, r.result
	c.deliver(r.result)
	return sure
}
