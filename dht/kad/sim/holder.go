package sim

import (
	"time"

	"github.com/gamelan-p2p/gamelan/dht/kad"
	"github.com/gamelan-p2p/gamelan/dht/kad/lookup"
	"github.com/gamelan-p2p/gamelan/dht/kad/put"
	"github.com/gamelan-p2p/gamelan/dht/kad/record"
	"github.com/gamelan-p2p/gamelan/dht/kad/store"
	"github.com/gamelan-p2p/gamelan/dht/kad/upkeep"
)

// holder is what a node stores of others, and what it publishes.
type holder struct {
	n     *node
	held  *store.Store
	owned map[kad.Key]*owned
}

type owned struct {
	record *kad.Record
	ended  func(put.Report)
}

func newHolder(n *node) *holder {
	return &holder{n: n, held: store.New(n.id, store.DefaultLimits(kad.Native)), owned: make(map[kad.Key]*owned)}
}

func (h *holder) read(key kad.Key) *kad.Record {
	now := h.n.net.time()
	x, _ := h.held.Get(key, now, now)
	return x.Record
}

// accept stores a record that a node has brought, if it may.
func (h *holder) accept(m *kad.Message, from *node) (kad.Status, time.Duration) {
	now := h.n.net.time()
	if err := record.Check(kad.Native, m.Record, now); err != nil {
		return kad.BadSignature, 0
	}
	out := h.held.Put(store.Offer{
		Record: m.Record, Peer: string(from.id[:]), Group: from.addr.Group(), TTL: m.TTL, Cached: m.Cached,
		Nearer: h.n.table.View().Nearer(now, m.Record.Key, store.NotCloseAt),
	}, now, now)
	for _, key := range out.Removed {
		h.n.do(h.n.upkeep.Step(now, upkeep.Dropped{Key: key}))
	}
	if out.Status == kad.OK && out.Replicate {
		h.n.do(h.n.upkeep.Step(now, upkeep.Held{Key: m.Record.Key}))
	}
	return out.Status, out.Granted
}

// replicate stores a record again at the nodes nearest to its key. If there are many nearer
// ones than this node, its own copy is a cached one from then on.
func (h *holder) replicate(key kad.Key) {
	n, now := h.n, h.n.net.time()
	x, ok := h.held.Get(key, now, now)
	if !ok || x.Cached {
		n.do(n.upkeep.Step(now, upkeep.Dropped{Key: key}))
		return
	}
	n.search(key, lookup.Options{}, replication, func(r lookup.Result) {
		n.storeAt(x.Record, x.Life-r.Took, r.Nearest, storing, func(put.Report, error) {
			now := n.net.time()
			if n.table.View().Nearer(now, key, store.NotCloseAt) >= store.NotCloseAt {
				h.held.Demote(key)
				n.do(n.upkeep.Step(now, upkeep.Dropped{Key: key}))
				return
			}
			n.do(n.upkeep.Step(now, upkeep.Replicated{Key: key}))
		})
	})
}

// own begins to publish a record. ended gets the first report.
func (h *holder) own(r *kad.Record, ended func(put.Report)) {
	h.owned[r.Key] = &owned{r, ended}
	h.n.do(h.n.upkeep.Step(h.n.net.time(), upkeep.Own{Key: r.Key, Due: h.n.net.time()}))
}

// publish stores a record of this node at the nodes nearest to its key.
func (h *holder) publish(key kad.Key) {
	n, x := h.n, h.owned[key]
	n.search(key, lookup.Options{Wide: true}, measured, func(r lookup.Result) {
		n.storeAt(x.record, store.MaxLife, append(r.Nearest, r.Further...), measured, func(p put.Report, err error) {
			if x.ended != nil {
				x.ended(p)
				x.ended = nil
			}
			n.do(n.upkeep.Step(n.net.time(), upkeep.Published{Key: key, OK: err == nil && p.Accepted > 0}))
		})
	})
}

// cache stores a copy of a record that was found at the nearest contact that lacked it.
func (h *holder) cache(r lookup.Result) {
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
	h.n.ask(&op{contact: *r.Lacking, cause: measured, msg: kad.Message{
		Verb: kad.Store, Record: r.Record, Cached: true, TTL: store.CachedLife(store.MaxLife, between),
	}})
}
