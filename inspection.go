package gamelan

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/assemble"
	"github.com/gamelan-p2p/gamelan/internal/nodeview"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Inspection shows the state of a node to tools and to its operator. Its Options are for
// [inspect.Handler]: the node's actors, its health, and its sections. A node always
// has all of them; those of a subsystem that is switched off are empty. [WithSection] adds one of
// yours. For one handler alone:
//
//	i := node.Inspection()
//	i.Sections.Section("cache", func(context.Context) any { return cache.Stats() })
//	http.Handle("/", inspect.Handler(i.Options))
//
// To inspect the node with the command gamelan, [WithInspector] is enough.
type Inspection struct {
	inspect.Options
	n *Node
}

// Inspection returns a new Inspection of the node.
func (n *Node) Inspection() *Inspection { return &Inspection{n.e.Inspect(), n} }

// Tree returns the node's tree of actors, also while the node starts. Do not add children
// to its topmost actor: a child of it that uses up its restarts stops the node. Start your
// actors with [Node.Spawn].
func (i *Inspection) Tree() *supervisor.Root { return i.n.e.Tree() }

// Look returns the node's tree of actors at this moment, each actor with its line, which the
// actor itself writes. An actor that does not answer before ctx ends, or within a second, has
// no line. A node that has stopped has no actors.
func (i *Inspection) Look(ctx context.Context) inspect.Tree {
	tree, err := inspect.Look(ctx, i.Source, i.Tree().PID().Id, -1)
	if err != nil {
		return inspect.Tree{At: time.Now()} // ErrNoActor: the node has stopped
	}
	return tree
}

// Admission returns the section "admission": with whom the node has connections, and who was refused.
func (i *Inspection) Admission(context.Context) models.Admission { return i.n.e.Admission.Section() }

// Node returns the section "node": the node's identity and state.
func (i *Inspection) Node(ctx context.Context) models.Node {
	return nodeview.Section[models.Node](ctx, i.n.e.View, "node")
}

// Examine finds out what is wrong: with the node, if peer is "", or with its way to a peer, given as a
// key, the first digits of one, KEY::ADDRESS, or an address alone. It calls step, unless that is nil, with each step as it
// ends, and ends with one cause and one next step. It takes at most 90 s, or until ctx ends, most
// often less than 5 s. Each known address of the peer, at most 8, is tried: the node there proves
// its key. A peer that answers and is not connected is then dialled. At most 4 examinations that try
// addresses are under way at a time. Errors are of type [*inspect.Error].
func (i *Inspection) Examine(ctx context.Context, peer string, step func(models.Checked)) (models.Diagnosis, error) {
	return i.n.e.Doctor.Examine(ctx, peer, func(c models.Checked) bool {
		if step != nil {
			step(c)
		}
		return true
	})
}

// Recorded returns what has happened in the node: connections, changes of its state, dials that failed,
// bans, troubles, actors that failed and commands. The node keeps the last 10,000 events on its disk, over
// restarts, or 1,000 in memory if it has no directory. A kill loses those of the last second. See [Node.Events] for all
// that happens now, and in more detail.
func (i *Inspection) Recorded(q inspect.EventQuery) (models.Events, error) {
	return i.n.e.Record.Select(&q)
}

// Refused returns the connections of the last hour that this node has refused: those of a peer, and those of the first 32 of these
// addresses that ended before their key was known. The peer may be zero. Nothing is known of addresses that many share, such as those of
// this machine. The error is ctx's, or says that the node has ended.
func (i *Inspection) Refused(ctx context.Context, peer identity.NodeID, addrs ...ma.Multiaddr) ([]models.WhyRefused, error) {
	return i.n.e.Why.Refused(ctx, peer, addrs...)
}

// Acted records that somebody has made the node do something, such as admin.peer.ban.
func (i *Inspection) Acted(what string) { i.n.e.Story.Acted(what) }

