package render

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Waiting returns a sentence about what a message waits for. c is a copy without an
// outcome, nil while the peers are not chosen yet. limit is how long the message may take.
func (o *Output) Waiting(r *models.Report, c *models.Copy, p *models.Peer, limit time.Duration, now time.Time) string {
	end := fmt.Sprintf("it is given up at %s", at(r.Begin.Add(limit)))
	if c == nil {
		return fmt.Sprintf("Message %s waits: its receiver is being searched for; %s.", r.Tag, end)
	}
	who := o.Who(c.Peer)
	if n := r.Count(models.OutcomeOpen) - 1; n > 0 {
		who += " and " + inspect.Count(uint64(n), "other peer")
	}
	return fmt.Sprintf("Message %s waits for %s: %s; %s.", r.Tag, who, waitReason(p, c.Tries > 0, now), end)
}

// WaitingPlain returns a sentence about what the nth plain message of a send waits for.
// limit is how long it may take, 0 without a limit, and there is what the peer has read.
func (o *Output) WaitingPlain(n uint64, p *models.Peer, there There, limit time.Duration, now time.Time) string {
	return fmt.Sprintf("Message %s waits for %s: %s; %s.", inspect.Number(n), o.whoIs(p), Late(p, there, now), until(limit))
}

// There is what a peer has done with messages whose outcome says more than that they were read.
type There struct {
	Outcome string // what they wait for: [inspect.OutcomeKept], [inspect.OutcomeHandled], or empty
	Read    bool   // it has read some, and has not said what became of them
	Refused bool   // nobody there took some
}

// WaitingGiven is WaitingPlain for a peer that is given as KEY::ADDRESS, and that the node
// does not know yet.
func (o *Output) WaitingGiven(n uint64, peer string, limit time.Duration) string {
	who, at := o.given(peer)
	return fmt.Sprintf("Message %s waits for %s: being dialled%s, "+noAnswer+"; %s.", inspect.Number(n), who, at, until(limit))
}

// Dialling returns a sentence about a dial that takes long. p is what the node knows of the
// peer, which may be nothing.
func (o *Output) Dialling(peer string, p *models.Peer) string {
	who, at := o.given(peer)
	if p.NodeID != "" {
		who = o.whoIs(p)
	}
	return fmt.Sprintf("%s is being dialled%s, "+noAnswer+"; Ctrl-C ends the wait.", who, at)
}

// noAnswer is what a dial looks like that somebody on the way drops.
const noAnswer = "without an answer so far: it is away, it hangs, or a firewall drops it"

// given returns who a peer is that a person has given, and the words for its address if one
// was given.
func (o *Output) given(peer string) (who, at string) {
	who, addrs, found := strings.Cut(peer, "::")
	if len(who) == 2*identity.KeyLen {
		who = o.WhoKey(who)
	}
	if !found {
		return who, ""
	}
	first, rest, _ := strings.Cut(addrs, "::")
	if rest != "" {
		first += " and others"
	}
	return who, " at " + first
}

// until returns when a message without an outcome is given up.
func until(limit time.Duration) string {
	if limit > 0 {
		return fmt.Sprintf("it is given up after %s", limit)
	}
	return "Ctrl-C gives it up, and --timeout does after a time"
}

// waitReason returns why a message for p has no outcome; tried tells that it was given to
// the connection, if there is one.
func waitReason(p *models.Peer, tried bool, now time.Time) string {
	switch {
	case p.Connection != nil && slices.Contains(p.Protocols, string(protocol.FullMarker)):
		return "connected, and cannot keep messages now: its inbox cannot be written, as when its disk is full"
	case p.Connection != nil && tried:
		return "connected, but has not confirmed it yet"
	case p.Connection != nil:
		return "connected, and other messages go first"
	}
	why := "not connected, and being dialled"
	if state := peerState(*p, now); state != "known" {
		why += " (" + state + ")"
	} else if !p.NextDialAt.After(now) {
		why += ", " + noAnswer
	}
	if p.NextDialAt.After(now) {
		why += ", next at " + at(p.NextDialAt)
	}
	return why
}

// Away returns a sentence about a peer that cannot be reached, and that send tries again.
// limit is how long it may be away, 0 without a limit.
func Away(last models.Outcome, limit time.Duration) string {
	how := "until it is back"
	if limit > 0 {
		how = fmt.Sprintf("for %s", limit)
	}
	return fmt.Sprintf("The peer cannot be reached (%s). Trying again %s; no further messages are read meanwhile.", inspect.Escape(Cause(last)), how)
}

// Cause returns why a message has failed, without advice.
func Cause(last models.Outcome) string {
	why := last.Reason
	if detail, _, _ := strings.Cut(last.Detail, "; "); detail != "" {
		why += ": " + withoutPeer(detail)
	}
	return why
}

// Late returns why a message to p has no outcome.
func Late(p *models.Peer, there There, now time.Time) string {
	switch {
	case p.Connection == nil || slices.Contains(p.Protocols, string(protocol.FullMarker)):
	case there.Refused:
		return "connected, and nobody there takes such messages now"
	case there.Read && there.Outcome == inspect.OutcomeKept:
		return "connected, and has read it, but has not kept it on its disk yet"
	case there.Read:
		return "connected, and has read it, but no program there has handled it yet, as gamelan listen does"
	}
	return waitReason(p, true, now)
}

// GaveUp returns a sentence about the end of a send after limit, for the reason why. rest
// tells that messages were not sent.
func GaveUp(limit time.Duration, why string, rest bool) string {
	text := fmt.Sprintf("Gave up after %s", limit)
	if why != "" {
		text += ": " + inspect.Escape(why)
	}
	if rest {
		text += "; the rest of the input was not sent"
	}
	return text + "."
}
