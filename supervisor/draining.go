package supervisor

import "github.com/asynkron/protoactor-go/actor"

// Draining is the answer to a [Drain] that waits for children: it knows which of
// them have not finished, and who is told when all have. A nil *Draining has not
// begun. It belongs to one actor.
type Draining struct {
	open  map[string]bool // paths
	reply *actor.PID      // nil: was told
}

// NewDraining begins a drain; reply is the sender of the Drain.
func NewDraining(reply *actor.PID) *Draining {
	return &Draining{open: make(map[string]bool), reply: reply}
}

// Ask has a child finish what it has accepted.
func (d *Draining) Ask(c actor.Context, child *actor.PID, m Drain) {
	d.open[child.Id] = true
	c.Request(child, m)
}

// Finished notes that a child has finished or is gone, and answers the Drain when
// no other one is waited for. An actor that may have no child to wait for calls it
// with its own PID.
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
