package dht

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Settings are the limits of the DHT.
type Settings struct {
	Shards       int   // actors that share the inbound chain; at least 1
	Occurrences  int   // how often a message may come
	SendPace     int   // messages to a foreign peer in any 60 s
	FloodLimit   int   // messages of a peer in 60 s
	RelayBytes   int64 // bytes for others of a source in 60 s
	Broadcast    int   // nodes of a broadcast
	Propagation  int   // nodes that a propagated message is passed on to
	Neighbours   int   // nodes that are neighbours
	NoForwarding bool

	DB    kv.DB // the disk of Dedup
	Dedup *dht.Dedup
	// Unreached are messages that were not passed on to all they were for.
	// Written by outbound and the inbound actors; it outlives them. Nil remembers
	// nothing.
	Unreached  *dht.Unreached
	Layers     map[dht.Position][]dht.Layer // of the application's, for what comes in
	SendLayers map[dht.SendPosition][]dht.SendLayer
}

// DHT is the DHT of one node. It outlives the actors, which share it.
type DHT struct {
	Settings
	// Outbound sends the messages of the DHT, Pinger answers pings there.
	Outbound, Pinger *actor.PID
	// Ledger says what became of them. Callers enter what they send, outbound
	// the rest.
	Ledger *dht.Ledger
	// Types says who handles messages of the application's types. Written by
	// extensions, with [TypeTable]; pings are the pinger's.
	Types view.Map[int32, TypeHandler]

	trunk       Trunk
	frames      *actors.Messaging
	shards      []*shard
	relayed     *dht.RelayMeter[relaySource]
	sendCredit  *credit.Account
	tagKey      [sha256.Size]byte // of the tags of sends
	paces       dht.Paces         // what one outbound leaves to the next; both of them alone use it
	sendDrain   *sendDrain
	undecodable view.Recent[identity.NodeID, Undecodable]
	dedupStore  dedupStore
}

// shard is what outlives the actor that hears the frames of a share of the peers.
type shard struct {
	name   string
	pid    *actor.PID
	counts counts
	flood  *dht.FloodMeter // the actor reads it, and so do reader tasks
}

// sendShare is which part of the node's credit the messages may have that were
// accepted for the DHT and have no outcome yet; each copy has credit of its own.
const sendShare = 16

// New makes the DHT of a node, before its tree starts.
func New(t Trunk, s Settings) *DHT {
	d := &DHT{
		Settings: s, Outbound: t.PID(outboundPath), Pinger: t.PID("dht/pinger"), Ledger: dht.NewLedger(),
		trunk: t, frames: t.Frames(), relayed: dht.NewRelayMeter[relaySource](s.RelayBytes),
	}
	budget := t.Budgets().Outbound
	d.sendCredit = budget.Account(budget.Limit() / sendShare)
	d.tagKey = newTagKey(t.Secret(), t.Wall())
	if s.DB != nil { // tests of other actors have none
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

const (
	outboundPath = "dht/outbound"
	dedupPath    = "dht/dedup"
)

// outboundAlarm is the depth from which on the mailbox that all sends go through
// is reported.
const outboundAlarm = 64 << 10

// Part says what the DHT is made of.
func (d *DHT) Part() actors.Part {
	specs := []supervisor.Spec{
		{Name: "dedup", Kind: "dedup", New: func() actor.Actor { return NewDedup(d) }, Drains: true},
		{Name: "outbound", Kind: "dhtOutbound", New: func() actor.Actor { return NewOutbound(d) }, Drains: true, Alarm: outboundAlarm},
		{Name: "pinger", Kind: "pinger", New: func() actor.Actor { return NewPinger(d) }},
	}
	return actors.Part{
		Name: "dht", Actors: append(specs, d.Inbounds()...),
		Stages: map[string]actors.Stage{outboundPath: actors.StopSenders, dedupPath: actors.StopStores},
	}
}

// Inbound returns the actor that hears the frames of a peer: always the same
// one, node/dht/inbound-<i>, which keeps them in order.
func (d *DHT) Inbound(peer identity.NodeID) *actor.PID { return d.shard(peer).pid }

func (d *DHT) shard(peer identity.NodeID) *shard {
	h := binary.LittleEndian.Uint64(peer[len(peer)-8:]) // a node id is a hash
	return d.shards[h%uint64(len(d.shards))]
}
