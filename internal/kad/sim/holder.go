package sim

import (
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/lookup"
	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/internal/kad/upkeep"
	"github.com/gamelan-p2p/gamelan/internal/kad/values"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// holder is what a node stores of others, and what it publishes.
type holder struct {
	n     *node
	held  *values.Store
	owned map[overlay.Key]*owned
}

type owned struct {
	record *overlay.Record
	ended  func(overlay.Report)
}

func newHolder(n *node) *holder {
	return &holder{n: n, held: values.New(n.id, values.DefaultLimits(overlay.Native)), owned: make(map[overlay.Key]*owned)}
}

func (h *holder) read(key overlay.Key) *overlay.Record {
	now := h.n.net.time()
	x, _ := h.held.Get(key, now, now)
	return x.Record
}

// accept stores a record that a node has brought, if it may.
func (h *holder) accept(m *overlay.Message, from *node) (overlay.Status, time.Duration) {
	now := h.n.net.time()
	if err := record.Check(overlay.Native, m.Record, now); err != nil {
		return overlay.BadSignature, 0
	}
	out := h.held.Put(values.Offer{
		Record: m.Record, Peer: string(from.id[:]), Group: from.addr.Group(), TTL: m.TTL, Cached: m.Cached,
		Nearer: h.n.table.View().Nearer(now, m.Record.Key, values.NotCloseAt),
	}, now, now)
	for _, key := range out.Removed {
		h.n.do(h.n.upkeep.Step(now, upkeep.Dropped{Key: key}))
	}
	if out.Status == overlay.OK && out.Replicate {
		h.n.do(h.n.upkeep.Step(now, upkeep.Held{Key: m.Record.Key}))
	}
	return out.Status, out.Granted
}

// replicate stores a record again at the nodes nearest to its key. If there are many nearer
// ones than this node, its own copy is a cached one from then on.
func (h *holder) replicate(key overlay.Key) {
	n, now := h.n, h.n.net.time()
	x, ok := h.held.Get(key, now, now)
	if !ok || x.Cached {
		n.do(n.upkeep.Step(now, upkeep.Dropped{Key: key}))
		return
	}
	n.search(key, lookup.Options{}, replication, func(r overlay.LookupResult) {
		n.storeAt(x.Record, x.Life-r.Took, r.Nearest, storing, func(overlay.Report, error) {
			now := n.net.time()
			if n.table.View().Nearer(now, key, values.NotCloseAt) >= values.NotCloseAt {
				h.held.Demote(key)
				n.do(n.upkeep.Step(now, upkeep.Dropped{Key: key}))
				return
			}
			n.do(n.upkeep.Step(now, upkeep.Replicated{Key: key}))
		})
	})
}

// own begins to publish a record. ended gets the first report.
func (h *holder) own(r *overlay.Record, ended func(overlay.Report)) {
	h.owned[r.Key] = &owned{r, ended}
	h.n.do(h.n.upkeep.Step(h.n.net.time(), upkeep.Own{Key: r.Key, Due: h.n.net.time()}))
}

// publish stores a record of this node at the nodes nearest to its key.
func (h *holder) publish(key overlay.Key) {
	n, x := h.n, h.owned[key]
	n.search(key, lookup.Options{Wide: true}, measured, func(r overlay.LookupResult) {
		n.storeAt(x.record, values.MaxLife, append(r.Nearest, r.Further...), measured, func(p overlay.Report, err error) {
			if x.ended != nil {
				x.ended(p)
				x.ended = nil
			}
			n.do(n.upkeep.Step(n.net.time(), upkeep.Published{Key: key, OK: err == nil && p.Accepted > 0}))
		})
	})
}

// cache stores a copy of a record that was found at the nearest contact that lacked it.
func (h *holder) cache(r overlay.LookupResult) {
	if r.Lacking == nil {
		return
	}
	between := 0
	for _, c := range r.Nearest {
		if c.ID == r.Lacking.ID {
			break
		}
		between++
	}
	h.n.ask(&op{contact: *r.Lacking, cause: measured, msg: overlay.Message{
		Verb: overlay.Store, Record: r.Record, Cached: true, TTL: values.CachedLife(values.MaxLife, between),
	}})
}
