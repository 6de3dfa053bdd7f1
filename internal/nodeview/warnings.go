package nodeview

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// warnings returns the warnings of the trunk and of the parts.
func (v *View) warnings(now time.Time) (list models.Notices) {
	t := v.Trunk
	if d := t.PeerStore().Damaged(); d > 0 {
		list = append(list, codes.PeersDamaged.Notice(inspect.Count(uint64(d), "record")+" of the peer store could not be read and were left as they are"))
	}
	for _, shared := range v.sharedIdentities(now) {
		list = append(list, codes.SharedIdentity.Notice(fmt.Sprintf("two nodes may use the identity of %s: its connections, last from %s and %s, keep replacing each other",
			shared.Peer, shared.Then, shared.Here), shared.Peer.String()))
	}
	list = append(list, trunk.NoticeEach(t.RefusedSources(), func(r connpool.Refused) models.Notice { return refusedSource(r, now) },
		codes.SourceRefused, "sources are refused because of their offences")...)
	list = append(list, limitWarning(t.InboundTrouble(), now)...)
	list = append(list, v.Files...)
	if profile := t.Profile(); profile.Name != "tari" && profile.Pattern == protocol.IX {
		list = append(list, codes.KeyInClear.Notice("the wire profile sends this node's key unencrypted when it dials"))
	}
	list = append(list, v.ofParts(func(p *actors.Part) func() models.Notices { return p.Warnings })...)
	list = append(list, v.stopped()...)
	list = append(list, v.degraded(now)...)
	list = append(list, v.ofParts(func(p *actors.Part) func() models.Notices { return p.PeerWarnings })...)
	list = append(list, trunk.NoticeEach(t.NotTaken(), func(p actors.NotTaken) models.Notice { return notTaken(p, now) },
		codes.TakesNothing, "peers take none of our messages")...)
	for i := range list {
		list[i].Severity = cmp.Or(list[i].Severity, models.Warning)
	}
	return v.Health.Severe(list)
}

// stopped returns the warnings about actors that do nothing more: those that have failed, and those that are stuck.
func (v *View) stopped() models.Notices {
	if v.Actors == nil {
		return nil
	}
	var failed, stuck []supervisor.Info
	for _, x := range v.Actors() {
		switch x.State {
		case supervisor.StateFailed:
			failed = append(failed, x)
		case supervisor.StateStuck:
			stuck = append(stuck, x)
		}
	}
	return append(trunk.NoticeEach(stuck, func(x supervisor.Info) models.Notice {
		return codes.ActorStuck.Notice(x.Path+" is stuck in "+cmp.Or(inspect.Escape(x.Message), "no message"), x.Path)
	}, codes.ActorStuck, "actors are stuck"), trunk.NoticeEach(failed, func(x supervisor.Info) models.Notice {
		return codes.ActorFailed.Notice(x.Path+" has failed", x.Path)
	}, codes.ActorFailed, "actors have failed")...)
}

// draining returns the notice of a node that makes no new connections. That it is offline is no wonder.
func draining(since time.Time, long time.Duration) models.Notice {
	return codes.Draining.Notice("draining for "+words.Long(long)+": the node makes no new connections", since.UTC().Format(time.RFC3339))
}

// notOnline returns a notice if the node has not been online for longer than it may be. It is offline when it has been
// connected to nobody for that long.
func (v *View) notOnline(s *actors.Status, now time.Time) models.Notices {
	if s.State == connpool.Online.String() || s.NotOnline.IsZero() || now.Sub(s.NotOnline) < v.Health.OfflineAfter {
		return nil
	}
	cause, _, _ := strings.Cut(s.Cause, ";")
	long, lacks := words.Long(now.Sub(s.Since)), words.Long(now.Sub(s.NotOnline))
	since := v.Trunk.OnWall(s.Since).UTC().Format(time.RFC3339)
	notOnline := v.Trunk.OnWall(s.NotOnline).UTC().Format(time.RFC3339)
	switch {
	case s.Alone && !v.OnlyDials():
		return models.Notices{codes.Alone.Notice("alone for "+lacks+": "+cause+", and this node knows no other that it could connect to", notOnline)}
	case s.Nodes+s.Clients > 0, now.Sub(s.Since) < v.Health.OfflineAfter:
		return models.Notices{codes.FewNodes.Notice("not online for "+lacks+": "+cause, notOnline)}
	case s.Alone:
		return models.Notices{codes.Offline.Notice("offline for "+long+": this node knows no other, and does not listen", since)}
	case s.Tried != "":
		n := codes.Offline.Notice("offline for "+long+": "+s.Tried, since, s.TriedCode)
		switch because := codes.Named(s.TriedCode); because {
		case nil:
		case codes.SeedNames:
			n.Step = "" // the text says what helps with these names
		default:
			n.Step = because.Step // what helps against the cause
		}
		return models.Notices{n}
	}
	n := codes.Offline.Notice("offline for "+long+": "+s.Cause, since)
	n.Step = ""
	return models.Notices{n}
}

