package connectivity

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/backoff"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// connectivity knows how the node is connected, and why. It keeps protected peers
// connected, dials other nodes when too few are connected, and closes idle connections
// when there are too many. It alone decides on bans.
//
// In: ProtectPeer, UnprotectPeer, AllowPeer, RequestBan, GetStatus, PeerViolated,
// PeerPanicked, BlamePeer, dialAnew, events PeerConnected, PeerDisconnected and DialFailed. Out:
// DialPeer, CancelDial, CloseConn, BanPeer, Status, event StatusChanged. A restart
// loses the counts of failed redials, of panics and of blames. Tags of protected peers,
// the allow list, the results of dials and the time of the last change of state outlive it.
type connectivity struct {
	room       *Room
	status     connpool.Status
	wishes     map[identity.NodeID]*wish
	bans       connpool.Bans
	violations base.Summary
	unstored   base.Summary            // bans that could not be stored
	panics     connpool.Panics[uint64] // by connection
	blames     connpool.Panics[uint64] // by connection
	panicsDue  *supervisor.Timer
	floor      floorDialer
	lost       incident // how the last connection ended, unless its peer is connected again
	failed     incident // how the last dial failed, unless a peer has connected since
}

// incident is an event that may explain why a connection is missing.
type incident struct {
	at   time.Time // zero: there was none
	peer identity.NodeID
	what string // a clause that "… ago" can follow: "its last dial failed"
	why  string
}

// text returns what happened, how long ago, and why.
func (m incident) text(now time.Time) string {
	return fmt.Sprintf("%s %s ago: %s", m.what, ago(now.Sub(m.at)), m.why)
}

// ago returns a duration in its largest unit: hours, minutes or seconds.
func ago(d time.Duration) string {
	switch {
	case d >= time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", max(d, 0)/time.Second)
}

// memory has the tags of protected peers and what connectivity has learned about peers.
// It outlives connectivity, which alone reads and writes it.
type memory struct {
	state  connpool.State                // the last one
	away   away                          // since when, and what was tried
	tags   map[identity.NodeID][]string  // of protected peers
	health *connpool.Health              // how dials ended
	left   map[identity.NodeID]time.Time // peers that are not dialled automatically before this time
}

func newMemory() memory {
	return memory{
		tags:   make(map[identity.NodeID][]string),
		health: new(connpool.Health), left: make(map[identity.NodeID]time.Time),
	}
}

// wish is the state of a protected peer.
type wish struct {
	dialing bool
	fails   int
	next    *supervisor.Timer
	due     time.Time // when next fires
	failed  incident  // how the last dial failed, unless the peer has connected since
	lost    incident  // how its last connection ended
}

// NewConnectivity makes the actor that watches how the node is connected.
func NewConnectivity(room *Room) actor.Actor {
	return &connectivity{
		room:   room,
		wishes: make(map[identity.NodeID]*wish),
		bans:   connpool.Bans{Allowed: room.needs.Allowed},
		floor:  newFloorDialer(room),

		violations: base.Summary{What: "peer violation"},
		unstored:   base.Summary{What: "ban not stored; it holds until the node stops"},
	}
}

type (
	redialTick  struct{ peer identity.NodeID }
	refreshTick struct{}
	fillTick    struct{}
)

const (
	redialFirst = time.Second
	redialMax   = time.Minute
	// refreshEvery is how often connectivity checks all connections, even if nothing
	// has changed.
	refreshEvery = time.Minute // spec: comms 11.1
)

func (a *connectivity) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		supervisor.Subscribe[actors.PeerConnected](c)
		supervisor.Subscribe[actors.PeerDisconnected](c)
		supervisor.Subscribe[actors.StoreTroubled](c)
		supervisor.Subscribe[actors.StoreHealed](c)
		supervisor.Subscribe[actors.DialFailed](c)
		supervisor.Every(c, refreshEvery, refreshTick{})
		a.pardon(c)
		a.room.Redials.Clear() // the timers of the earlier incarnation are gone
		a.resume(c)
		a.evaluate(c)
		a.floor.soon(c)
	case ProtectPeer:
		a.protect(c, m)
	case UnprotectPeer:
		a.unprotect(m)
	case AllowPeer:
		a.allow(c, m)
	case RequestBan:
		a.requestBan(c, m)
	case GetStatus:
		c.Respond(a.present(c))
	case base.PeerViolated:
		a.violated(c, m)
	case base.PeerPanicked:
		a.panicked(c, m)
	case BlamePeer:
		a.blamed(c, m)
	case base.PanicsUntold:
		a.sumUpLater(c)
	case base.SummaryDue:
		m.Tell(c)
	case panicsDue:
		a.panicsDue = nil
		a.room.SumUpPanics()
	case actors.PeerBanned:
		if m.Err != nil && !errors.Is(m.Err, actors.ErrBansFull) {
			a.unstored.Say(c, m.Peer, m.Err)
		}
	case actors.PeerUnbanned: // replies to allow and pardon
		if m.Err != nil {
			supervisor.Log(c).Error("the end of a ban not stored; it holds until the node stops", "peer", m.Peer, "err", m.Err)
		}
	case actors.PeerConnected:
		a.connected(c, m)
	case actors.PeerDisconnected:
		a.disconnected(c, m)
	case actors.DialFailed:
		a.dialFailed(c, m)
	case dialling.PeerDialed:
		if !a.floor.dialed(c, m) {
			a.dialed(c, m)
		}
	case actors.StoreTroubled, actors.StoreHealed:
		supervisor.Publish(c, actors.StatusChanged{Status: a.current(c)})
	case dialAnew:
		a.dialAnew(c)
	case redialTick:
		if w, ok := a.wishes[m.peer]; ok {
			w.next = nil
			a.room.Redials.Delete(m.peer)
			a.dial(c, m.peer, w)
		}
	case refreshTick:
		a.refresh(c)
	case fillTick:
		a.floor.due(c)
	default:
		supervisor.Unhandled(c)
	}
}

