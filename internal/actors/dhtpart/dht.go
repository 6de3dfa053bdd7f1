package dhtpart

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Settings are the limits of the DHT and what it works with.
type Settings struct {
	Shards       int   // actors that share the inbound chain; at least 1
	Occurrences  int   // copies of a message before further ones are duplicates
	SendPace     int   // messages to a peer in any 60 s, if it does not run this library
	FloodLimit   int   // messages from a peer in any 60 s that no handler takes
	RelayBytes   int64 // relayed bytes from one source in 60 s
	Broadcast    int   // recipients of a broadcast
	Propagation  int   // nodes that a message is relayed to
	Neighbours   int   // nodes closest to this one that are its neighbours
	NoForwarding bool

	DB    kv.DB // stores Dedup; nil: nothing does
	Dedup *dht.Dedup
	// Unreached remembers the peers that relayed messages did not reach. The outbound
	// actor and the inbound actors write it, and it outlives them. Nil remembers nothing.
	Unreached *dht.Unreached
	// NoStore reports whether a peer is known to store no messages for others, whatever
	// its features say. Nil knows of none. Any goroutine may call it.
	NoStore func(identity.NodeID) bool
	// NoRoom returns how many messages the inbox of the node has dropped since the start for want
	// of room. They count as delivered before. Nil: the node has no inbox. Any goroutine may call it.
	NoRoom     func() uint64
	Layers     map[dht.Position][]dht.Layer         // the application's, for inbound messages
	SendLayers map[dht.SendPosition][]dht.SendLayer // the application's, for outbound messages
}

// DHT is the DHT of one node. Its actors share it, and it outlives their incarnations.
type DHT struct {
	Settings
	// Outbound is the actor that sends and relays messages. Pinger is the actor that
	// sends and answers pings.
	Outbound, Pinger *actor.PID
	// Ledger records the outcome of each send. The goroutine that calls Send adds its
	// send; the outbound actor adds the sends of actors and all results.
	Ledger *dht.Ledger
	// Types maps message types to the actors that handle them. The actor extensions
	// writes it through a [users.TypeTable]. The type of pings is the pinger's.
	Types view.Map[int32, TypeHandler]

	controls    *dht.Ledger // of the DHT's own messages, under way and ended
	trunk       Trunk
	frames      *messengers.Messaging
	shards      []*shard
	relayed     *dht.RelayMeter[relaySource]
	announced   dht.ControlMeter[relaySource]
	sendCredit  *credit.Account
	tagKey      [sha256.Size]byte // key from which newTag derives tags
	paces       dht.Paces         // handed from one incarnation of outbound to the next; nothing else uses it
	sendDrain   *sendDrain
	undecodable view.Recent[identity.NodeID, Undecodable]
	dedupStore  dedupStore
	told        told
	begun       time.Time
	missedAt    atomic.Int64 // time since begun, of the last dht.Missed
}

// shard is the state of one inbound actor that outlives its incarnations. The actor
// receives the frames of its share of the peers.
type shard struct {
	name   string
	pid    *actor.PID
	counts counts
	flood  *dht.FloodMeter // used by the actor and by reader tasks

	draining *actor.PID // receives Drained; nil: nobody waits
}

// sendShare is the divisor of the node's outbound credit for DHT messages that were
// accepted and have no outcome yet: together they may hold one sixteenth of it. Each
// copy of a message has credit of its own.
const sendShare = 16

// New returns the DHT of a node. It must be called before the node's actors start.
func New(t Trunk, s Settings) *DHT {
	d := &DHT{
		Settings: s, Outbound: t.PID(outboundPath), Pinger: t.PID("dht/pinger"), Ledger: dht.NewLedger(), controls: dht.NewLedger(),
		trunk: t, frames: t.Frames(), relayed: dht.NewRelayMeter[relaySource](s.RelayBytes), begun: t.Now(),
	}
	budget := t.Budgets().Outbound
	d.sendCredit = budget.Account(budget.Limit() / sendShare)
	d.tagKey = newTagKey(t.Secret(), t.Wall())
	if s.DB != nil {
		d.dedupStore.db = s.DB.Client()
	}
	for i := range max(1, s.Shards) {
		name := "inbound-" + strconv.Itoa(i)
		d.shards = append(d.shards, &shard{name: name, pid: t.PID("dht/" + name), flood: dht.NewFloodMeter(s.FloodLimit)})
	}
	d.Types.Set(dht.TypePing, NewTypeHandler(d.Pinger))
	t.ReceiveFrames(receiver{d})
	t.ServeTypes(typeTable{d})
	return d
}

// Close writes what is not recorded yet: handlers may have finished messages after the
// actors had ended. It must be called when no handler has messages any more, and before the
// store is closed. It blocks.
func (d *DHT) Close() error {
	d.dedupStore.turn.Lock() // an earlier write may still be under way
	defer d.dedupStore.turn.Unlock()
	if d.Dedup.Pending() == 0 && !d.dedupStore.unsynced.Load() {
		return nil
	}
	return d.dedupStore.writeInTurn(d.Dedup, true)
}

// missedPause is the least time between two dht.Missed. The part that hears of them asks
// much later, so it needs no more of them.
const missedPause = time.Second

// missed tells the part that fetches stored messages that no handler has finished a message
// that servers may have stored. It may be called from any goroutine.
func (d *DHT) missed() {
	now, last := int64(d.trunk.Now().Sub(d.begun)), d.missedAt.Load()
	if last != 0 && now-last < int64(missedPause) || !d.missedAt.CompareAndSwap(last, max(1, now)) {
		return
	}
	if part, ok := d.trunk.Provider(dht.ProviderOf(wire.TypeStoredMessages)); ok {
		d.trunk.System().Root.Send(part, dht.Missed{})
	}
}

const (
	outboundPath = "dht/outbound"
	dedupPath    = "dht/dedup"
)

// outboundAlarm is the mailbox length above which the outbound actor, which handles all
// sends, is reported.
const outboundAlarm = 64 << 10

// Part returns the DHT's actors, and the stages of the stop in which they finish their
// work.
func (d *DHT) Part() actors.Part {
	specs := []supervisor.Spec{
		{Name: "dedup", Kind: "dedup", New: func() actor.Actor { return NewDedup(d) }, Drains: true},
		{Name: "outbound", Kind: "dhtOutbound", New: func() actor.Actor { return NewOutbound(d) }, Drains: true, Alarm: outboundAlarm},
		{Name: "pinger", Kind: "pinger", New: func() actor.Actor { return NewPinger(d) }},
	}
	p := actors.Part{
		Name: "dht", Actors: append(specs, d.Inbounds()...), Sections: sections(d.section, d.ledger), Metrics: d.metrics, Warnings: d.warnings, PeerWarnings: d.peerWarnings,
		Stages: map[string]actors.Stage{outboundPath: actors.StopSenders, dedupPath: actors.StopStores},
	}
	for _, s := range d.shards { // after all frames, and before those who get the messages
		p.Stages["dht/"+s.name] = actors.StopReceivers
	}
	return p
}

// Inbound returns the actor that receives the frames of a peer. For one peer it is
// always the same actor, node/dht/inbound-<i>, so the peer's frames stay in order.
func (d *DHT) Inbound(peer identity.NodeID) *actor.PID { return d.shard(peer).pid }

func (d *DHT) shard(peer identity.NodeID) *shard {
	h := binary.LittleEndian.Uint64(peer[len(peer)-8:]) // a node id is a hash
	return d.shards[h%uint64(len(d.shards))]
}
