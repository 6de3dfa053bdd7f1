package messengers

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/actors/link"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/taps"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// messages makes the actor's messages from bodies.
type messages struct {
	box     *inbox
	live    *link.Live // of the connection
	intake  Intake
	permits []credit.Permit
	slab    int               // size of the last allocation of permits
	bodies  []byte            // unused memory for small bodies
	whole   supervisor.Bundle // messages read and not delivered yet
	bytes   uint64            // of the bodies that were read since the last count
	owes    bool              // they hold credit for a message of owed bytes that is not made yet
	owed    int
}

// cut makes messages of the whole frames at the beginning of b, until maxWhole wait to be
// delivered. It returns the first frame that is not whole, has more than limit bytes or for
// which there is no credit, and what is behind it.
func (r *messages) cut(b []byte, limit int) (rest []byte) {
	for len(r.whole) < maxWhole {
		found, rest, ok := frame.Cut(b, limit)
		if !ok || !r.box.account.TryTake(len(found)) {
			break
		}
		r.owes, r.owed = true, len(found)
		body := r.room(len(found))
		copy(body, found)
		r.received(body)
		b = rest
	}
	return b
}

// drop gives back everything that they hold.
func (r *messages) drop() {
	r.whole.Discard()
	r.whole = nil
	if r.owes {
		r.owes = false
		r.box.account.Return(r.owed)
	}
}

// room returns memory for a body of n bytes. Small bodies share one allocation of
// [credit.Overhead] bytes: the credit of each of them covers the whole allocation,
// which it may keep alive.
func (r *messages) room(n int) []byte {
	if n == 0 || n > credit.Overhead/4 {
		return make([]byte, n)
	}
	if n > len(r.bodies) {
		r.bodies = make([]byte, credit.Overhead)
	}
	body := r.bodies[:n:n]
	r.bodies = r.bodies[n:]
	return body
}

// permitSlab is the greatest number of permits that are allocated at a time. A
// reader begins with one, and doubles the number when they are used up.
const permitSlab = 32

// maxWhole is the greatest number of messages that are delivered together.
const maxWhole = 32

// received makes the actor's message from a body that was read completely, and
// keeps it for deliver. The permit takes over the credit for the body.
func (r *messages) received(body []byte) {
	if len(r.permits) == 0 {
		r.slab = min(max(1, 2*r.slab), permitSlab)
		r.permits = make([]credit.Permit, r.slab)
	}
	p := &r.permits[0]
	r.permits = r.permits[1:]
	p.Init(r.box.account, len(body))
	m := r.intake.Message(body, p)
	r.owes = false
	r.bytes += uint64(len(body))
	if t := &r.box.room.Taps; t.Open() {
		t.Put(taps.Event{At: r.box.room.Now(), What: "received", Kind: string(r.box.protocol.ID), Peer: r.box.peer, Size: len(body)})
	}
	if m != nil {
		r.whole = append(r.whole, m)
	} else {
		r.passed(1)
	}
}

// passed counts messages that are out of the reader's hands, and the bytes that were read.
func (r *messages) passed(n int) {
	in := &r.box.protocol.traffic.in
	r.box.received.Add(uint64(n))
	in.messages.Add(uint64(n))
	in.bytes.Add(r.bytes)
	if r.live != nil {
		r.live.Received.Add(uint64(n))
	}
	r.bytes = 0
}

// send sends the first n messages to their actor.
func (r *messages) send(to *actor.PID, n int) {
	r.passed(n)
	all := r.whole
	r.whole = all[:n]
	r.box.room.System.Root.Send(to, &r.whole)
	r.whole = slices.Delete(all, 0, n)
}
