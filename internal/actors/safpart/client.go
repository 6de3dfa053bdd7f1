package safpart

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/actors/connectivity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// client asks other nodes for the messages that they store for this node, and has them
// delivered (spec: dht 8.4, 8.5). The machine saf.Client decides whom it asks.
//
// In: dht.Heard with an answer, dht.StoredHandled, dht.Missed, dht.Sent, Fetch, GiveUp, GetState, events
// actors.PeerConnected, PeerDisconnected and StatusChanged. Out: dht.SendControl with a
// request, dht.DeliverStored and dht.IgnoreHeard to the inbound actor of the source,
// PeerViolated, Fetched, ClientState, event StoredMessagesReceived. A restart ends the
// fetches under way with ErrFetchLost; what is known of the servers stays.
type client struct {
	f          *Saf
	judge      *saf.Judge
	asks       map[uint64]asking // requests being sent, by the id of the send
	deliveries []*delivery
	due        *supervisor.Timer
	late       *supervisor.Timer
	saving     bool
	raised     []saf.Watermark   // not on the disk yet
	err        error             // of the last write of watermarks
	kept       []identity.NodeID // whose connections are kept
}

// clientState is the state of client that outlives its incarnations.
type clientState struct {
	machine *saf.Client[uint64]
	waiters map[uint64]waiter // of fetches, by their number in the machine
}

// waiter is who asked for a fetch.
type waiter struct {
	from  *actor.PID
	token uint64
}

// ErrFetchLost reports a fetch that was under way when the actor was restarted.
var ErrFetchLost = errors.New("saf: the actor that fetches stored messages was restarted meanwhile; fetch again")

// asking is a request that is being sent.
type asking struct {
	peer    identity.NodeID
	request uint32
}

type (
	clientDue   struct{}
	deliverLate struct{}
	saved       struct{}
)

func newClient(f *Saf) actor.Actor {
	return &client{f: f, asks: make(map[uint64]asking)}
}

func (a *client) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.start(c)
	case actors.PeerConnected:
		a.step(c, connected(m.Conn))
	case actors.PeerDisconnected:
		a.step(c, saf.Disconnected{Peer: m.Peer, Conn: m.Conn.ID})
	case actors.StatusChanged:
		a.status(c, m.Status)
	case actors.Status:
		a.status(c, m)
	case dht.Heard:
		a.heard(c, m)
	case dht.StoredHandled:
		a.handled(c, m)
	case dht.Missed:
		a.step(c, saf.Missed{})
	case deliverLate:
		a.late = nil
		a.giveUp(c)
	case dht.Sent:
		a.sent(c, m)
	case clientDue:
		a.due = nil
		a.step(c, saf.Due{})
	case Fetch:
		a.meet(c)
		id := a.f.trunk.NewID()
		a.f.client.waiters[id] = waiter{c.Sender(), m.Token}
		a.step(c, saf.Fetch[uint64]{Waiter: id, Servers: m.Peers})
	case GiveUp:
		for id, w := range a.f.client.waiters {
			if w.token == m.Token && m.Token != 0 {
				delete(a.f.client.waiters, id)
				a.step(c, saf.GaveUp[uint64]{Waiter: id})
			}
		}
	case GetState:
		supervisor.Reply(c, a.state(c))
	case supervisor.Done[saved]:
		a.saved(c, m.Err)
	default:
		supervisor.Unhandled(c)
	}
}

func (a *client) start(c actor.Context) {
	f := a.f
	a.judge = saf.NewJudge(f.trunk.Secret(), f.Dedup.Handled)
	f.trunk.KeepOpen(keepTag, nil) // those of an earlier incarnation
	supervisor.Subscribe[actors.PeerConnected](c)
	supervisor.Subscribe[actors.PeerDisconnected](c)
	supervisor.Subscribe[actors.StatusChanged](c)
	if f.client == nil {
		if n := f.marks.Damaged; n > 0 {
			supervisor.Log(c).Warn("records of what was fetched cannot be read; those servers are asked for all they have", "n", n)
		}
		f.client = &clientState{
			machine: saf.NewClient[uint64](saf.ClientOptions{
				Self: f.trunk.Secret().PublicKey().NodeID(), NoRequests: f.NoRequests, Minimise: f.Minimise, SinceLast: f.SinceLast,
				Watermarks: f.marks.Loaded(), Random: newRandom(c),
			}),
			waiters: make(map[uint64]waiter),
		}
	} else {
		a.do(c, f.client.machine.Abandon(supervisor.Now(c), supervisor.Wall(c), ErrFetchLost))
	}
	for _, s := range f.client.machine.Servers(supervisor.Now(c)) {
		if _, ok := f.trunk.Connections().Get(s.Peer); !ok && s.Connected {
			a.step(c, saf.Disconnected{Peer: s.Peer, Conn: s.Conn})
		}
	}
	for _, ref := range f.trunk.Connections().All() {
		a.step(c, connected(ref))
	}
	c.Request(f.trunk.Connectivity(), connectivity.GetStatus{})
}

