package sim

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// epoch is the time at which every simulation begins.
var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// network is the simulated world.
type network struct {
	c     Config
	rand  *rand.Rand
	now   time.Duration
	heap  heap
	count uint64
	nodes []*node // alive, by place
	at    map[overlay.Address]*node
	made  uint32 // nodes made so far
	drop  float64
	cut   bool
	traffic

	reportedAt, end time.Duration
	progress        func(at, end time.Duration, messages int64) // each minute of the model; nil: nobody is told
}

// traffic is what was sent, answers included.
type traffic struct {
	messages    int64         // all
	caused      [causes]int64 // the requests, resends included
	resent      int64         // requests sent again that no measurement caused
	upkeepBytes int64
}

// upkeep returns how many requests no measurement caused.
func (t *traffic) upkeep() (n int64) {
	for _, requests := range t.caused[measured+1:] {
		n += requests
	}
	return n
}

func (w *network) time() time.Time { return epoch.Add(w.now) }

func (w *network) plan(at time.Duration, e event) {
	w.count++
	e.at, e.count = max(at, w.now), w.count
	w.heap.push(e)
}

// after calls a function later.
func (w *network) after(d time.Duration, do func()) { w.plan(w.now+d, event{timer: calls, do: do}) }

// run lets events happen until a time.
func (w *network) run(until time.Duration) {
	for len(w.heap) > 0 && w.heap[0].at <= until {
		e := w.heap.pop()
		w.now = e.at
		if w.progress != nil && w.now >= w.reportedAt+time.Minute {
			w.reportedAt = w.now
			w.progress(w.now, w.end, w.messages)
		}
		switch {
		case e.timer == calls:
			e.do()
		case e.node.gone:
		case e.timer == arrives:
			e.node.receive(e.pkt)
		case e.node.wakes[e.timer] == e.at:
			e.node.wakes[e.timer] = -1
			e.node.due(e.timer)
		}
	}
	w.now = until
}

// newNode makes a node at a place, with addresses of others to begin with.
func (w *network) newNode(place int, introduced []overlay.Address) *node {
	w.made++
	ip := netip.AddrFrom4([4]byte{byte(20 + w.made>>16), byte(w.made >> 8), byte(w.made), 1}) // a network of its own
	n := newNode(w, overlay.RandomID(overlay.IDLen, w.rand), overlay.UDPAddress(netip.AddrPortFrom(ip, 4000)))
	n.place, n.number = place, w.made
	n.colluder = w.rand.Float64() < w.c.Colluders
	n.client = !n.colluder && w.rand.Float64() < w.c.Clients
	w.at[n.addr] = n
	w.nodes[place] = n
	if w.c.Churn > 0 {
		life := time.Duration(w.rand.ExpFloat64() * float64(time.Hour) / -math.Log(1-w.c.Churn))
		w.plan(w.now+life, event{timer: calls, do: func() { w.replace(n) }})
	}
	n.start(introduced)
	return n
}

// replace takes a node away, without a word, and puts a new one in its place.
func (w *network) replace(n *node) {
	if n.gone {
		return
	}
	n.gone = true
	delete(w.at, n.addr)
	w.newNode(n.place, w.some(3, n.place))
}

// some returns addresses of nodes that can be reached from a place.
func (w *network) some(want, place int) (list []overlay.Address) {
	for range 20 * want {
		x := w.nodes[w.rand.IntN(len(w.nodes))]
		if x == nil || x.gone || x.client || x.place == place || w.apart(x.place, place) || slices.Contains(list, x.addr) {
			continue
		}
		if list = append(list, x.addr); len(list) == want {
			break
		}
	}
	return list
}

// apart reports whether a cut lies between two places.
func (w *network) apart(a, b int) bool { return w.cut && a%2 != b%2 }

// send carries a message to an address. It is lost if nobody is there.
func (w *network) send(from *node, to overlay.Address, msg overlay.Message, request bool, why cause, copied int) {
	size := sizeOf(&msg)
	w.messages++
	if request {
		w.caused[why]++
		if copied > 0 && why != measured {
			w.resent++
		}
	}
	if why != measured {
		w.upkeepBytes += int64(size)
	}
	lost := w.rand.Float64() < w.drop
	x := w.at[to]
	if x == nil || x.gone || lost || w.apart(from.place, x.place) {
		return
	}
	w.plan(w.now+w.delay(from, x), event{node: x, timer: arrives, pkt: &packet{from, msg, size, request, why}})
}

// delay returns the time of one way between two nodes. It is the same for a pair, but for
// a tenth.
func (w *network) delay(a, b *node) time.Duration {
	x, y := min(a.number, b.number), max(a.number, b.number)
	h := mix(uint64(x)<<32 | uint64(y) ^ w.c.Seed)
	u := (float64(h>>11) + 0.5) / (1 << 53)
	z := math.Sqrt2 * math.Erfinv(2*u-1)
	rtt := float64(w.c.RTT) * math.Exp(w.c.Sigma*z)
	return time.Duration(rtt / 2 * (0.95 + 0.1*w.rand.Float64()))
}

// mix spreads the bits of a number.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// nearest returns the n nodes that are truly nearest to an id, without clients.
func (w *network) nearest(target overlay.ID, n int) []overlay.ID {
	ids := make([]overlay.ID, 0, len(w.nodes))
	for _, x := range w.nodes {
		if x != nil && !x.gone && !x.client {
			ids = append(ids, x.id)
		}
	}
	slices.SortFunc(ids, target.CompareDistance)
	return ids[:min(n, len(ids))]
}

// keyOf returns the key of the record with a number.
func keyOf(seed, number uint64) (overlay.Key, []byte) {
	value := make([]byte, 100)
	binary.BigEndian.PutUint64(value, seed)
	binary.BigEndian.PutUint64(value[8:], number)
	return overlay.ImmutableKey(value), value
}

// Sizes of messages in bytes: of the overlay Native, with one address and a claim for each
// contact.
const (
	headSize    = 20  // of a message with what carries it
	idSize      = 36  // of a target
	contactSize = 150 // public key, address, signature of the claim
	recordSize  = 44  // of a record without its value
)

func sizeOf(m *overlay.Message) int {
	n := headSize + contactSize*len(m.Contacts)
	if m.Verb == overlay.FindNode || m.Verb == overlay.FindValue {
		n += idSize
	}
	if m.Record != nil {
		n += recordSize + len(m.Record.Value)
	}
	return n
}
