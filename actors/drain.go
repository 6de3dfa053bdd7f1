package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// drain is an orderly end under way: which children still work, and who is told
// when none does. A nil drain has not begun.
type drain struct {
	open  map[string]bool // paths
	reply *actor.PID      // nil: was told
}

func newDrain(reply *actor.PID) *drain { return &drain{open: make(map[string]bool), reply: reply} }

// ask has a child finish what it has accepted.
func (d *drain) ask(c actor.Context, child *actor.PID, m supervisor.Drain) {
	d.open[child.Id] = true
	c.Request(child, m)
}

// drained notes that who is done, or gone, and answers when all are.
func (d *drain) drained(c actor.Context, who *actor.PID) {
	if d == nil {
		return
	}
	delete(d.open, who.Id)
	if len(d.open) == 0 && d.reply != nil {
		c.Send(d.reply, supervisor.Drained{From: c.Self()})
		d.reply = nil
	}
}