func (a *connectivity) connected(c actor.Context, m actors.PeerConnected) {
	if w, ok := a.wishes[m.Peer]; ok {
		w.fails, w.failed = 0, incident{}
	}
	a.failed = incident{} // a failed dial does not explain the new status
	if a.lost.peer == m.Peer {
		a.lost = incident{}
	}
	delete(a.room.memory.left, m.Peer)
	if m.Conn.Direction == protocol.Outbound {
		a.room.memory.health.Succeeded(supervisor.Now(c), m.Peer)
	}
	a.evaluate(c)
	a.floor.gained(c)
}

func (a *connectivity) disconnected(c actor.Context, m actors.PeerDisconnected) {
	now := supervisor.Now(c)
	a.lost = incident{now, m.Peer, fmt.Sprintf("the last connection to %s ended", m.Peer), m.Reason.String()}
	if w, ok := a.wishes[m.Peer]; ok {
		w.lost = incident{now, m.Peer, "its connection ended", m.Reason.String()}
		a.redial(c, m.Peer, w)
	}
	a.floor.leave(c, m)
	a.evaluate(c)
	a.floor.soon(c)
}

// dialFailed counts a failure of the peer, unless this node is offline: then the cause
// may be this node's own network (comms 127).
func (a *connectivity) dialFailed(c actor.Context, m actors.DialFailed) {
	a.failed = incident{supervisor.Now(c), m.Peer, "the last dial failed", m.Err.Error()}
	if a.status.State != connpool.Offline {
		a.room.memory.health.Failed(supervisor.Now(c), m.Peer)
		return
	}
	a.room.memory.away.failed(m)
}

// violated handles an offence: it asks the policy, which may ban the peer and close its
// connection.
func (a *connectivity) violated(c actor.Context, m base.PeerViolated) {
	verdict := a.bans.Offence(m.Peer, m.Err)
	a.violations.Say(c, m.Peer, m.Err, "ban", verdict.Ban)
	ref := a.ref(m)
	if ref != nil {
		m.Origin = ref.Link().Origin
	}
	why := actors.CloseReason{Code: actors.CloseViolation, By: "us", Err: m.Err}
	if verdict.Ban > 0 {
		c.Request(a.room.Peers, peerbook.BanPeer{
			Peer: m.Peer, Key: m.Key, For: verdict.Ban, Reason: m.Err.Error(),
			Severity: verdict.Severity.String(), Evidence: evidence(ref), Origin: m.Origin,
		})
		a.room.needs.Offended(c, m.Origin)
		why.Code = actors.CloseBanned
	}
	if verdict.Close {
		c.Send(a.room.Conns, connections.CloseConn{Peer: m.Peer, Conn: 0, Reason: why})
	}
}

