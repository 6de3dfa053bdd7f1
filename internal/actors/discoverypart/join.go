package discoverypart

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/internal/actors/connectivity"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/dht/discovery"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// join announces this node to others, when the node gets online and on request, and hears
// the announcements of others: it has them stored, and relayed (spec: dht 7.2, 10.4).
//
// In: dht.Heard with a Join, SendJoin, dht.Sent, PeerAdded, Status, event StatusChanged.
// Out: dht.SendControl, JoinSent, dht.RelayHeard and dht.IgnoreHeard to the inbound actor
// of the source, AddPeer, PeerViolated, events Joined and PeersLearned. A restart loses the
// requests whose Join is under way, which get ErrJoinLost, and the counts of recent Joins
// of each source. When the last Join was sent, and all counts, stay.
type join struct {
	d        *Discovery
	receiver discovery.Receiver
	limits   *discovery.Limiter
	learned  learned
	online   bool
	sending  map[uint64]joining // by the id of the send
	again    *supervisor.Timer  // of the next try of an automatic Join that has failed
	pause    time.Duration      // before it
}

// joinAgain is due when an automatic Join that has failed is tried again.
type joinAgain struct{}

// The pause after an automatic Join that has failed doubles from firstPause to lastPause.
const (
	firstPause = 250 * time.Millisecond
	lastPause  = 5 * time.Minute
)

// askedLimit is how long a Join on request waits for nodes that are not connected, while others are:
// they may be away.
const askedLimit = 10 * time.Second

// joining is a Join under way.
type joining struct {
	begin time.Time
	token uint64
	asker *actor.PID // nil: nobody, the Join is automatic
}

// joinState is the state of join that outlives its incarnations.
type joinState struct {
	joins *discovery.Joins
	JoinState
	refused refusals
}

// ErrJoinLost reports a Join whose outcome is not known, because the actor that has sent it
// was restarted.
var ErrJoinLost = fmt.Errorf("dht: the actor that announces this node was restarted meanwhile; the outcome of the Join is not known")

// maxJoins bounds the Joins of this node that are under way.
const maxJoins = 64

func newJoin(d *Discovery) actor.Actor {
	return &join{d: d, receiver: d.receiver(nil), limits: discovery.NewLimiter(), sending: make(map[uint64]joining)}
}

func (j *join) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		supervisor.OwnFunc(c, j.abandon)
		supervisor.Subscribe[actors.StatusChanged](c)
		supervisor.Subscribe[actors.AddressesChanged](c)
		c.Request(j.d.trunk.Connectivity(), connectivity.GetStatus{})
	case dht.Heard:
		j.heard(c, m)
	case peerbook.PeerAdded:
		j.learned.added(c, m)
	case learnedDue:
		j.learned.publish(c)
	case actors.StatusChanged:
		j.status(c, m.Status)
	case actors.Status:
		j.status(c, m)
	case actors.AddressesChanged: // others have those of before
		j.d.joins.joins.Failed()
		j.automatic(c)
	case SendJoin:
		j.begin(c, joining{begin: supervisor.Now(c), token: m.Token, asker: c.Sender()})
	case dht.Sent:
		j.sent(c, m)
	case joinAgain:
		j.again = nil
		j.automatic(c)
	default:
		supervisor.Unhandled(c)
	}
}

// heard handles a Join of another node.
func (j *join) heard(c actor.Context, h dht.Heard) {
	s := &j.d.joins
	s.Heard++
	v := discovery.Verdict{Outcome: discovery.TooOften}
	if j.limits.Join(supervisor.Now(c), h.Incoming.Source) {
		v = j.receiver.Join(h.Incoming)
	} else {
		c.Send(c.Sender(), dht.NewIgnoreHeard(h))
	}
	if v.Store == nil {
		s.refused.add(v.Outcome)
	} else {
		s.Stored++
		j.d.store(c, h, v, peerstore.JoinMessage)
	}
	if v.Relay != nil {
		s.Relayed++
		c.Send(c.Sender(), dht.NewRelayHeard(h, v.Relay))
	}
	j.d.report(c, h, v)
	j.show()
}

