package manycalls

import (
	"fmt"
	"maps"
	"slices"
)

// Overhead is what a message costs in credit beside its bytes, unless it is the first of its direction.
const Overhead = 64

// Session is one end of a session.
type Session struct {
	server bool
	most   int // longest message that is received
	calls  map[uint64]*Call
	last   uint64 // the last call that was opened
	left   bool   // Leave was sent, or has come
	before uint64 // with left: the last call that the server runs

	mine, theirs int64 // shared credit that this end may use, and that its peer may
	control      []byte
}

// Call is a call of a session, at one end. Of the caller's is User.
type Call struct {
	ID   uint64
	User any

	in   receiving
	out  sending
	over bool
}

// Over reports whether the call has ended at this end: nothing more is sent for it.
func (c *Call) Over() bool { return c.over }

// receiving is the direction in which messages come.
type receiving struct {
	window int64 // credit of the sender when all messages are taken
	credit int64 // that it has
	queued int64 // cost of the messages that came and were not taken
	length int64 // of the message that comes; -1: none does
	got    int64 // bytes of it
	cost   int64 // credit that it took
	serial int   // of it
	shared int64 // of the first message: bytes on shared credit that was not given back
	asked  bool  // of the message that comes: Charge was asked for
	paid   bool  // … and paid
	more   bool  // the first message is over
	last   bool  // no further message comes
}

// sending is the direction in which messages go.
type sending struct {
	credit int64
	more   bool // the first message is over
	begun  bool // a part of a message has gone
}

// NewClient returns the client's end. It receives messages of at most most bytes.
func NewClient(most int) *Session { return newSession(false, most) }

// NewServer returns the server's end.
func NewServer(most int) *Session { return newSession(true, most) }

func newSession(server bool, most int) *Session {
	return &Session{server: server, most: most, calls: make(map[uint64]*Call)}
}

// Share gives the peer n bytes of shared credit, at most [Shared] in all.
func (s *Session) Share(n int) {
	s.theirs += int64(n)
	s.credit(0, int64(n))
}

// Calls returns how many calls there are.
func (s *Session) Calls() int { return len(s.calls) }

// All returns the calls in the order of their ids.
func (s *Session) All() []*Call {
	list := make([]*Call, 0, len(s.calls))
	for _, id := range slices.Sorted(maps.Keys(s.calls)) {
		list = append(list, s.calls[id])
	}
	return list
}

// Last returns the id of the last call.
func (s *Session) Last() uint64 { return s.last }

// Left reports whether no further call can begin.
func (s *Session) Left() bool { return s.left }

// Runs reports whether a call may run at a server that has sent Leave.
func (s *Session) Runs(c *Call) bool { return !s.left || c.ID <= s.before }

// Begin begins a call of the client's, whose answers may use window bytes beside [First]. It returns nil while there are MaxCalls,
// and when the server has left. Calls are sent in the order in which they began.
func (s *Session) Begin(window int, user any) *Call {
	if s.left || len(s.calls) >= MaxCalls {
		return nil
	}
	s.last++
	return s.open(s.last, int64(window), 0, user)
}

func (s *Session) open(id uint64, in, out int64, user any) *Call {
	c := &Call{
		ID: id, User: user,
		in:  receiving{window: First + in, credit: First + in, length: -1},
		out: sending{credit: First + out},
	}
	s.calls[id] = c
	return c
}

// Part returns how many of the rest bytes of a message may go as its next part, and how many of those are on shared credit; length is that of the
// whole message. ok is false while the call must wait for credit. The caller sends the part.
func (s *Session) Part(c *Call, length, rest int) (n, shared int, ok bool) {
	o := &c.out
	cost := int64(0)
	if o.more && !o.begun {
		cost = Overhead
	}
	if o.credit < cost || rest > 0 && o.credit == cost && (o.more || s.mine == 0) {
		return 0, 0, false
	}
	n = int(min(o.credit-cost, int64(rest), MaxPart))
	if !o.more {
		shared = int(min(s.mine, int64(rest-n), int64(MaxPart-n)))
	}
	o.credit -= cost + int64(n)
	s.mine -= int64(shared)
	n += shared
	if o.begun = n < rest; !o.begun {
		o.more = true
	}
	return n, shared, true
}

// Ended reports whether the peer sends no further message for the call.
func (c *Call) Ended() bool { return c.in.last }

// End forgets a call: it was answered, cancelled, or refused.
func (s *Session) End(c *Call) {
	if c.over {
		return
	}
	c.over = true
	delete(s.calls, c.ID)
	s.giveBack(&c.in)
}