// ref returns the connection of an offence, live or ended. It returns nil if the
// offence was seen while a connection was set up, or if the connection is no longer
// remembered.
func (a *connectivity) ref(m base.PeerViolated) *actors.ConnRef {
	if ref, ok := a.room.Connections.Get(m.Peer); ok && ref.ID == m.Conn {
		return ref
	}
	closed := a.room.needs.Closed()
	if i := slices.IndexFunc(closed, func(x actors.ClosedConn) bool { return x.Ref.ID == m.Conn }); i >= 0 {
		return closed[i].Ref
	}
	return nil
}

// evidence returns in words where an offence was seen.
func evidence(ref *actors.ConnRef) string {
	if ref == nil {
		return "seen while a connection was set up"
	}
	return fmt.Sprintf("seen on the %s connection %d, %s", ref.Direction, ref.ID, ref.Addr)
}

// requestBan bans a peer on request, unless the peer is on the allow list.
//
// spec: comms 11.6
func (a *connectivity) requestBan(c actor.Context, m RequestBan) {
	verdict := a.bans.Request(m.Peer, m.For)
	if verdict.Ban <= 0 {
		c.Send(c.Sender(), actors.PeerBanned{Token: m.Token, Peer: m.Peer, Err: actors.ErrSpared})
		return
	}
	c.RequestWithCustomSender(a.room.Peers, peerbook.BanPeer{Token: m.Token, Peer: m.Peer, For: verdict.Ban, Reason: m.Reason}, c.Sender())
}

// allow changes the allow list. It adds a peer first and lifts the peer's ban
// afterwards: by then the actor peers has handled every ban that was on its way, those
// of an import included.
func (a *connectivity) allow(c actor.Context, m AllowPeer) {
	if m.Off {
		a.room.needs.AllowList().Delete(m.Peer)
	} else {
		a.room.needs.AllowList().Set(m.Peer, struct{}{})
		c.Request(a.room.Peers, peerbook.UnbanPeer{Peer: m.Peer})
	}
	if c.Sender() != nil {
		c.Respond(PeerAllowed{m.Token, m.Peer})
	}
}

// pardon lifts the stored bans of peers on the allow list.
func (a *connectivity) pardon(c actor.Context) {
	var banned []identity.NodeID
	for peer := range a.room.needs.AllowList().All() {
		if _, _, ok := a.room.needs.Ban(peer); ok {
			banned = append(banned, peer)
		}
	}
	slices.SortFunc(banned, identity.NodeID.Compare)
	for _, peer := range banned {
		supervisor.Log(c).Info("ban lifted: the peer is on the allow list", "peer", peer)
		c.Request(a.room.Peers, peerbook.UnbanPeer{Peer: peer})
	}
}

// resume takes over the protected peers of an earlier incarnation, and dials those that
// are not connected.
func (a *connectivity) resume(c actor.Context) {
	for _, peer := range slices.SortedFunc(maps.Keys(a.room.memory.tags), identity.NodeID.Compare) {
		a.connect(c, peer)
	}
}

func (a *connectivity) protect(c actor.Context, m ProtectPeer) {
	tags := a.room.memory.tags
	if !slices.Contains(tags[m.Peer], m.Tag) {
		tags[m.Peer] = append(slices.Clone(tags[m.Peer]), m.Tag) // a new slice: readers of the view may have the old one
		a.room.Protected.Set(m.Peer, tags[m.Peer])
	}
	a.room.MarkUseful(m.Peer, 0)
	a.connect(c, m.Peer)
}

// connect dials a protected peer, unless the peer is connected, or a dial is under way
// or planned.
func (a *connectivity) connect(c actor.Context, peer identity.NodeID) {
	w, ok := a.wishes[peer]
	if !ok {
		w = &wish{}
		a.wishes[peer] = w
	}
	if !a.has(peer) && !w.dialing && w.next == nil {
		a.dial(c, peer, w)
	}
}

func (a *connectivity) has(peer identity.NodeID) bool {
	_, ok := a.room.Connections.Get(peer)
	return ok
}

func (a *connectivity) unprotect(m UnprotectPeer) {
	w, ok := a.wishes[m.Peer]
	if !ok {
		return
	}
	tags := a.room.memory.tags
	tags[m.Peer] = slices.DeleteFunc(slices.Clone(tags[m.Peer]), func(t string) bool { return t == m.Tag })
	if len(tags[m.Peer]) > 0 {
		a.room.Protected.Set(m.Peer, tags[m.Peer])
		return
	}
	if w.next != nil {
		w.next.Stop()
		a.room.Redials.Delete(m.Peer)
	}
	a.room.Protected.Delete(m.Peer)
	delete(tags, m.Peer)
	delete(a.wishes, m.Peer)
}

