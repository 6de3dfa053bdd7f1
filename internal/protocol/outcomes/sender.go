package outcomes

import (
	"slices"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// Sender numbers the messages to one peer, and decides what becomes of each: when it is written again, and
// when it ends. It is not safe for concurrent use.
//
// Until a hello has come on a connection, a greeting is written in place of the first message with an outcome of the peer, and all
// behind it wait. So each such message is for one line, and a copy names the store of the first one.
//
// All messages are written in order: none is while an earlier one waits, greets, or was written before the connection was lost and
// has no outcome.
//
//	          Outcome(Confirmed)            Answer
//	writing --------------------> read ----------------> ended
//	   |                            |                      ^
//	   | Outcome(InDoubt)           | Disconnected         | with Read: Outcome(Confirmed)
//	   v                            v                      |
//	waiting <-----------------------+                      |
//	   |  Write                                            |
//	   +--> writing; or ended, if it may not wait and the write has failed
type Sender[T any] struct {
	epoch   Epoch
	hello   Hello // the last one on this connection; without a line none has come
	next    uint64
	settled uint64
	list    []*sending[T] // of the numbers behind settled, in order
	waits   int           // how many of list are waiting
	blocks  int           // how many of list block those behind them
	refuses int           // how many of list are refused
}

// Submission is what becomes a message.
type Submission[T any] struct {
	Want  Want
	Until bool // it waits for a peer that is away, until Withdraw
	Once  bool // it is written without its id, so not again once it may have been written; with Read alone
	Topic string
	Tag   T
}

// sending is a message that has not ended.
type sending[T any] struct {
	Submission[T]
	number uint64
	state  sendState
	again  bool  // it was written before
	greets bool  // a greeting was written in its place, and it is not waiting
	stale  bool  // it is being written since before the connection was lost
	gone   bool  // nobody waits for it any more
	none   bool  // nobody takes it there now, as an answer said before the outcome of the write
	store  Store // to which it was written first
}

type sendState uint8

const (
	sendWriting sendState = iota
	sendRead
	sendWaiting
	sendRefused // nobody takes it there now; it is written again, and holds up no other
	sendEnded
)

// Ended is a message that has ended.
type Ended[T any] struct {
	Tag     T
	Outcome protocol.Outcome
}

// Write is a message that is to be written now, or a greeting in its place: an ask of nothing.
type Write[T any] struct {
	Message
	Greets bool
	Tag    T
}

// NewSender returns a Sender without messages.
func NewSender[T any](e Epoch) *Sender[T] { return &Sender[T]{epoch: e} }

// Epoch names the numbers of this sender.
func (s *Sender[T]) Epoch() Epoch { return s.epoch }

// Len returns the number of messages that have not ended.
func (s *Sender[T]) Len() (n int) {
	for _, m := range s.list {
		if m.state != sendEnded {
			n++
		}
	}
	return n
}

// Full reports whether the window is full: some earlier message has not ended, and Submit must wait.
func (s *Sender[T]) Full() bool { return s.next-s.settled >= Window }

// Submit takes a message, and returns its number. It is to be written now, unless it waits behind others.
func (s *Sender[T]) Submit(x Submission[T]) (number uint64, now []Write[T]) {
	s.next++
	m := &sending[T]{Submission: x, number: s.next}
	s.list = append(s.list, m)
	if s.waits > 0 || s.blocks > 0 {
		s.wait(m)
		return m.number, nil
	}
	return m.number, []Write[T]{s.write(m)}
}

func (s *Sender[T]) write(m *sending[T]) Write[T] {
	w := Write[T]{Message: Message{Epoch: s.epoch, Number: m.number, Settled: s.settled, Want: m.Want, Again: m.again, Topic: m.Topic}, Tag: m.Tag}
	switch {
	case m.Want == Read:
	case s.hello.Line == 0:
		w.Greets, m.greets = true, true
		s.blocks++
	default:
		if w.Line = s.hello.Line; m.again {
			w.Store = m.store
		} else {
			m.store = s.hello.Store
		}
	}
	m.state, m.none = sendWriting, false
	return w
}

// Outcome takes the outcome of a write. A failure that no other write can mend ends the message.
func (s *Sender[T]) Outcome(number uint64, o protocol.Outcome, final bool) []Ended[T] {
	m := s.find(number)
	if m == nil || m.state != sendWriting {
		return nil
	}
	if m.stale {
		m.stale = false
		s.blocks--
	}
	m.again = m.again || o.Kind != protocol.Failed && !m.greets
	if m.greets && o.Kind == protocol.Failed && !m.gone {
		return s.unreachable(m, o, final)
	}
	switch {
	case m.Want == Read && o.Kind == protocol.Confirmed, m.Once && o.Kind == protocol.InDoubt:
		return s.end(m, o)
	case m.gone:
		return s.end(m, m.unfinished(protocol.Expired, o.Err))
	case o.Kind == protocol.Confirmed && m.greets && s.hello.Line != 0:
		s.wait(m)
		return nil
	case o.Kind == protocol.Confirmed && m.none:
		m.state = sendRead
		s.refuse(m)
		return nil
	case o.Kind == protocol.Confirmed:
		m.state = sendRead
		return nil
	case final, o.Kind == protocol.Failed && !m.Until:
		return s.end(m, m.unfinished(o.Reason, o.Err))
	}
	s.wait(m)
	return nil
}

// unreachable ends what a peer that cannot be greeted does not get: m and those behind it that wait for that.
func (s *Sender[T]) unreachable(m *sending[T], o protocol.Outcome, final bool) (all []Ended[T]) {
	s.wait(m)
	for _, m := range slices.Clone(s.list) {
		if m.state == sendWaiting && (final || !m.Until) {
			all = append(all, s.end(m, m.unfinished(o.Reason, o.Err))...)
		}
	}
	return all
}

// unfinished is the outcome of a message that has not reached what it is for.
func (m *sending[T]) unfinished(why protocol.Reason, err error) protocol.Outcome {
	o := protocol.Outcome{Kind: protocol.Failed, Reason: why, Err: err}
	if m.again {
		o.Kind = protocol.InDoubt
	}
	return o
}

func (s *Sender[T]) wait(m *sending[T]) {
	s.unblock(m)
	m.state = sendWaiting
	s.waits++
}

// unblock has a message block others no longer.
func (s *Sender[T]) unblock(m *sending[T]) {
	if m.greets {
		s.blocks--
	}
	if m.stale {
		s.blocks--
	}
	m.greets, m.stale = false, false
}

// Disconnected notes that the connection has ended on which messages were read: their answers may be
// lost.
func (s *Sender[T]) Disconnected() {
	s.hello = Hello{}
	for _, m := range s.list {
		switch {
		case m.state == sendRead:
			s.wait(m)
		case m.state == sendWriting && !m.stale:
			m.stale = true
			s.blocks++
		}
	}
}

// Waiting reports whether messages wait that may be written again now.
func (s *Sender[T]) Waiting() bool {
	if s.waits == 0 || s.blocks == 0 {
		return s.waits > 0
	}
	for _, m := range s.list {
		if m.state == sendWaiting || m.greets || m.stale {
			return m.state == sendWaiting
		}
	}
	return false
}

// WriteAgain returns the messages that wait and may be written now, in order.
func (s *Sender[T]) WriteAgain() (all []Write[T]) {
	if s.waits == 0 && s.refuses == 0 {
		return nil
	}
	for _, m := range s.list {
		if m.greets || m.stale {
			return all
		}
		if m.state == sendWaiting || m.state == sendRefused {
			s.leave(m)
			all = append(all, s.write(m))
			if m.greets {
				return all
			}
		}
	}
	return all
}

// Unanswered reports whether messages were read and have no answer, and their ranges, at most [MaxRanges] of
// together [MaxAsked]. Of a greeting there is none.
func (s *Sender[T]) Unanswered() (of []Range, any bool) {
	asked := 0
	for _, m := range s.list {
		if m.state != sendRead {
			continue
		}
		any = true
		if m.greets {
			continue
		}
		more := AppendNumber(of, m.number)
		if asked++; asked > MaxAsked || len(more) > MaxRanges {
			break
		}
		of = more
	}
	return of, any
}

// Line is that of the last hello on this connection; 0: none has come.
func (s *Sender[T]) Line() Line { return s.hello.Line }

// Hear takes a hello. What greeted waits now, when that was read. If the line is another one, nobody knows what became of that
// before it: then cut is true, as after [Sender.Disconnected].
func (s *Sender[T]) Hear(h Hello) (cut bool) {
	if h.Epoch != s.epoch || h == s.hello {
		return false
	}
	if cut = s.hello.Line != 0; cut {
		s.Disconnected()
	}
	s.hello = h
	for _, m := range s.list {
		if m.greets && m.state == sendRead {
			s.wait(m)
		}
	}
	return cut
}

// Answer takes an answer. It ignores what was not asked, as from an earlier epoch.
func (s *Sender[T]) Answer(p Part) (all []Ended[T]) {
	if p.Epoch != s.epoch {
		return nil
	}
	for _, r := range p.Of {
		for n := max(r.First, s.settled+1); n <= min(r.Last, s.next); n++ {
			if m := s.find(n); m != nil && m.state != sendEnded && m.Want > Read {
				if p.Result == NoHandler && m.Until && !m.gone {
					s.refuse(m)
					continue
				}
				if o, ok := outcome(p.Result, m.Want); ok {
					all = append(all, s.end(m, o)...)
				}
			}
		}
	}
	return all
}

// refuse has a message be written again later: nobody takes it there now, so it has not arrived.
func (s *Sender[T]) refuse(m *sending[T]) {
	switch m.state {
	case sendWriting:
		m.none = true
	case sendRead:
		m.state, m.again, m.none = sendRefused, false, false
		s.refuses++
	}
}

// leave counts a message no longer as one that waits or is refused.
func (s *Sender[T]) leave(m *sending[T]) {
	switch m.state {
	case sendWaiting:
		s.waits--
	case sendRefused:
		s.refuses--
	}
}

// Refuses reports whether messages are to be written again because nobody took them.
func (s *Sender[T]) Refuses() bool { return s.refuses > 0 }

// Refused reports whether that message is one of them.
func (s *Sender[T]) Refused(number uint64) bool {
	m := s.find(number)
	return m != nil && m.state == sendRefused
}

// WasRead reports whether the peer has read that message, and it has no answer.
func (s *Sender[T]) WasRead(number uint64) bool {
	m := s.find(number)
	return m != nil && m.state == sendRead && !m.greets
}

// Reads returns how many messages the peer has read that have no answer, and how many nobody there took.
func (s *Sender[T]) Reads() (read, refused int) {
	for _, m := range s.list {
		if m.state == sendRead && !m.greets {
			read++
		}
	}
	return read, s.refuses
}

// outcome is that of a message with a result; ok is false while it is open.
func outcome(r Result, want Want) (o protocol.Outcome, ok bool) {
	switch r {
	case IsKept:
		return protocol.Outcome{Kind: protocol.Confirmed}, want == Kept
	case IsHandled:
		return protocol.Outcome{Kind: protocol.Confirmed}, true
	case IsUnknown:
		return protocol.Outcome{Kind: protocol.InDoubt, Reason: protocol.Refused}, true
	}
	return protocol.Outcome{Kind: protocol.Failed, Reason: protocol.Refused}, true
}

// Withdraw ends a message for which nobody waits any more, with this reason. If it is being written, it
// ends with that.
func (s *Sender[T]) Withdraw(number uint64, why protocol.Reason, err error) []Ended[T] {
	m := s.find(number)
	switch {
	case m == nil || m.state == sendEnded:
		return nil
	case m.state == sendWriting:
		m.gone = true
		return nil
	}
	return s.end(m, m.unfinished(why, err))
}

// Plainly has a message go on without its id: the peer does not know of ids.
func (s *Sender[T]) Plainly(number uint64) {
	if m := s.find(number); m != nil {
		m.Once = true
	}
}

// EndWaiting ends the messages that wait to be written again, with this reason.
func (s *Sender[T]) EndWaiting(why protocol.Reason, err error) (all []Ended[T]) {
	for _, m := range slices.Clone(s.list) {
		if m.state == sendWaiting || m.state == sendRefused {
			all = append(all, s.end(m, m.unfinished(why, err))...)
		}
	}
	return all
}

// Close ends all messages with this reason. Those that are being written may have been written.
func (s *Sender[T]) Close(why protocol.Reason, err error) (all []Ended[T]) {
	for _, m := range slices.Clone(s.list) {
		if m.state != sendEnded {
			m.again = m.again || m.state == sendWriting && !m.greets
			all = append(all, s.end(m, m.unfinished(why, err))...)
		}
	}
	return all
}

func (s *Sender[T]) find(number uint64) *sending[T] {
	if number <= s.settled || number > s.next {
		return nil
	}
	return s.list[number-s.settled-1]
}

func (s *Sender[T]) end(m *sending[T], o protocol.Outcome) []Ended[T] {
	s.leave(m)
	s.unblock(m)
	m.state = sendEnded
	ended := []Ended[T]{{m.Tag, o}}
	n := 0
	for n < len(s.list) && s.list[n].state == sendEnded {
		n++
	}
	s.settled += uint64(n)
	clear(s.list[:n])
	if s.list = s.list[n:]; len(s.list) == 0 {
		s.list = nil
	} else if n > 0 && cap(s.list) > 4*len(s.list)+64 {
		s.list = slices.Clone(s.list)
	}
	return ended
}