// meet tells the machine of connections that it does not know. Whoever waited for one may
// fetch from its peer before the event of the connection has come here.
func (a *client) meet(c actor.Context) {
	known := make(map[identity.NodeID]uint64)
	for _, s := range a.f.client.machine.Servers(supervisor.Now(c)) {
		if s.Connected {
			known[s.Peer] = s.Conn
		}
	}
	for _, ref := range a.f.trunk.Connections().All() {
		if known[ref.Peer] != ref.ID {
			a.step(c, connected(ref))
		}
	}
}

func connected(ref *actors.ConnRef) saf.Connected {
	return saf.Connected{Peer: ref.Peer, Conn: ref.ID, Serves: ref.Features&identity.FeatureStoreForward != 0 && !ref.NoDHT()}
}

func (a *client) status(c actor.Context, s actors.Status) {
	if s.Nodes > 0 {
		a.step(c, saf.Online{Peers: s.Nodes})
	}
}

// step has the machine handle an event, and carries out what it decides.
func (a *client) step(c actor.Context, e saf.ClientEvent) {
	a.do(c, a.f.client.machine.Step(supervisor.Now(c), supervisor.Wall(c), e))
}

func (a *client) do(c actor.Context, all []saf.ClientEffect) {
	for _, e := range all {
		switch e := e.(type) {
		case saf.Ask:
			a.ask(c, e)
		case saf.Done[uint64]:
			w, ok := a.f.client.waiters[e.Waiter]
			delete(a.f.client.waiters, e.Waiter)
			if ok && w.from != nil {
				c.Send(w.from, Fetched{e.Fetched, e.Err})
			}
		case saf.Save:
			a.raised = append(a.raised, e.Watermark)
			a.save(c)
		case saf.Silent:
			a.f.setSilent(supervisor.Now(c), e.Peer, e.Till)
		case saf.Received:
			supervisor.Publish(c, dht.StoredMessagesReceived{Responses: e.Responses})
		}
	}
	a.plan(c)
	a.keepAsked()
}

// plan sets the timer for the machine.
func (a *client) plan(c actor.Context) {
	if a.due != nil {
		a.due.Stop()
		a.due = nil
	}
	if next := a.f.client.machine.Next(); !next.IsZero() {
		a.due = supervisor.At(c, next, clientDue{})
	}
}

// askLimit is how long a request may take to be written.
const askLimit = 10 * time.Second

// ask sends a request (spec: dht 97).
func (a *client) ask(c actor.Context, e saf.Ask) {
	id := a.f.trunk.NewID()
	a.asks[id] = asking{e.Peer, e.Request.RequestID}
	err := a.f.trunk.SendControl(c, id, dht.Control{
		Type: wire.TypeStoredRequest, To: dht.Direct{Peer: e.Peer}, Part: e.Request.Append(nil), Limit: askLimit,
	})
	if err != nil {
		c.Send(c.Self(), dht.Sent{ID: id, Report: dht.Report{Reason: dht.SendClosed, Err: err}})
	}
}

// sent learns how a request has gone.
func (a *client) sent(c actor.Context, m dht.Sent) {
	q, ok := a.asks[m.ID]
	if !ok {
		return
	}
	delete(a.asks, m.ID)
	if r := &m.Report; r.Reason != 0 || r.Failed() {
		a.step(c, saf.NotSent{Peer: q.peer, ID: q.request, Err: fmt.Errorf("%s", r.String())})
	}
}

// save writes watermarks, one write at a time. What fails is written with the next one.
func (a *client) save(c actor.Context) {
	if a.saving || len(a.raised) == 0 {
		return
	}
	a.saving = true
	raised, all, marks := a.raised, a.f.client.machine.Watermarks(), a.f.marks
	a.raised = nil
	supervisor.Do(c, "save", func(context.Context) (saved, error) { return saved{}, marks.Save(raised, all) })
}

func (a *client) saved(c actor.Context, err error) {
	a.saving = false
	if err != nil && a.err == nil {
		supervisor.Log(c).Error("which stored messages were received cannot be written down; they are asked for again after a restart", "err", err)
	}
	if a.err = err; err == nil {
		a.save(c)
	}
}

// String is the client's line in the tree.
func (a *client) String() string {
	if a.f.client == nil {
		return "starting"
	}
	s := a.f.client.machine.Stats()
	line := fmt.Sprintf("%s for stored messages, %s, %s delivered", inspect.Count(s.Requests, "request"), inspect.Count(s.Answers, "answer"), inspect.Count(s.Delivered, "message"))
	if n := a.f.client.machine.Fetches(); n > 0 {
		line += fmt.Sprintf(", %s under way", inspect.Count(uint64(n), "fetch"))
	}
	return line
}