func (a *connectivity) dial(c actor.Context, peer identity.NodeID, w *wish) {
	w.dialing = true
	m := dialling.NewDialPeer(a.room.System, 0, peer, c.Self(), strings.Join(a.room.memory.tags[peer], ", "))
	m.Automatic = true
	c.Send(a.room.Dialer, m)
}

func (a *connectivity) dialed(c actor.Context, m dialling.PeerDialed) {
	w, ok := a.wishes[m.Peer]
	if !ok {
		return
	}
	w.dialing, w.failed = false, incident{}
	if m.Err != nil && !errors.Is(m.Err, actors.ErrDraining) { // it says nothing of the peer
		w.fails++
		w.failed = incident{supervisor.Now(c), m.Peer, "its last dial failed", m.Err.Error()}
	}
	// Redial also after a successful dial: the end of its connection may have been
	// reported before this reply.
	if !a.has(m.Peer) {
		a.redial(c, m.Peer, w)
	}
}

// redial plans the next dial of a protected peer, after a pause that grows with each
// failure.
func (a *connectivity) redial(c actor.Context, peer identity.NodeID, w *wish) {
	if w.dialing || w.next != nil {
		return
	}
	wait := backoff.Doubled(w.fails+1, redialFirst, redialMax)
	wait = wait/2 + time.Duration(supervisor.Rand(c).Int64N(int64(wait/2)))
	w.due = supervisor.Now(c).Add(wait)
	w.next = supervisor.After(c, wait, redialTick{peer})
	a.room.Redials.Set(peer, w.due)
}

// dialAnew ends the pauses before redials and rounds. They are as after a first failure, so that nobody who can
// have this said often makes the node dial without a pause.
func (a *connectivity) dialAnew(c actor.Context) {
	for peer, w := range a.wishes {
		if w.fails = 0; w.next != nil {
			w.next.Stop()
			w.next = nil
			a.redial(c, peer, w)
		}
	}
	a.floor.anew(c)
}

// refresh checks all connections. It closes idle ones above the limits and, with
// KeepClosest, connections to nodes that are not among the closest; and it dials nodes
// if too few are connected.
func (a *connectivity) refresh(c actor.Context) {
	live := a.live()
	for _, x := range connpool.Reap(supervisor.Now(c), live, a.room.needs.IdleLimits()) {
		c.Send(a.room.Conns, connections.CloseConn{Peer: x.Peer, Conn: x.Conn, Reason: actors.CloseReason{Code: actors.CloseReaped, By: "us"}})
	}
	if a.room.KeepClosest > 0 {
		for _, x := range connpool.Minimise(a.room.Self, live, a.room.KeepClosest, nil) {
			c.Send(a.room.Conns, connections.CloseConn{Peer: x.Peer, Conn: x.Conn, Reason: actors.CloseReason{Code: actors.CloseMinimised, By: "us"}})
		}
	}
	a.evaluate(c)
	a.floor.refresh(c)
}

// live lists the connections for Reap and Minimise. KeptOpen marks those that must stay
// open: of protected or allowed peers, with a call, or with more substreams than an
// idle connection has.
func (a *connectivity) live() []connpool.Live {
	live := a.room.Live()
	for i := range live {
		live[i].KeptOpen = live[i].KeptOpen || live[i].Streams > a.room.needs.IdleLimits().Idle() || a.room.needs.Allowed(live[i].Peer)
	}
	return live
}

// evaluate counts the connections and publishes a change of the status.
func (a *connectivity) evaluate(c actor.Context) {
	nodes, clients := a.count()
	var changed bool
	a.status, changed = a.status.Next(nodes, clients, a.room.MinConnected)
	if m := &a.room.memory; a.status.State != m.state {
		m.state = a.status.State
		m.away.becomes(supervisor.Now(c), m.state)
	}
	if changed {
		supervisor.Publish(c, actors.StatusChanged{Status: a.current(c)})
	}
}

// present returns the status of the connections that the directory has, also before their
// events have come here. It leaves the change to the events.
func (a *connectivity) present(c actor.Context) actors.Status {
	kept := a.status
	nodes, clients := a.count()
	a.status, _ = kept.Next(nodes, clients, a.room.MinConnected)
	s := a.current(c)
	a.status = kept
	return s
}

