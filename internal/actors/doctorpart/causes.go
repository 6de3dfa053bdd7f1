package doctorpart

import (
	"errors"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
)

// furthest orders the causes of failed dials: the later, the further the dial has come, and the more it tells.
var furthest = []*codes.Code{
	codes.DialFailed, codes.DialNoAddress, codes.DialExcluded, codes.DialNoPort, codes.DialUnresolved, codes.DialProxy, codes.DialForbidden, codes.DialNoRoute, codes.DialNoAnswer,
	codes.DialRefused, codes.DialProhibited, codes.DialMute, codes.DialForeign, codes.DialHungUp, codes.DialSecret, codes.DialOtherKey, codes.DialTurnedAway,
	codes.DialUnlisted, codes.DialBanned,
}

// tellsMore reports whether a notice tells more than another one, which may be nil.
func tellsMore(n, than *models.Notice) bool {
	rank := func(n *models.Notice) int { return slices.Index(furthest, codes.Named(n.Code)) }
	return than == nil || rank(n) > rank(than)
}

// notice returns why a peer is not reached. who is the address that was tried, or what the peer is.
func notice(err error, who string) *models.Notice {
	c, what, step := trunk.Because(err, who)
	n := c.Notice(what)
	if banned, ok := errors.AsType[*actors.BannedError](err); ok {
		n = c.Notice(what, banned.Until.UTC().Format(time.RFC3339))
	}
	if step != "" {
		n.Step = step
	}
	return &n
}

// checked returns the step of a probe.
func (p *probed) checked() models.Checked {
	c := models.Checked{Step: p.step, On: p.addr.String(), State: models.CheckOK, TookMS: milliseconds(p.took)}
	if p.who != "" {
		c.On = p.who + " at " + c.On
	}
	switch {
	case p.err != nil:
		c.State, c.Notice = models.CheckFailed, p.notice()
		if p.soft {
			c.State = models.CheckNote
		}
		c.What = c.Notice.What
	case p.key.IsZero():
		c.What = "a node has proven the key " + p.proven.String()
	default:
		c.What = "the key is proven"
	}
	return c
}

// notice returns why a probe has failed.
func (p *probed) notice() *models.Notice {
	n := notice(p.err, address.Short(p.addr))
	if p.step == stepListener {
		*n = codes.ListenerSilent.Notice("this node does not answer at "+p.addr.String()+": "+n.What, p.addr.String())
	}
	return n
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
