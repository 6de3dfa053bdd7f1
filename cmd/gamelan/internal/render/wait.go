package render

import (
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Waiting returns a sentence about what a message waits for. c is a copy without an
// outcome, nil while the peers are not chosen yet.
func Waiting(r *models.Report, c *models.Copy, p *models.Peer, now time.Time) string {
	until := fmt.Sprintf("it is given up at %s", r.Begin.Add(dht.DefaultLimit).Local().Format(time.TimeOnly))
	if c == nil {
		return fmt.Sprintf("Message %s waits: its receiver is being searched for; %s.", r.Tag, until)
	}
	who := inspect.ShortName(c.Peer)
	if n := r.Count(models.OutcomeOpen) - 1; n > 0 {
		who += " and " + inspect.Count(uint64(n), "other peer")
	}
	why := "not connected, and being dialled"
	switch {
	case p.Connection != nil && c.Tries > 0:
		why = "connected, but has not confirmed it yet"
	case p.Connection != nil:
		why = "connected, and other messages go first"
	default:
		if state := peerState(*p, now); state != "known" {
			why += " (" + state + ")"
		}
		if p.NextDialAt.After(now) {
			why += ", next at " + p.NextDialAt.Local().Format(time.TimeOnly)
		}
	}
	return fmt.Sprintf("Message %s waits for %s: %s; %s.", r.Tag, who, why, until)
}
