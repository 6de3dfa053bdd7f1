package dhtpart

import (
	"context"
	"slices"
	"sync"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Off returns the part of a node without the DHT.
func Off() actors.Part {
	return actors.Part{Name: "dht", Metrics: func(context.Context) any { return (*metrics)(nil) }, Sections: sections(
		func(context.Context) models.DHT { return models.DHT{Types: []int32{}, Inbound: []models.DHTCount{}} },
		func() models.Ledger { return models.Ledger{Reports: []models.Report{}} },
	)}
}

// sections returns the sections of the part.
func sections(show func(context.Context) models.DHT, ledger func() models.Ledger) map[string]func(ctx context.Context) any {
	return map[string]func(ctx context.Context) any{
		"dht":    func(ctx context.Context) any { return show(ctx) },
		"ledger": func(context.Context) any { return ledger() },
	}
}

// metrics are those of the section "dht".
type metrics struct{ models.DHT }

// MetricValues returns how a received message can end.
func (*metrics) MetricValues(label string) (list []string) {
	if label == "reason" {
		for _, r := range dht.Reasons() {
			list = append(list, r.String())
		}
		list = append(list, models.ReasonInboxFull)
	}
	return list
}

func (d *DHT) metrics(ctx context.Context) any {
	v := &metrics{d.section(ctx)}
	for i := range v.Inbound {
		x := &v.Inbound[i]
		x.Count = d.told.raise(x.Reason, x.Count)
	}
	return v
}

// told has the counts of received messages that metrics have shown. A message that turns out to have ended
// in another way is counted there instead, and a counter must not fall.
type told struct {
	mu sync.Mutex
	of map[string]uint64 // by reason
}

// raise returns n, or what was shown for the reason if that is more.
func (t *told) raise(reason string, n uint64) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = make(map[string]uint64)
	}
	n = max(n, t.of[reason])
	t.of[reason] = n
	return n
}

// section returns the section "dht". It asks the outbound actor for its state; the field
// Outbound is nil if that actor does not answer in time.
func (d *DHT) section(ctx context.Context) models.DHT {
	v := models.DHT{
		On: true, Forwarding: !d.NoForwarding, Types: []int32{}, Inbound: []models.DHTCount{},
		Protocol: string(d.frames.ID), PlainProtocol: string(d.trunk.Plain().ID),
	}
	for t := range d.Types.All() {
		v.Types = append(v.Types, t)
	}
	slices.Sort(v.Types)
	for _, c := range d.Counts() {
		x := models.DHTCount{Reason: c.Reason.String(), Count: c.Count}
		if c.Last != nil {
			x.LastAt, x.LastPeer, x.LastError = d.trunk.OnWall(c.Last.At), c.Last.Peer.String(), words.WithoutPackage(c.Last.Err)
		}
		v.Inbound = append(v.Inbound, x)
	}
	if dropped := d.noRoom(); dropped > 0 { // these messages were delivered to the inbox, which had no room
		for i := range v.Inbound {
			if x := &v.Inbound[i]; x.Reason == dht.Delivered.String() {
				x.Count -= min(x.Count, dropped)
			}
		}
		v.Inbound = append(v.Inbound, models.DHTCount{Reason: models.ReasonInboxFull, Count: dropped})
	}
	limits := d.Limits()
	v.Flood = &models.DHTFlood{Limit: limits.Flood.Limit, Held: limits.Flood.Held, Unread: limits.Flood.Unread}
	v.Relayed = &models.DHTRelayed{Limit: limits.Relay.Limit, Sources: limits.Relay.Sources, Refused: limits.Relay.Refused}
	seen := d.Dedup.Stats()
	v.Dedup = models.DHTDedup{Messages: seen.Hashes, Capacity: seen.Capacity, Repeats: seen.Copies, Fingerprints: seen.Fingerprints, Early: seen.Early}
	ctx, cancel := context.WithTimeout(ctx, inspect.AskTimeout)
	defer cancel()
	if s, err := supervisor.Ask[Sending](ctx, d.trunk.System(), d.Outbound, getSending{}); err == nil {
		v.Outbound = outboundSection(&s)
	}
	return v
}

func (d *DHT) noRoom() uint64 {
	if d.NoRoom == nil {
		return 0
	}
	return d.NoRoom()
}

func outboundSection(s *Sending) *models.DHTOutbound {
	c := &s.Counts
	var lost []models.DHTLost
	for why, n := range c.RelayFailed {
		if n > 0 {
			lost = append(lost, models.DHTLost{Reason: dht.RelayFailure(why).String(), Count: n})
		}
	}
	return &models.DHTOutbound{
		Lost: lost, Unreached: s.Unreached,
		Sends: c.Sends, Copies: c.Copies, Confirmed: c.Confirmed, InDoubt: c.InDoubt, Failed: c.Failed,
		OpenSends: s.Sends, OpenCopies: s.Copies, Resent: c.Resent, Paced: c.Paced,
		Relayed: c.Relays - c.RelaysNobody - c.RelaysDropped, RelayedTo: c.RelayCopies, Dropped: c.RelaysNobody + c.RelaysDropped, Nobody: c.RelaysNobody,
		Credit: models.Credit{Used: s.Credit, Limit: s.Limit}, LastError: words.WithoutPackage(s.LastError),
	}
}

// ledger returns the section "ledger": the messages that were sent over the DHT.
func (d *DHT) ledger() models.Ledger {
	v := models.Ledger{Reports: []models.Report{}}
	v.Accepted, v.Ended = d.Ledger.Counts()
	for _, r := range d.Ledger.All() {
		v.Reports = append(v.Reports, d.trunk.Report(r))
	}
	return v
}