// Restart starts an actor anew, with its children. path is that of the tree, or its end if that fits one actor alone. The
// actor restarts after the message that it has in hand, and messages that wait for it stay. One that has failed too often, and waits to be tried
// again, is tried now. docs/tree.md says what each actor loses. Restart returns
// when the new incarnation has started. The error matches [supervisor.ErrNoActor], [supervisor.ErrOnlyStops] for connections
// and sessions, [supervisor.ErrStaysFailed] for an actor of the program that its panic policy has stopped, [supervisor.ErrTop], [ErrClosed],
// or ctx's: then the actor has a message in hand, and restarts after it.
func (i *Inspection) Restart(ctx context.Context, path string) error {
	return i.byHand(ctx, path, (*supervisor.Root).Restart)
}

// StopActor stops an actor, with its children: a connection or a session, of which the node starts others when it needs them, or one of the
// program's actors, which stays stopped until it is registered again. The error matches [supervisor.ErrNeeded] for others, [supervisor.ErrStopped] for one that has failed and does not run, or is as of Restart.
func (i *Inspection) StopActor(ctx context.Context, path string) error {
	return i.byHand(ctx, path, (*supervisor.Root).StopActor)
}

func (i *Inspection) byHand(ctx context.Context, path string, do func(*supervisor.Root, context.Context, string) error) error {
	if i.n.e.View.Stopping() {
		return ErrClosed
	}
	a, ok := inspect.FindActor(i.Source, path)
	if !ok {
		return supervisor.ErrNoActor
	}
	return do(i.Tree(), ctx, a.ID)
}

// Silence returns for how long nothing has come on a connection, if an answer has been due for 5 s;
// else 0.
func (i *Inspection) Silence(ctx context.Context, c *Connection) time.Duration {
	d, err := i.n.e.Tree().Inspect(ctx, c.PID.Id)
	s, ok := d.Value.(connections.ConnStats)
	if err != nil || !ok {
		return 0
	}
	return s.Silent
}

// Report converts a report of this node to the form that package inspect's API uses.
func (i *Inspection) Report(r dht.Report) models.Report { return i.n.e.Trunk.Report(r) }

// peer converts the record of a peer.
func (i *Inspection) peer(p peerstore.Peer) models.Peer { return i.n.e.View.Peer(p) }

// OnWall converts a time of the node's own clock, such as [Connection].Since, to a time of
// the system's clock as it is set now.
func (i *Inspection) OnWall(t time.Time) time.Time { return i.n.e.Trunk.OnWall(t) }

// PeerHistory holds what a node remembers about its connections and dials to a peer. Its
// times are of the system's clock.
type PeerHistory struct {
	Protected []string             // tags of the protections of the peer
	NextDial  time.Time            // when the node will dial the peer of its own accord; zero: not planned
	Attempts  []DialAttempt        // last dials of the peer's addresses, oldest first: at most 32, kept for the 512 peers dialled last
	NotTaken  []ProtocolNotTaken   // protocols on which the peer takes none of our messages
	Ended     *ClosedConn          // last connection that ended; nil: none is remembered
	Before    *ClosedConn          // last connection that the present one follows, or whose place it has taken; nil: none is remembered
	Choice    *protocol.DialChoice // last choice of peers to dial that considered the peer; nil: none of the last 16 did
}

