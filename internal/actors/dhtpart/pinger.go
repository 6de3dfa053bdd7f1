package dhtpart

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
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// PingPeer asks the pinger to ping a peer over the DHT's messaging. Reply: PeerPinged.
type PingPeer struct {
	Token uint64
	Peer  identity.NodeID
}

// PeerPinged replies to PingPeer. Took includes the time in the queues of both nodes,
// because the peer's application answers the ping.
type PeerPinged struct {
	Token uint64
	Peer  identity.NodeID
	Took  time.Duration
	Err   error // ErrNoPong, ErrPingLost, or why the ping did not go out
}

// ErrNoPong reports a ping that was not answered in time. Many nodes run no application
// that answers pings.
var ErrNoPong = errors.New("dht: no pong in time; the peer may have nobody who answers pings")

// ErrPingLost reports a ping that was forgotten because the pinger was restarted or has
// stopped.
var ErrPingLost = errors.New("dht: the actor for pings was restarted meanwhile; try again")

// errManyPings reports that dht.MaxPings pings are unanswered, so that no further ping
// is sent for the moment.
var errManyPings = fmt.Errorf("%w: %d pings have no answer yet", actors.ErrOverloaded, dht.MaxPings)

// errOftenPinged reports that the peer was pinged as often as a node answers.
var errOftenPinged = fmt.Errorf("%w: a peer answers %d pings a minute", actors.ErrOverloaded, dht.PongLimit)

// pinger answers the pings of other nodes' applications, and sends pings on
// request (spec: dht 12.4).
//
// In: dht.Received of its type, PingPeer, dht.Sent. Out: SendMessage,
// sendQuietly, PeerPinged, notTaken, PeerViolated. A restart loses the unanswered pings,
// whose askers get ErrPingLost, and the counts of recent pings and pongs of each peer.
type pinger struct {
	dht    *DHT
	pings  *dht.Pings
	pongs  *dht.Pongs
	asked  *dht.Pongs // the same limit for our pings to each peer
	asking map[uint64]askedPing
	due    *supervisor.Timer

	answered, heard, ignored uint64
}

type askedPing struct {
	PingPeer
	to *actor.PID
}

type pongDue struct{}

// NewPinger returns the actor that sends and answers pings.
func NewPinger(d *DHT) actor.Actor {
	return &pinger{dht: d, pings: dht.NewPings(), pongs: dht.NewPongs(), asked: dht.NewPongs(), asking: make(map[uint64]askedPing)}
}

func (p *pinger) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		supervisor.OwnFunc(c, p.abandon)
	case dht.Received:
		p.received(c, m)
	case PingPeer:
		p.ping(c, m)
	case dht.Sent:
		if m.ID != 0 && m.Report.Failed() {
			p.pings.Cancel(m.ID)
			p.answer(c, m.ID, 0, fmt.Errorf("dht: ping: %s", m.Report.String()))
		}
	case pongDue:
		p.due = nil
		p.late(c)
	default:
		supervisor.Unhandled(c)
	}
}

func (p *pinger) received(c actor.Context, m dht.Received) {
	ping, err := wire.DecodePing(m.Body)
	switch {
	case !m.From.IsZero() && m.From.NodeID() != m.Peer:
		p.ignore(c, m) // the peer relayed somebody else's ping: pings are between neighbours
	case errors.Is(err, wire.ErrPing):
		var key identity.PublicKey
		if ref, ok := p.dht.trunk.Connection(m.Peer); ok {
			key = ref.Key
		}
		c.Send(p.dht.trunk.Connectivity(), base.PeerViolated{Peer: m.Peer, Key: key, Conn: m.Conn, Err: protocol.Violated("dht", protocol.BanLong, err)})
	case err != nil:
		p.ignore(c, m)
	case ping.Pong:
		id, took, ok := p.pings.Pong(supervisor.Now(c), m.Peer, ping.Nonce)
		if !ok {
			p.ignore(c, m)
			return
		}
		p.heard++
		p.answer(c, id, took, nil)
	default:
		if !p.pongs.Ping(supervisor.Now(c), m.Peer) {
			p.ignore(c, m)
			return
		}
		p.answered++
		c.Send(p.dht.Outbound, sendQuietly{pingMessage(m.Peer, wire.Ping{Pong: true, Nonce: ping.Nonce})})
	}
}

// ignore counts a ping or pong that is ignored, also towards a flood.
func (p *pinger) ignore(c actor.Context, m dht.Received) {
	p.ignored++
	c.Send(p.dht.Inbound(m.Peer), notTaken{actors.Origin{Peer: m.Peer, Conn: m.Conn}, m.Keep()})
}

func pingMessage(peer identity.NodeID, ping wire.Ping) dht.Message {
	return dht.Message{To: dht.Direct{Peer: peer}, Type: dht.TypePing, Body: ping.Append(nil), Limit: dht.PingLimit}
}

func (p *pinger) ping(c actor.Context, m PingPeer) {
	id := p.dht.trunk.NewID()
	p.asking[id] = askedPing{m, c.Sender()}
	if !p.asked.Ping(supervisor.Now(c), m.Peer) { // a node like this one would not answer
		p.answer(c, id, 0, errOftenPinged)
		return
	}
	nonce, ok := p.pings.Send(supervisor.Now(c), m.Peer, id, supervisor.Rand(c).Rand)
	if !ok {
		p.answer(c, id, 0, errManyPings)
		return
	}
	c.Request(p.dht.Outbound, SendMessage{ID: id, Message: pingMessage(m.Peer, wire.Ping{Nonce: nonce})})
	if p.due == nil {
		p.due = supervisor.After(c, dht.PingLimit, pongDue{})
	}
}

// late answers PingPeer with ErrNoPong for the pings that were not answered in time.
func (p *pinger) late(c actor.Context) {
	ids, next := p.pings.Late(supervisor.Now(c))
	for _, id := range ids {
		p.answer(c, id, 0, ErrNoPong)
	}
	if !next.IsZero() {
		p.due = supervisor.At(c, next, pongDue{})
	}
}

func (p *pinger) answer(c actor.Context, id uint64, took time.Duration, err error) {
	asked, ok := p.asking[id]
	delete(p.asking, id)
	if ok && asked.to != nil {
		c.Send(asked.to, PeerPinged{asked.Token, asked.Peer, took, err})
	}
}

// abandon answers all unanswered PingPeer with ErrPingLost when the incarnation ends.
func (p *pinger) abandon() {
	for _, id := range slices.Sorted(maps.Keys(p.asking)) {
		if asked := p.asking[id]; asked.to != nil {
			p.dht.trunk.System().Root.Send(asked.to, PeerPinged{asked.Token, asked.Peer, 0, ErrPingLost})
		}
	}
	clear(p.asking)
}

func (p *pinger) String() string {
	return fmt.Sprintf("%d pings answered, %d pongs, %d ignored, %d open", p.answered, p.heard, p.ignored, p.pings.Len())
}
