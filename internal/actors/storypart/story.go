// Package storypart is the part of a node that tells the story of its network: in the log, at the
// level info, and as events that it keeps. It tells of connections, the state and its cause, bans,
// what is wrong, and in the log alone figures from time to time. Package internal/story decides what is told.
package storypart

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/connectivity"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/share"
	"github.com/gamelan-p2p/gamelan/internal/story"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Trunk names what this part needs of the node. [trunk.Trunk] implements and documents it.
type Trunk interface {
	System() *actor.ActorSystem
	PID(path string) *actor.PID
	Now() time.Time
	Slept() time.Duration
	Protected(peer identity.NodeID) bool
	Connectivity() *actor.PID
	Connections() *view.Map[identity.NodeID, *actors.ConnRef]
	Store() peerstore.View
	Sent() messengers.Ended
}

var _ Trunk = trunk.Trunk{}

// Settings say what the part tells.
type Settings struct {
	Heartbeat time.Duration // between two lines of figures
	// Node returns the section "node". Wrong returns what is wrong with the node, and whether all could be
	// looked at. They may wait.
	Node   func(context.Context) models.Node
	Wrong  func(context.Context) (list models.Notices, whole bool)
	Record *Record // of the events
	// Version is that of the library.
	Version string
}

// Story is the part. It outlives the incarnations of its actor.
type Story struct {
	Settings
	trunk Trunk
	told  told
}

// told is what the log says last. The actor log alone uses it.
type told struct {
	story *story.Story
	state string             // of the node
	since time.Time          // of the state
	slept time.Duration      // of the machine, when the state began
	lacks time.Time          // since when it is not online; zero: it is
	wrong map[string]trouble // codes of what is wrong

	// At the last heartbeat, and since.
	beatAt     time.Time
	beatSlept  time.Duration // of the machine
	sent       messengers.Ended
	made, lost uint64 // connections
	refused    uint64
	dials      uint64        // that have failed since
	away       time.Duration // how long the node was not online since, until it was online last, without sleep
}

// trouble is what is wrong, as it was told.
type trouble struct {
	since   time.Time
	slept   time.Duration // of the machine, then
	what    string
	program bool // the words are the program's
}

// New returns the part.
func New(t Trunk, s Settings) *Story {
	return &Story{Settings: s, trunk: t, told: told{story: story.New(), wrong: make(map[string]trouble)}}
}

const name = "story"

// Part returns the actor.
func (s *Story) Part() actors.Part {
	return actors.Part{Name: name, Actors: []supervisor.Spec{{Name: "log", Kind: "storylog", New: func() actor.Actor { return &log{Story: s} }}}}
}

const (
	// checkEvery is the time between two looks at what is wrong.
	checkEvery = time.Minute
	// untoldEvery is the time between two lines that count what was left out.
	untoldEvery = 10 * time.Minute
	// startLimit is how long a node that starts may be offline before the log says so.
	startLimit = 30 * time.Second
)

// log writes the story. What is told is limited by source, so that strangers cannot fill the log.
//
// In: events of connections, of dials, of the state, of addresses, of bans; actorFailed, acted, byHand; Status; results of its tasks. Out: GetStatus, events
// TroubleBegan and TroubleOver. A restart loses what its tasks have found out.
type log struct {
	*Story
	starting *supervisor.Timer // until the state that the node has at its start is told
	busy     bool              // a look is under way
	writing  bool              // events are written now, or soon
	unwrote  bool              // the last write has failed
	stopping bool              // the node stops
}

type (
	startTick  struct{}
	checkTick  struct{}
	untoldTick struct{}
	beatTick   struct{}
	writeTick  struct{}
	wrote      struct{}

	// actorFailed, acted, byHand and stopping come from outside of the tree.
	actorFailed struct{ path, value string }
	acted       struct{ what string } // a name, and parameters behind a space
	byHand      struct{ event, path string }
	stopping    struct{}
	checked     struct {
		wrong models.Notices
		whole bool
	}
	beat struct{ models.Node }
)