// status sends a Join when the node has got online.
func (j *join) status(c actor.Context, s actors.Status) {
	online := s.Nodes > 0
	before := j.online
	j.online = online
	if online && !before {
		j.automatic(c)
	}
}

// automatic sends a Join if the node is online and announces itself.
func (j *join) automatic(c actor.Context) {
	if j.online && j.d.Automatic && j.d.AutoJoin {
		j.begin(c, joining{begin: supervisor.Now(c)})
	}
}

// failed plans another try of an automatic Join that has failed. One that is not due, or
// that would tell of no usable address, is not tried again.
func (j *join) failed(c actor.Context, by joining, err error) {
	if by.asker != nil || errors.Is(err, discovery.ErrJoinedRecently) || errors.Is(err, discovery.ErrUnreachable) {
		return
	}
	j.pause = min(max(2*j.pause, firstPause), lastPause)
	if j.again != nil {
		j.again.Stop()
	}
	j.again = supervisor.After(c, j.pause, joinAgain{})
}

// begin sends a Join. Only an automatic one has no asker.
func (j *join) begin(c actor.Context, by joining) {
	if err := j.announce(c, by); err != nil {
		if by.asker != nil {
			c.Send(by.asker, JoinSent{Token: by.token, Err: err})
		}
		if !errors.Is(err, discovery.ErrJoinedRecently) { // that says nothing of the last Join
			j.d.joins.Err = err
		}
		j.failed(c, by, err)
	}
	j.show()
}

func (j *join) announce(c actor.Context, by joining) error {
	t, joins := j.d.trunk, j.d.joins.joins
	if len(j.sending) >= maxJoins {
		return fmt.Errorf("%w: %d Joins have no outcome yet", actors.ErrOverloaded, maxJoins)
	}
	own, ok := t.Claim()
	if !ok {
		return ErrNothingToAnnounce
	}
	may := joins.Automatic
	if by.asker != nil {
		may = joins.Manual
	}
	if err := may(by.begin, own, t.Excluded()); err != nil {
		return err
	}
	id := t.NewID()
	limit := time.Duration(0)
	if by.asker != nil && j.online { // connected nodes have it soon, and somebody waits
		limit = askedLimit
	}
	err := j.d.trunk.SendControl(c, id, dht.Control{
		Type: wire.TypeJoin, To: dht.Closest{To: own.Key.NodeID()}, Destination: own.Key, Limit: limit,
		Part: announcement(own, supervisor.Rand(c).Uint64()),
	})
	if err != nil {
		joins.Failed()
		return err
	}
	j.sending[id] = by
	return nil
}

// sent ends a Join of this node.
func (j *join) sent(c actor.Context, m dht.Sent) {
	by, ok := j.sending[m.ID]
	if !ok {
		return
	}
	delete(j.sending, m.ID)
	s := &j.d.joins
	_, err := reached(&m.Report)
	if err != nil {
		s.joins.Failed()
		j.failed(c, by, err)
	} else {
		j.pause = 0
	}
	s.Last, s.Nodes, s.Confirmed, s.Err = by.begin, len(m.Report.Copies), m.Report.Count(protocol.Confirmed), err
	supervisor.Publish(c, dht.Joined{At: by.begin, Nodes: s.Nodes, Confirmed: s.Confirmed, Err: err})
	if by.asker != nil {
		c.Send(by.asker, JoinSent{Token: by.token, Report: m.Report, Err: err})
	}
	j.show()
}

// show writes the state for the inspector.
func (j *join) show() {
	s := &j.d.joins
	v := s.JoinState
	v.Next, v.Refused = s.joins.Next(), s.refused
	j.d.states.join.Store(&v)
}

// abandon answers the requests whose Join is under way when the incarnation ends.
func (j *join) abandon() {
	for _, id := range slices.Sorted(maps.Keys(j.sending)) {
		if by := j.sending[id]; by.asker != nil {
			j.d.trunk.System().Root.Send(by.asker, JoinSent{Token: by.token, Err: ErrJoinLost})
		}
	}
	clear(j.sending)
}

func (j *join) String() string {
	automatic, manual := j.d.joins.joins.Sent()
	return fmt.Sprintf("%d joins sent, %d of them on request; %d heard, %d relayed", automatic+manual, manual, j.d.joins.Heard, j.d.joins.Relayed)
}