func (a *connectivity) count() (nodes, clients int) {
	for _, ref := range a.room.Connections.All() {
		if ref.Features.IsNode() {
			nodes++
		} else {
			clients++
		}
	}
	return nodes, clients
}

func (a *connectivity) current(c actor.Context) actors.Status {
	nodes, clients := a.count()
	s := actors.Status{
		State: a.status.State.String(), Nodes: nodes, Clients: clients,
		Wanted: len(a.wishes), Floor: a.room.Floor, UpdatedAt: supervisor.Now(c),
	}
	var missing []identity.NodeID
	for peer := range a.wishes {
		if !a.has(peer) {
			missing = append(missing, peer)
		}
	}
	slices.SortFunc(missing, identity.NodeID.Compare)
	s.Missing = len(missing)
	s.Cause = a.cause(supervisor.Now(c), missing)
	away := &a.room.memory.away
	if s.Since = away.since; a.status.State != a.room.memory.state { // the event has not come here yet
		s.Since = supervisor.Now(c)
	}
	if a.status.State != connpool.Online {
		s.NotOnline = cmp.Or(away.lacks, s.Since)
	}
	s.Alone = nodes == 0 && a.knowsNobody()
	if a.status.State == connpool.Offline {
		text, code := away.text(a.kind)
		if text == "" && a.room.seedTrouble() != "" {
			text, code = a.room.seedTrouble(), codes.SeedNames
		}
		if s.Tried = text; code != nil {
			s.TriedCode = code.Name
		}
	}
	if trouble, ok := a.room.needs.StoreTrouble(); ok {
		if s.State == connpool.Online.String() {
			s.State = connpool.Degraded.String()
		}
		s.Cause = strings.TrimPrefix(trouble.Err.Error(), "actors: ") + "; " + s.Cause
	}
	return s
}

// namedMissing is how many missing peers the cause of a status names.
const namedMissing = 3

// cause returns in words why the node has its status, which protected peers are
// missing, and what the node does about it.
func (a *connectivity) cause(now time.Time, missing []identity.NodeID) string {
	parts := []string{a.status.Cause()}
	for i, peer := range missing {
		if i == namedMissing {
			parts = append(parts, fmt.Sprintf("and %d more wanted peers are missing", len(missing)-i))
			break
		}
		parts = append(parts, a.missing(now, peer, a.wishes[peer]))
	}
	if a.status.State != connpool.Online && len(missing) == 0 {
		last := a.lost
		if !a.failed.at.IsZero() && !a.failed.at.Before(a.lost.at) {
			last = a.failed
		}
		if !last.at.IsZero() {
			parts = append(parts, last.text(now))
		}
	}
	if s := a.floor.cause(); s != "" {
		parts = append(parts, s)
	}
	return strings.Join(parts, "; ")
}

func (a *connectivity) missing(now time.Time, peer identity.NodeID, w *wish) string {
	s := fmt.Sprintf("%s, protected by %s, is missing", peer, strings.Join(a.room.memory.tags[peer], ", "))
	var more []string
	for _, m := range []incident{w.lost, w.failed} {
		if !m.at.IsZero() {
			more = append(more, m.text(now))
		}
	}
	switch {
	case w.dialing:
		more = append(more, "it is being dialled")
	case w.next != nil:
		more = append(more, fmt.Sprintf("next dial in %v", max(w.due.Sub(now), 0).Round(time.Second)))
	}
	if len(more) > 0 {
		s += " (" + strings.Join(more, ", ") + ")"
	}
	return s
}

// Inspect returns the protected peers with their tags, the length of the allow list,
// and the number of automatic dials under way.
func (a *connectivity) Inspect() any {
	wanted := make(map[string][]string, len(a.wishes))
	for peer := range a.wishes {
		wanted[peer.String()] = a.room.memory.tags[peer]
	}
	return struct {
		Wanted  map[string][]string `json:"wanted"`
		Allowed int                 `json:"allowed"`
		Dialled int                 `json:"proactive_dials"`
	}{wanted, a.room.needs.AllowList().Len(), len(a.floor.dials)}
}

func (a *connectivity) String() string {
	s := a.status.State.String()
	if n := len(a.wishes); n > 0 {
		s += fmt.Sprintf(", %d peers wanted", n)
	}
	if n := len(a.floor.dials); n > 0 {
		s += fmt.Sprintf(", dialling %d of our own accord", n)
	}
	return s
}
