package supervisor

import "github.com/asynkron/protoactor-go/actor"

// Draining answers a [Drain] when all the children that an actor waits for have
// finished. A nil *Draining has not begun. A Draining belongs to one actor.
type Draining struct {
	open  map[string]bool // paths of the children that have not finished
	reply *actor.PID      // nil once the Drain is answered
}

// NewDraining returns a Draining that answers to reply, the sender of the Drain.
func NewDraining(reply *actor.PID) *Draining {
	return &Draining{open: make(map[string]bool), reply: reply}
}

// Ask sends the Drain m to a child, and waits for it.
func (d *Draining) Ask(c actor.Context, child *actor.PID, m Drain) {
	d.open[child.Id] = true
	c.Request(child, m)
}

// Finished notes that a child has finished or ended, and answers the Drain when
// no other child is waited for. An actor that may have no child to wait for calls
// Finished with its own PID.
func (d *Draining) Finished(c actor.Context, child *actor.PID) {
	if d == nil {
		return
	}
	delete(d.open, child.Id)
	if len(d.open) == 0 && d.reply != nil {
		c.Send(d.reply, Drained{From: c.Self()})
		d.reply = nil
	}
}