// inDoubt returns a notice if too many of the messages of the last hour are in doubt. If all of these are of one peer, and
// there are others, this is a warning alone: one peer does not degrade the node.
func (v *View) inDoubt() models.Notices {
	now := v.Trunk.Now()
	o := v.Trunk.SentWithin(now)
	all := o.Confirmed + o.InDoubt + o.Failed
	if all < doubtLeast || o.InDoubt*100 <= all*uint64(v.Health.InDoubt) {
		return nil
	}
	percent := o.InDoubt * 100 / all
	peers := v.Trunk.Doubters(now)
	text := fmt.Sprintf("%d %% of the messages of the last hour are in doubt: %s of %s", percent, inspect.Number(o.InDoubt), inspect.Number(all))
	if len(peers) == 1 {
		text += ", all to one peer"
	}
	n := codes.InDoubt.Notice(text, strconv.FormatUint(percent, 10), strconv.FormatUint(all, 10))
	others := v.Trunk.Connections().Len()
	if len(peers) == 1 {
		if _, connected := v.Trunk.Connection(peers[0]); connected {
			others--
		}
	}
	if len(peers) == 1 && others > 0 {
		n.Severity = models.Warning
	}
	return models.Notices{n}
}

// doubtLeast is how many messages an hour must have for its rate to say something.
const doubtLeast = 20

// restarting returns the notice of an actor that fails again and again.
func restarting(f base.Failing, now time.Time) models.Notice {
	return codes.Restarting.Notice(fmt.Sprintf("actor %s has failed %s in the last 10 minutes, last %s ago: %s", f.Path, inspect.Count(uint64(f.Count), "time"), now.Sub(f.Last).Round(time.Second), f.Value), f.Path)
}

// FewFiles returns a warning if a process that may have most files open cannot have as many as
// its limits need. most 0 is unknown.
func FewFiles(need, most uint64) models.Notices {
	if most == 0 || most >= need {
		return nil
	}
	return models.Notices{codes.FewFiles.Notice(fmt.Sprintf("this process may have %s open, and the limits of its connections need %s", inspect.Count(most, "file"), inspect.Number(need)))}
}

// sharedWarned is how long the node warns that two nodes may use one identity.
const sharedWarned = 10 * time.Minute

// sharedIdentities returns the peers whose identity two nodes may be using, ordered by id.
func (v *View) sharedIdentities(now time.Time) (all []connections.SharedIdentity) {
	for _, shared := range v.Trunk.SharedIdentities().All() {
		if now.Sub(shared.At) < sharedWarned {
			all = append(all, shared)
		}
	}
	slices.SortFunc(all, func(a, b connections.SharedIdentity) int { return a.Peer.Compare(b.Peer) })
	return all
}

const (
	// deafTold is how long the node is degraded after an accept that failed.
	deafTold = 10 * time.Minute
	// limitTold is how long the node warns of a limit for connections of one source.
	limitTold = 10 * time.Minute
)

// deaf returns why a node accepts no connections.
func deaf(t connections.InboundTrouble, now time.Time) models.Notice {
	v := codes.Deaf.Notice(fmt.Sprintf("connections could not be accepted, the last %s ago: %v", now.Sub(t.FailedAt).Round(time.Second), t.Err))
	if transport.OutOfFiles(t.Err) {
		v.Step = codes.FewFiles.Step
	}
	return v
}

// limitWarning returns the warning about a limit for connections of one source or subnet, which
// may be those of a user's own nodes, or none.
func limitWarning(t connections.InboundTrouble, now time.Time) models.Notices {
	if t.LimitedAt.IsZero() || now.Sub(t.LimitedAt) >= limitTold || !t.Limit.Scope.IsValid() {
		return nil
	}
	return models.Notices{codes.SourceLimited.Notice(fmt.Sprintf("connections from %s were refused, the last %s ago: %s is %d",
		t.Limit.Scope, now.Sub(t.LimitedAt).Round(time.Second), t.Limit.Key(), t.Limit.Limit), t.Limit.Scope.String(), t.Limit.Key())}
}

// refusedSource returns the notice of a source that has committed too many offences.
func refusedSource(r connpool.Refused, now time.Time) models.Notice {
	return codes.SourceRefused.Notice(fmt.Sprintf("connections from %s are refused for another %s because of offences from there",
		r.Source, r.Until.Sub(now).Round(time.Second)), r.Source.String())
}

// notTaken returns the notice of a peer that takes no messages of this node.
func notTaken(p actors.NotTaken, now time.Time) models.Notice {
	return codes.TakesNothing.Notice(fmt.Sprintf("peer %s takes none of our messages on %s: it ended %s substreams in a row, the last %s ago",
		p.Peer, p.Protocol, inspect.Number(uint64(p.Times)), now.Sub(p.Last).Round(time.Second)), p.Peer.String(), string(p.Protocol))
}

// panicking returns the notice of an actor or a service that panicked.
func panicking(p base.Panicking, now time.Time) models.Notice {
	ago := now.Sub(p.Last).Round(time.Second)
	if !p.Yours {
		return codes.ActorPanicked.Notice(fmt.Sprintf("actor %s panicked on %s of peers, last %s ago", p.Path, inspect.Count(p.Count, "message"), ago), p.Path)
	}
	what, args := "your actor "+p.Path, []string{p.Path}
	switch {
	case p.Service != "":
		what, args = fmt.Sprintf("your service %q", string(p.Service)), nil
	case p.Layer != "":
		what, args = "your layer "+p.Layer, nil
	}
	on := p.Message
	if p.Where != "" {
		on += " at " + p.Where
	}
	last := fmt.Sprintf("%s ago on %s: %s", ago, on, p.Value)
	if p.Stopped {
		return codes.OwnStopped.Notice(fmt.Sprintf("%s has stopped after a panic %s", what, last), args...)
	}
	v := codes.OwnPanicked.Notice(fmt.Sprintf("%s panicked %s in the last 10 minutes, last %s", what, inspect.Count(p.Count, "time"), last), args...)
	if args == nil {
		v.Step = "" // nothing shows more
	}
	return v
}
