package dhtpart

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/taps"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// judged shows what became of a message of a peer to those who trace it.
func (d *DHT) judged(c actor.Context, f Frame, m *dht.Incoming, v dht.Verdict) {
	t := d.trunk.Taps()
	if !t.Open() {
		return
	}
	e := taps.Event{At: supervisor.Now(c), What: "judged", Kind: string(d.frames.ID), Peer: f.Peer, Size: len(f.Body), Note: v.Reason.String()}
	if m != nil {
		e.Tag = m.Envelope.Header.Tag
	}
	switch {
	case v.Err != nil:
		e.Note += ": " + v.Err.Error()
	case v.Relay != nil && !d.NoForwarding:
		e.Note += ", to be relayed"
	}
	t.Put(e)
}

// wrote shows what the machine of sends gives to peers.
func (d *DHT) wrote(now time.Time, f *dht.OutboundEffects) {
	t := d.trunk.Taps()
	if !t.Open() {
		return
	}
	for _, w := range f.Write {
		e := taps.Event{At: now, What: "sent", Kind: string(d.frames.ID), Peer: w.Peer, ID: w.ID, Size: len(w.Frame)}
		if m, err := wire.DecodeEnvelope(w.Frame); err == nil {
			e.Tag = m.Header.Tag
		}
		t.Put(e)
	}
}

// progressed shows a step of a send of this node, before the ledger takes it.
func (d *DHT) progressed(now time.Time, p *dht.Progress) {
	if p.Kind == dht.SendTried || !d.trunk.Taps().Open() {
		return
	}
	ledger := d.Ledger
	if p.Control {
		ledger = d.controls
	}
	r, ok := ledger.UnderWay(p.ID)
	e := taps.Event{At: now, Kind: string(d.frames.ID), ID: p.ID, Tag: r.Tag, Size: r.Size}
	switch p.Kind {
	case dht.SendSelected:
		e.Tag, e.What, e.Note = p.Tag, "selected", inspect.Count(uint64(len(p.Peers)), "peer")
	case dht.SendSettled:
		if !ok || p.Copy >= len(r.Copies) {
			return
		}
		e.What, e.Peer, e.Note = "ended", r.Copies[p.Copy].Peer, p.Outcome.String()
	case dht.SendEnded:
		e.What, e.Note = "send ended", p.Reason.String()
		if p.Err != nil {
			e.Note = p.Err.Error()
		}
	default:
		return
	}
	d.trunk.Taps().Put(e)
}