// Receive implements [actor.Actor].
func (a *log) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.started(c)
	case actors.PeerConnected:
		a.connected(c, m.Conn)
	case actors.PeerDisconnected:
		a.disconnected(c, m)
	case actors.StatusChanged:
		a.status(c, m.Status)
	case actors.Status: // the answer to startTick
		if a.told.state == "" {
			a.tell(c, m)
		}
	case actors.PeerBanned:
		a.banned(c, m)
	case actors.PeerUnbanned:
		if !a.told.story.Banned(supervisor.Now(c)) {
			return
		}
		supervisor.Log(c).Info("ban lifted", "peer", m.Peer)
		a.record(c, models.Event{Type: models.PeerUnbanned, What: "the ban is lifted", Peer: m.Peer.String()})
	case actors.DialFailed:
		a.dialFailed(c, m)
	case actorFailed:
		a.actorFailed(c, m)
	case actors.MachineSlept:
		a.record(c, models.Event{Type: models.NodeSlept, What: "the machine slept for " + m.For.Round(time.Second).String(), Data: map[string]string{"for": m.For.Round(time.Second).String()}})
	case actors.AddressesChanged:
		a.addresses(c, m)
	case actors.ReachChanged:
		a.reach(c, m)
	case stopping:
		a.stops(c)
	case acted:
		a.acted(c, m.what)
	case byHand:
		a.byHand(c, m)
	case startTick:
		a.starting = nil
		c.Request(a.trunk.Connectivity(), connectivity.GetStatus{})
	case checkTick:
		a.check(c)
	case supervisor.Done[checked]:
		a.checked(c, m.Value)
	case untoldTick:
		a.untold(c)
	case beatTick:
		a.beats(c)
	case supervisor.Done[beat]:
		if m.Err == nil {
			a.beat(c, &m.Value.Node)
		}
	case writeTick:
		supervisor.Do(c, "write", func(context.Context) (wrote, error) { return wrote{}, a.Record.write() })
	case supervisor.Done[wrote]:
		a.wrote(c, m.Err)
	default:
		supervisor.Unhandled(c)
	}
}

func (a *log) started(c actor.Context) {
	supervisor.Subscribe[actors.PeerConnected](c)
	supervisor.Subscribe[actors.PeerDisconnected](c)
	supervisor.Subscribe[actors.StatusChanged](c)
	supervisor.Subscribe[actors.PeerBanned](c)
	supervisor.Subscribe[actors.PeerUnbanned](c)
	supervisor.Subscribe[actors.DialFailed](c)
	supervisor.Subscribe[actors.AddressesChanged](c)
	supervisor.Subscribe[actors.ReachChanged](c)
	supervisor.Subscribe[actors.MachineSlept](c)
	if a.told.since.IsZero() {
		a.told.since, a.told.slept = supervisor.Now(c), a.trunk.Slept()
		a.told.lacks, a.told.beatAt, a.told.beatSlept = a.told.since, a.told.since, a.told.slept
		a.record(c, models.Event{Type: models.NodeStarted, What: "version " + a.Version + " has started"})
		a.endEarlier(c)
	}
	a.writing = false
	a.writeSoon(c, writeEvery)
	if a.told.state == "" {
		a.starting = supervisor.After(c, startLimit, startTick{})
	}
	supervisor.Every(c, checkEvery, checkTick{})
	supervisor.Every(c, untoldEvery, untoldTick{})
	supervisor.Every(c, a.Heartbeat, beatTick{})
	a.reconcile(c)
	for _, ref := range a.trunk.Connections().All() {
		a.connected(c, ref)
	}
}

// listens reports whether somebody reads the story.
func (a *log) listens(c actor.Context) bool {
	return supervisor.Log(c).Enabled(context.Background(), slog.LevelInfo)
}

func (a *log) connected(c actor.Context, ref *actors.ConnRef) {
	from := share.None
	if ref.Direction == protocol.Inbound {
		from = share.Source(ref.Origin())
	}
	p, _ := a.trunk.Store().Get(ref.Peer)
	seed := p.Flags&peerstore.FlagSeed != 0
	if !a.told.story.Connected(supervisor.Now(c), story.Connection{
		Peer: ref.Peer, Conn: ref.ID, Since: ref.Since, Slept: a.trunk.Slept(), From: from, Named: seed || a.trunk.Protected(ref.Peer),
	}) {
		return
	}
	about := []any{"peer", ref.Peer, "addr", address.Short(ref.Addr), "direction", ref.Direction.String()}
	if seed {
		about = append(about, "seed", true)
	}
	supervisor.Log(c).Info("connected", about...)
	a.record(c, models.Event{Type: models.ConnOpened, What: "connected, " + ref.Direction.String(), Peer: ref.Peer.String(), Addr: address.Short(ref.Addr)})
}