// giveBack gives the shared credit back that a message holds.
func (s *Session) giveBack(in *receiving) {
	if in.shared > 0 {
		s.theirs += in.shared
		s.credit(0, in.shared)
		in.shared = 0
	}
}

func (s *Session) credit(call uint64, n int64) {
	s.control = Append(s.control, &Frame{Call: call, Kind: Credit, Number: uint64(n)})
}

// Leave makes the server take no further call.
func (s *Session) Leave() {
	if !s.left {
		s.left, s.before = true, s.last
		s.control = Append(s.control, &Frame{Kind: Leave, Number: s.last})
	}
}

// Control appends the frames that are to be sent for the session itself.
func (s *Session) Control(dst []byte) []byte {
	dst = append(dst, s.control...)
	s.control = s.control[:0]
	return dst
}

// HasControl reports whether Control has frames.
func (s *Session) HasControl() bool { return len(s.control) > 0 }

// Event is what a frame means.
type Event struct {
	Call   *Call // nil: nothing is to be done, or the frame is about the session
	Length int   // of the message whose first part came; -1: it is another part
	Serial int   // of the message in its call
	Whole  bool  // the message is complete
	Cost   int   // of a whole message: what Taken is to be told
	Charge int   // the message needs so much memory more: see Charged
	// TooLong says that the message is longer than this end receives. The call is to be ended.
	TooLong bool
	Pong    uint64 // the number of a Ping that was answered; 0: none
	// Refused are the calls that the server does not run, since it has left.
	Refused []*Call
}

// Received interprets a frame of the peer's. An error ends the session; it matches [ErrProtocol].
func (s *Session) Received(f *Frame) (Event, error) {
	switch f.Kind {
	case Open, End, Cancel, Ping:
		if !s.server {
			return Event{}, misplaced(f)
		}
	case Done, Pong, Leave:
		if s.server {
			return Event{}, misplaced(f)
		}
	}
	switch f.Kind {
	case Ping:
		s.control = Append(s.control, &Frame{Kind: Pong, Number: f.Number})
		return Event{}, nil
	case Pong:
		return Event{Pong: f.Number}, nil
	case Leave:
		return s.leaves(f)
	case Open:
		return s.opened(f)
	case Credit:
		return s.credited(f)
	}
	c := s.calls[f.Call]
	if c == nil {
		return s.late(f)
	}
	switch f.Kind {
	case Message:
		return s.part(c, f)
	case End:
		if c.in.last || c.in.length >= 0 {
			return Event{}, misplaced(f)
		}
		c.in.last = true
	}
	return Event{Call: c}, nil
}

// late handles a frame of a call that has ended at this end.
func (s *Session) late(f *Frame) (Event, error) {
	if f.Call == 0 || f.Call > s.last {
		return Event{}, misplaced(f)
	}
	if n := int64(f.Shared); n > 0 {
		if n > s.theirs {
			return Event{}, fmt.Errorf("%w: %d shared bytes for call %d, %d left", ErrCredit, n, f.Call, s.theirs)
		}
		s.credit(0, n)
	}
	return Event{}, nil
}

func misplaced(f *Frame) error {
	return fmt.Errorf("%w: kind %d of call %d", ErrMisplaced, f.Kind, f.Call)
}

func (s *Session) leaves(f *Frame) (Event, error) {
	if s.left || f.Number > s.last {
		return Event{}, misplaced(f)
	}
	s.left, s.before = true, f.Number
	var e Event
	for _, c := range s.All() {
		if c.ID > f.Number {
			s.End(c)
			e.Refused = append(e.Refused, c)
		}
	}
	return e, nil
}

func (s *Session) opened(f *Frame) (Event, error) {
	switch {
	case f.Call <= s.last:
		return Event{}, misplaced(f)
	case f.Window > MaxCredit-First:
		return Event{}, fmt.Errorf("%w: a window of %d bytes", ErrCredit, f.Window)
	}
	s.last = f.Call
	if s.left {
		return s.late(f)
	}
	if len(s.calls) >= MaxCalls {
		return Event{}, ErrTooMany
	}
	c := s.open(f.Call, 0, int64(f.Window), nil)
	if f.Bare {
		return Event{Call: c, Length: -1}, nil
	}
	e, err := s.part(c, f)
	if err != nil {
		delete(s.calls, f.Call)
	}
	return e, err
}