// Peer returns what the node remembers about a peer.
func (i *Inspection) Peer(peer identity.NodeID) PeerHistory {
	t := i.n.e.Trunk
	h := PeerHistory{Protected: t.Protectors(peer)}
	if due, ok := t.Redials().Get(peer); ok {
		h.NextDial = t.OnWall(due)
	}
	attempts, _ := t.Dials().Get(peer)
	for _, a := range attempts {
		a.At = t.OnWall(a.At)
		h.Attempts = append(h.Attempts, a)
	}
	for _, m := range t.NotTaken() {
		if m.Peer == peer {
			m.Last = t.OnWall(m.Last)
			h.NotTaken = append(h.NotTaken, m)
		}
	}
	if last, ok := nodeview.LastEnded(t)[peer]; ok {
		last.At = t.OnWall(last.At)
		h.Ended = &last
	}
	if ref, ok := i.n.Connection(peer); ok {
		if before, ok := nodeview.Precursor(t.Closed(), ref); ok {
			before.At = t.OnWall(before.At)
			h.Before = &before
		}
	}
	for _, c := range slices.Backward(t.Choices()) {
		if _, _, ok := c.Rank(peer); ok {
			c.At = t.OnWall(c.At)
			h.Choice = &c
			break
		}
	}
	return h
}

// Dialling returns the dials that have not ended, in the order of the peers' ids. Their times
// are of the system's clock.
func (i *Inspection) Dialling(ctx context.Context) ([]DialUnderWay, error) {
	list, err := i.n.e.Dials(ctx)
	for k := range list {
		list[k].Since = i.n.e.Trunk.OnWall(list[k].Since)
	}
	return list, err
}

// WithInspector lets the owner of Config.DataDir inspect the running node:
//
//	gamelan tree --data-dir DIR
//
// The commands status, health, conns and peers work in the same way, and so does package
// inspect/client. The node serves the read-only API of package inspect on the Unix socket
// gamelan.sock in that directory, which only the directory's owner can open. Requests that would
// change the node are not served: that does control.Serve of inspect/control, instead of this
// option. The socket is open while the node's actors start, so that an actor that blocks Start
// can be found, and until the node has ended. Start fails if there is no data directory, or if
// its path is too long for a socket.
func WithInspector() Option {
	return func(o *options) error {
		o.Inspector = assemble.ServeInspector
		return nil
	}
}

// WithNotices adds what your program finds wrong to the health of the node, each with a code: of package inspect/codes, or one of
// your own. [Node.Health], the log, the events and the inspector have them. A notice without a severity is a warning, which
// Config.Health.DegradedBy can make more of. The node sets Program of each. find must not wait. It may be called at any time, also before [Start] returns.
func WithNotices(find func() models.Notices) Option {
	return func(o *options) error {
		if find == nil {
			return errors.New("gamelan: WithNotices was given no function")
		}
		o.Notices = append(o.Notices, find)
		return nil
	}
}

// Verbs returns the actions of the node's parts by section and name, for the field Verbs of
// [inspect.Actions]. The maps are the caller's. A node without the DHT has its verbs, which say so.
func (i *Inspection) Verbs() map[string]map[string]inspect.Verb {
	all := make(map[string]map[string]inspect.Verb)
	for _, p := range i.n.e.Parts {
		for section, verbs := range p.Verbs {
			all[section] = maps.Clone(verbs)
		}
	}
	return all
}

// host returns what the verbs of the parts use of the node.
func (n *Node) host() trunk.Host {
	return trunk.Host{
		Again:   func(ctx context.Context, f func() error) error { return n.e.Again(ctx, f) },
		Connect: n.connectTo, Peer: (&Inspection{n: n}).peer,
	}
}

// connectTo is Connect of [trunk.Host].
func (n *Node) connectTo(ctx context.Context, text string, keep bool) (*Connection, error) {
	id, err := n.Peers().Given(ctx, text, keep)
	if err != nil {
		return nil, trunk.NotFound(err, inspect.HintAdd)
	}
	ref, err := n.Dial(ctx, id)
	if err != nil {
		return nil, trunk.NotConnected(err, text)
	}
	return ref, nil
}

// Health returns the health of the node: ok, degraded or failed, and why. A degraded node works, but
// not as it should: it is offline, for instance. Config.Health says from when on, and docs/trouble.md
// lists the codes of the reasons. It takes at most 4 s, or until ctx ends.
func (n *Node) Health(ctx context.Context) models.Health { return n.e.View.Whole(ctx) }