func (a *log) disconnected(c actor.Context, m actors.PeerDisconnected) {
	lasted, tell := a.told.story.Disconnected(supervisor.Now(c), m.Peer, a.trunk.Slept())
	if m.Reason.Code == actors.CloseShutdown && m.Reason.By == "us" {
		a.stops(c)
	}
	if !tell {
		return
	}
	why := m.Reason.Code
	if m.Reason.Err != nil {
		why += ": " + m.Reason.Err.Error()
	}
	lasted = lasted.Round(time.Second)
	supervisor.Log(c).Info("disconnected", "peer", m.Peer, "addr", address.Short(m.Conn.Addr), "by", m.Reason.By, "why", why, "lasted", lasted)
	a.record(c, models.Event{
		Type: models.ConnClosed, What: "disconnected after " + lasted.String() + ", ended by " + m.Reason.By + ": " + words.OneLine(why), Peer: m.Peer.String(), Addr: address.Short(m.Conn.Addr),
		Data: map[string]string{"by": m.Reason.By, "why": m.Reason.Code, "lasted": lasted.String()},
	})
}

// stops tells once that the node stops. What follows is no change of its network.
func (a *log) stops(c actor.Context) {
	if a.stopping {
		return
	}
	a.stopping = true
	supervisor.Log(c).Info("stopping", "was", a.told.state, "for", a.passed(c, a.told.since, a.told.slept))
	what := "the node stops"
	if a.told.state != "" {
		what += "; it was " + a.told.state
	}
	a.record(c, models.Event{Type: models.NodeStopping, What: what})
}

// status tells a change of the node's state. That a node which has just started is offline is told
// only if it stays so.
func (a *log) status(c actor.Context, s actors.Status) {
	if a.told.state == "" && s.State == connpool.Offline.String() || a.stopping {
		return
	}
	a.tell(c, s)
}

// passed returns how long something has gone on, sleep of the machine included, in whole seconds.
func (a *log) passed(c actor.Context, since time.Time, slept time.Duration) time.Duration {
	return (supervisor.Now(c).Sub(since) + max(0, a.trunk.Slept()-slept)).Round(time.Second)
}

func (a *log) tell(c actor.Context, s actors.Status) {
	now := supervisor.Now(c)
	switch online := s.NotOnline.IsZero(); { // it may be online, and degraded by its peer store
	case online && !a.told.lacks.IsZero():
		a.told.away, a.told.lacks = a.told.missed(now, 0), time.Time{}
	case !online && a.told.lacks.IsZero():
		a.told.lacks = now
	}
	if s.State == a.told.state {
		return
	}
	was, lasted := a.told.state, a.passed(c, a.told.since, a.told.slept)
	a.told.state, a.told.since, a.told.slept = s.State, now, a.trunk.Slept()
	if a.starting != nil {
		a.starting.Stop()
		a.starting = nil
	}
	if !a.told.story.State(now) {
		return
	}
	about := []any{"cause", s.Cause}
	if was != "" {
		about = append(about, "was", was, "for", lasted)
	}
	if s.Tried != "" {
		about = append(about, "tried", s.Tried)
	}
	e := models.Event{Type: models.NodeDegraded, Severity: models.EventWarning, What: s.State + ": " + words.OneLine(s.Cause)}
	switch s.State {
	case connpool.Online.String():
		supervisor.Log(c).Info("online", about...)
		e.Type, e.Severity = models.NodeOnline, models.EventInfo
	case connpool.Offline.String():
		supervisor.Log(c).Info("offline", about...)
		e.Type = models.NodeOffline
	default:
		supervisor.Log(c).Info("degraded", about...)
	}
	if was != "" {
		e.Data = map[string]string{"was": was, "for": lasted.String()}
	}
	a.record(c, e)
}