func (s *Session) credited(f *Frame) (Event, error) {
	if f.Call == 0 {
		if f.Number > uint64(Shared-s.mine) {
			return Event{}, fmt.Errorf("%w: %d bytes more for all calls, which have %d", ErrCredit, f.Number, s.mine)
		}
		waited := s.mine < First // few bytes wake nobody
		s.mine += int64(f.Number)
		if waited && s.mine >= First { // any call may wait for it
			return Event{Call: anyCall}, nil
		}
		return Event{}, nil
	}
	c := s.calls[f.Call]
	switch {
	case c == nil:
		return s.late(f)
	case f.Number > uint64(MaxCredit-c.out.credit):
		return Event{}, fmt.Errorf("%w: %d bytes more for call %d, which has %d", ErrCredit, f.Number, f.Call, c.out.credit)
	}
	c.out.credit += int64(f.Number)
	return Event{Call: c}, nil
}

// anyCall stands for all calls that wait for credit.
var anyCall = new(Call)

// All reports whether the event is for every call that waits for credit.
func (e Event) All() bool { return e.Call == anyCall }

// part handles a part of a message.
func (s *Session) part(c *Call, f *Frame) (Event, error) {
	in := &c.in
	n, shared := int64(len(f.Payload)), int64(f.Shared)
	e := Event{Call: c, Length: -1}
	cost := n - shared
	switch {
	case in.last:
		return Event{}, misplaced(f)
	case in.length >= 0 && f.Length > 0, in.length >= 0 && in.got+n > in.length, f.Length > 0 && int64(f.Length) < n:
		return Event{}, fmt.Errorf("%w: a part of %d bytes", ErrMisplaced, n)
	case f.Length > 1<<40:
		return Event{}, fmt.Errorf("%w: a message of %d bytes", ErrMisplaced, f.Length)
	case in.more && in.length < 0:
		cost += Overhead
	}
	switch {
	case cost > in.credit:
		return Event{}, fmt.Errorf("%w: call %d sent %d bytes of %d", ErrCredit, c.ID, cost, in.credit)
	case shared > s.theirs || shared > 0 && in.more:
		return Event{}, fmt.Errorf("%w: call %d sent %d shared bytes of %d", ErrCredit, c.ID, shared, s.theirs)
	}
	in.credit -= cost
	in.queued += cost
	in.cost += cost
	s.theirs -= shared
	in.shared += shared
	if in.length < 0 {
		in.length, in.got, in.cost, in.asked, in.paid = max(int64(f.Length), n), 0, cost, false, false
		in.serial++
		e.Length = int(in.length)
		if e.TooLong = in.length > int64(s.most); e.TooLong {
			return e, nil
		}
	}
	in.got += n
	e.Serial = in.serial
	rest := in.length - in.got
	switch {
	case in.paid:
		s.giveBack(in)
	case !in.asked && (in.shared > 0 || rest > in.credit):
		// The caller takes memory for two things: the bytes to come that have no credit, and those that came on shared credit.
		in.asked = true
		e.Charge = int(in.shared + max(rest-in.credit, 0))
	}
	if rest == 0 {
		e.Whole, e.Cost = true, int(in.cost)
		in.length, in.more = -1, true
		in.last = f.Last
	} else if f.Last {
		return Event{}, misplaced(f)
	}
	return e, nil
}

// Charged says that the memory of an event's Charge was obtained, for the message with that serial.
func (s *Session) Charged(c *Call, serial int) {
	in := &c.in
	if c.over {
		return
	}
	s.giveBack(in)
	if in.serial != serial || in.length < 0 || in.paid {
		return
	}
	in.paid = true
	if grant := in.length - in.got - in.credit; grant > 0 {
		in.credit += grant
		s.credit(c.ID, grant)
	}
}

// Taken says that a message with that cost was taken, so that its sender may send more. Add is how much more credit the sender shall
// have from now on.
func (s *Session) Taken(c *Call, cost, add int) {
	in := &c.in
	if c.over || in.last {
		return
	}
	in.window += int64(add)
	in.queued -= int64(cost)
	if grant := in.window - in.credit - in.queued; grant >= in.window/4 {
		in.credit += grant
		s.credit(c.ID, grant)
	}
}

// Grow gives the sender of messages n bytes more credit, from now on.
func (s *Session) Grow(c *Call, n int) { s.Taken(c, 0, n) }

// Window returns the credit of a call's sender when all its messages are taken.
func (c *Call) Window() int { return int(c.in.window) }
