package storypart

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// record keeps an event, and has it written soon.
func (a *log) record(c actor.Context, e models.Event) {
	if e.Severity == "" {
		e.Severity = models.EventInfo
	}
	a.Record.add(supervisor.Wall(c), e)
	a.writeSoon(c, writeEvery)
}

// writeSoon has the events written after a while, unless that is so already.
func (a *log) writeSoon(c actor.Context, after time.Duration) {
	if a.writing || !a.Record.pending() {
		return
	}
	a.writing = true
	supervisor.After(c, after, writeTick{})
}

// wrote notes that events were written, and has those written that came meanwhile.
func (a *log) wrote(c actor.Context, err error) {
	a.writing = false
	wait := writeEvery
	if err != nil {
		wait = retryEvery
	}
	if failed := err != nil; failed != a.unwrote {
		a.unwrote = failed
		if failed {
			supervisor.Log(c).Warn("events cannot be written to the disk, and the last 1,000 are kept in memory", "err", err)
		}
	}
	a.writeSoon(c, wait)
}

// severity returns how much an event matters that is about a notice.
func severity(of models.Severity) models.EventSeverity {
	if of == models.Warning {
		return models.EventWarning
	}
	return models.EventError
}

// by says whose words those about a trouble are, if they are the program's.
func by(program bool) map[string]string {
	if !program {
		return nil
	}
	return map[string]string{"by": "program"}
}

// endEarlier ends the troubles that an earlier start of the node has left open: the next look tells what is wrong now.
func (a *log) endEarlier(c actor.Context) {
	for _, e := range a.Record.takeOpen() {
		a.record(c, models.Event{Type: models.TroubleOver, What: "over with a start of the node: " + e.What, Code: e.Code, Data: e.Data})
	}
}

// reconcile tells the ends of connections that an incarnation before has missed.
func (a *log) reconcile(c actor.Context) {
	gone := a.told.story.Gone(func(peer identity.NodeID) bool { _, ok := a.trunk.Connections().Get(peer); return ok })
	for _, peer := range gone {
		lasted, tell := a.told.story.Disconnected(supervisor.Now(c), peer, a.trunk.Slept())
		if !tell {
			continue
		}
		lasted = lasted.Round(time.Second)
		const why = "it is not known why: what tells it was started again"
		supervisor.Log(c).Info("disconnected", "peer", peer, "why", why, "lasted", lasted)
		a.record(c, models.Event{
			Type: models.ConnClosed, What: "disconnected after at most " + lasted.String() + "; " + why, Peer: peer.String(), Data: map[string]string{"lasted": lasted.String()},
		})
	}
}

func (a *log) banned(c actor.Context, m actors.PeerBanned) {
	if !a.told.story.Banned(supervisor.Now(c)) {
		return
	}
	until := m.Until.UTC().Format(time.RFC3339)
	supervisor.Log(c).Info("banned", "peer", m.Peer, "until", until, "why", m.Reason)
	a.record(c, models.Event{
		Type: models.PeerBanned, Severity: models.EventWarning, What: "banned until " + until + ": " + words.OneLine(m.Reason), Peer: m.Peer.String(),
		Data: map[string]string{"until": until},
	})
}

// dialFailed tells that a peer was not reached: the first time, and now and then after it.
func (a *log) dialFailed(c actor.Context, m actors.DialFailed) {
	a.told.dials++
	n, tell := a.told.story.DialFailed(supervisor.Now(c), m.Peer)
	if !tell {
		return
	}
	where, err := trunk.LastTried(m.Err)
	code, what, _ := trunk.Because(err, cmp.Or(where, "it"))
	e := models.Event{Type: models.DialFailed, Severity: models.EventWarning, What: what, Peer: m.Peer.String(), Code: code.Name}
	if n > 1 {
		e.What += fmt.Sprintf(", the last of %s", inspect.Count(uint64(n), "dial"))
	}
	a.record(c, e)
}

// Failed tells that an actor has failed. path is below the node.
func (s *Story) Failed(path, value string) { s.tell(actorFailed{path, value}) }

// Acted tells that somebody has made the node do something: the name of it, and its parameters behind a space.
func (s *Story) Acted(what string) { s.tell(acted{what}) }

// ByHand tells that somebody has restarted or stopped an actor, as the type of the event says. path is below the node.
func (s *Story) ByHand(event, path string) { s.tell(byHand{event, path}) }

// Stops tells that the node stops.
func (s *Story) Stops() { s.tell(stopping{}) }

func (s *Story) tell(m any) { s.trunk.System().Root.Send(s.trunk.PID(name+"/log"), m) }

// acted tells an action, and counts it for a while if it repeats itself.
func (a *log) acted(c actor.Context, what string) {
	n, tell := a.told.story.Acted(supervisor.Now(c), what)
	if !tell {
		return
	}
	e := models.Event{Type: models.AdminActed, What: what}
	if n > 1 {
		e.What += fmt.Sprintf(", the last of %d", n)
	}
	a.record(c, e)
}

// byHand tells what was done to an actor, and counts it for a while if it repeats itself.
func (a *log) byHand(c actor.Context, m byHand) {
	n, tell := a.told.story.Acted(supervisor.Now(c), m.event+" "+m.path)
	if !tell {
		return
	}
	e := models.Event{Type: m.event, What: m.path + " was restarted by hand", Data: map[string]string{"actor": m.path}}
	if m.event == models.ActorStopped {
		e.Severity, e.What = models.EventWarning, m.path+" was stopped by hand"
	}
	if n > 1 {
		e.What += fmt.Sprintf(", the last of %s", inspect.Count(uint64(n), "time"))
	}
	supervisor.Log(c).Info("acted on an actor", "what", e.What)
	a.record(c, e)
}

func (a *log) actorFailed(c actor.Context, m actorFailed) {
	if a.told.story.ActorFailed(supervisor.Now(c)) {
		a.record(c, models.Event{Type: models.ActorFailed, Severity: models.EventError, What: m.path + " has failed: " + words.OneLine(m.value), Data: map[string]string{"actor": m.path}})
	}
}

func (a *log) addresses(c actor.Context, m actors.AddressesChanged) {
	if !a.told.story.Addresses(supervisor.Now(c)) {
		return
	}
	var all []string
	for _, addr := range m.Addresses {
		all = append(all, addr.String())
	}
	what := "others are told no address now"
	if len(all) > 0 {
		what = "others are told " + strings.Join(all, ", ") + " now"
	}
	a.record(c, models.Event{Type: models.OwnAddresses, What: what})
}

func (a *log) reach(c actor.Context, m actors.ReachChanged) {
	var all []string
	for _, r := range m.Addresses {
		all = append(all, fmt.Sprintf("%s is %s", r.Addr, r.Verdict))
	}
	if len(all) > 0 && a.told.story.Addresses(supervisor.Now(c)) {
		a.record(c, models.Event{Type: models.OwnReach, What: strings.Join(all, ", ")})
	}
}