// missed returns how long the node was not online since the last heartbeat. A machine that has slept for that long in this time
// was not either.
func (t *told) missed(now time.Time, slept time.Duration) time.Duration {
	if t.lacks.IsZero() {
		return t.away + slept
	}
	return t.away + now.Sub(later(t.lacks, t.beatAt)) + slept
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// check looks at what is wrong.
func (a *log) check(c actor.Context) {
	if a.busy || a.stopping {
		return
	}
	a.busy = true
	wrong := a.Wrong
	supervisor.Do(c, "check", func(ctx context.Context) (x checked, err error) {
		x.wrong, x.whole = wrong(ctx)
		return x, nil
	})
}

// checked tells what has become wrong, and what is right again. A code is told once, whatever and
// however many its notices are about. A look that was not whole ends none, and one at a node that stops says nothing.
func (a *log) checked(c actor.Context, m checked) {
	a.busy = false
	if a.stopping {
		return
	}
	now := supervisor.Now(c)
	is := make(map[string]bool)
	for _, n := range m.wrong {
		if is[n.Code] {
			continue
		}
		is[n.Code] = true
		if _, ok := a.told.wrong[n.Code]; !ok && a.told.story.Trouble(now) {
			a.told.wrong[n.Code] = trouble{now, a.trunk.Slept(), n.What, n.Program}
			supervisor.Publish(c, actors.TroubleBegan{Notice: n})
			supervisor.Log(c).Info("trouble", "code", n.Code, "severity", string(n.Severity), "what", n.What)
			a.record(c, models.Event{Type: models.TroubleBegan, Severity: severity(n.Severity), What: n.What, Code: n.Code, Data: by(n.Program)})
		}
	}
	if !m.whole {
		return
	}
	for _, code := range slices.Sorted(maps.Keys(a.told.wrong)) {
		if !is[code] {
			was := a.told.wrong[code]
			lasted := a.passed(c, was.since, was.slept)
			supervisor.Publish(c, actors.TroubleOver{Code: code, Lasted: lasted})
			supervisor.Log(c).Info("trouble over", "code", code, "for", lasted)
			a.record(c, models.Event{Type: models.TroubleOver, What: "over after " + lasted.String() + ": " + was.what, Code: code, Data: by(was.program)})
			delete(a.told.wrong, code)
		}
	}
}

// untold tells what was left out.
func (a *log) untold(c actor.Context) {
	u, ok := a.told.story.Untold()
	if !ok {
		return
	}
	supervisor.Log(c).Info("only counted, for there were too many", "connected", u.Connections, "disconnected", u.Ended, "sources", u.Sources,
		"bans", u.Bans, "changes", u.States, "dials_failed", u.Dials, "actors_failed", u.Failures, "acts", u.Acts, "state", a.told.state)
	count := func(n uint64) string { return strconv.FormatUint(n, 10) }
	a.record(c, models.Event{Type: models.EventsUntold, What: "there were too many events of some kinds to tell each", Data: map[string]string{
		"connected": count(u.Connections), "disconnected": count(u.Ended), "bans": count(u.Bans), "changes": count(u.States), "dials_failed": count(u.Dials), "actors_failed": count(u.Failures), "acts": count(u.Acts),
	}})
}

// beats gathers the figures of the node.
func (a *log) beats(c actor.Context) {
	if !a.listens(c) {
		return
	}
	node := a.Node
	supervisor.Do(c, "figures", func(ctx context.Context) (beat, error) { return beat{node(ctx)}, nil })
}

// beat tells the figures: the present ones, and those of the time since the last heartbeat.
func (a *log) beat(c actor.Context, n *models.Node) {
	now := supervisor.Now(c)
	t, sent, slept := &a.told, a.trunk.Sent(), a.trunk.Slept()
	refused := n.Places.Refused + n.Places.TooFast
	about := []any{
		"state", n.Status, "for", a.passed(c, t.since, t.slept), "not_online", t.missed(now, max(0, slept-t.beatSlept)).Round(time.Second),
		"inbound", n.Inbound, "outbound", n.Outbound, "peers", n.Peers,
		"connected", t.story.Made - t.made, "disconnected", t.story.Lost - t.lost, "refused", refused - t.refused, "dials_failed", t.dials,
		"confirmed", sent.Confirmed - t.sent.Confirmed, "in_doubt", sent.InDoubt - t.sent.InDoubt, "failed", sent.Failed - t.sent.Failed,
	}
	if n.Inbox != nil {
		about = append(about, "inbox", n.Inbox.Messages)
	}
	if n.Disk != nil {
		about = append(about, "disk_free", n.Disk.Free)
	}
	if n.Clock != nil {
		about = append(about, "clock_ahead", (time.Duration(n.Clock.AheadMS) * time.Millisecond).Round(time.Second))
	}
	about = append(about, "troubles", len(t.wrong))
	supervisor.Log(c).Info("figures", about...)
	t.beatAt, t.beatSlept, t.away, t.sent = now, slept, 0, sent
	t.made, t.lost, t.refused, t.dials = t.story.Made, t.story.Lost, refused, 0
}

// String is the actor's line in the tree.
func (a *log) String() string { return a.told.state }
