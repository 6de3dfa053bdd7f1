package sim

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/lookup"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Result is what a simulation has measured. Times are in seconds of the model.
type Result struct {
	Config Config `json:"config"`

	Gets     int     `json:"gets"`
	Found    float64 `json:"found"`    // part of the gets
	Hops     float64 `json:"hops"`     // mean, of those that were found
	Requests float64 `json:"requests"` // mean of a get, each counted once
	Get      Spread  `json:"get"`

	Searches       int     `json:"searches"`
	Recall         float64 `json:"recall"` // part of the k truly nearest that were in the result
	SearchRequests float64 `json:"search_requests"`
	Search         Spread  `json:"search"`

	Puts int `json:"puts"`
	// Accepted is the part of the puts that half of the holders accepted.
	Accepted float64 `json:"accepted"`
	Holders  float64 `json:"holders"` // mean
	Put      Spread  `json:"put"`

	// Upkeep is requests that no measurement caused, for each node and second, resends
	// included; UpkeepBytes also counts answers.
	Upkeep      float64 `json:"upkeep"`
	UpkeepBytes float64 `json:"upkeep_bytes"`
	Causes      Causes  `json:"causes"`   // what the requests of Upkeep are for
	Contacts    float64 `json:"contacts"` // mean of the tables at the end
	Dead        float64 `json:"dead"`     // part of them that has left
	Messages    int64   `json:"messages"` // all, answers included
	Events      uint64  `json:"events"`
}

// Causes is the requests of [Result.Upkeep] by what they are for; together they are all.
type Causes struct {
	Liveness     float64 `json:"liveness"`      // of contacts in the table
	Candidates   float64 `json:"candidates"`    // nodes that have asked something and may enter the table
	Former       float64 `json:"former"`        // former contacts and addresses to enter by
	OwnLookups   float64 `json:"own_lookups"`   // of the own id
	RangeLookups float64 `json:"range_lookups"` // of the ranges of buckets
	Replication  float64 `json:"replication"`   // lookups before a record is stored again
	Stores       float64 `json:"stores"`        // of records again
	Resends      float64 `json:"resends"`       // those of all of them that were sent before
}

// Spread is how long something took.
type Spread struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

func spread(took []time.Duration) (s Spread) {
	if len(took) == 0 {
		return s
	}
	slices.Sort(took)
	at := func(p float64) float64 {
		return math.Round(took[min(int(p*float64(len(took))), len(took)-1)].Seconds()*1000) / 1000
	}
	return Spread{at(0.50), at(0.95), at(0.99)}
}

// Run runs a simulation.
func Run(c Config) Result { return simulate(c, nil) }

// simulate runs a simulation and tells how far it is.
func simulate(c Config, progress func(at, end time.Duration, messages int64)) Result {
	c = c.withDefaults()
	w := &network{
		c: c, rand: rand.New(rand.NewPCG(c.Seed, 1)), at: make(map[overlay.Address]*node),
		nodes: make([]*node, c.Nodes), drop: 1 - math.Sqrt(1-c.Loss),
		progress: progress, end: c.Settle + c.Age + c.Measure + 2*time.Minute,
	}
	if c.Cut > 0 {
		w.end += c.Cut + c.Heal + time.Minute - c.Age
	}
	for i := range w.nodes {
		w.after(time.Duration(i)*c.Settle/2/time.Duration(c.Nodes), func() { w.newNode(i, w.some(3, i)) })
	}
	w.run(c.Settle)

	m := &measurement{w: w, published: make(map[overlay.Key]bool)}
	m.publish(c.Records, 0)
	w.run(w.now + time.Minute)
	first := 0
	if c.Cut > 0 {
		w.cut = true
		w.run(w.now + c.Cut)
		w.cut = false
		w.run(w.now + c.Heal)
		first = c.Records
		m.publish(c.Records, first)
		w.run(w.now + time.Minute)
	} else {
		w.run(w.now + c.Age)
	}

	before, from := w.traffic, w.now
	m.spread(c.Gets, func() { m.get(first + w.rand.IntN(c.Records)) })
	m.spread(c.Searches, m.search)
	w.run(w.now + c.Measure)
	after, took := w.traffic, (w.now-from).Seconds()*float64(c.Nodes)
	w.run(w.now + time.Minute) // what is under way
	r := m.result()
	each := func(after, before int64) float64 { return round(float64(after-before) / took) }
	r.Upkeep = each(after.upkeep(), before.upkeep())
	r.Causes = Causes{
		Liveness:     each(after.caused[liveness], before.caused[liveness]),
		Candidates:   each(after.caused[candidates], before.caused[candidates]),
		Former:       each(after.caused[former], before.caused[former]),
		OwnLookups:   each(after.caused[ownLookup], before.caused[ownLookup]),
		RangeLookups: each(after.caused[rangeLookup], before.caused[rangeLookup]),
		Replication:  each(after.caused[replication], before.caused[replication]),
		Stores:       each(after.caused[storing], before.caused[storing]),
		Resends:      each(after.resent, before.resent),
	}
	r.UpkeepBytes = round(float64(after.upkeepBytes-before.upkeepBytes) / took)
	return r
}

// measurement collects what is measured.
type measurement struct {
	w                        *network
	keys                     []overlay.Key
	published                map[overlay.Key]bool // keys whose put has ended
	gets, found, hops, asked int
	getTook                  []time.Duration
	searches, searchAsked    int
	recall                   float64
	searchTook               []time.Duration
	puts, accepted, holders  int
	putTook                  []time.Duration
}

// asker returns a random node that is in the network. Colluders measure nothing.
func (m *measurement) asker() *node {
	for {
		n := m.w.nodes[m.w.rand.IntN(len(m.w.nodes))]
		if n != nil && !n.gone && !n.colluder && n.table.Len() > 0 {
			return n
		}
	}
}

// spread begins something so many times for each node, within the time of measuring.
func (m *measurement) spread(each float64, do func()) {
	for range int(each * float64(m.w.c.Nodes)) {
		m.w.after(time.Duration(m.w.rand.Int64N(int64(m.w.c.Measure))), do)
	}
}

// publish puts records into the network, within a minute.
func (m *measurement) publish(records, first int) {
	for i := range records {
		key, value := keyOf(m.w.c.Seed, uint64(first+i))
		m.keys = append(m.keys, key)
		r := &overlay.Record{Kind: overlay.Immutable, Key: key, Value: value}
		m.w.after(time.Duration(m.w.rand.Int64N(int64(50*time.Second))), func() { m.put(r) })
	}
}

func (m *measurement) put(r *overlay.Record) {
	n, begun := m.asker(), m.w.now
	n.store.own(r, func(p overlay.Report) {
		m.puts++
		m.published[r.Key] = true
		m.holders += p.Accepted
		if p.Accepted >= (m.w.c.K+1)/2 {
			m.accepted++
		}
		m.putTook = append(m.putTook, m.w.now-begun)
	})
	n.drain()
}

func (m *measurement) get(record int) {
	n := m.asker()
	for range m.keys {
		if m.published[m.keys[record]] {
			break
		}
		record = (record + 1) % len(m.keys) // its publisher left before the put had ended
	}
	key := m.keys[record]
	m.gets++
	if n.store.read(key) != nil {
		m.found++
		m.getTook = append(m.getTook, 0)
		return
	}
	n.search(key, lookup.Options{Mode: lookup.ForFirst}, measured, func(r overlay.LookupResult) {
		m.asked += r.Asked
		m.getTook = append(m.getTook, r.Took)
		if r.Record != nil {
			m.found++
			m.hops += r.Hops
			n.store.cache(r)
		}
	})
	n.drain()
}

func (m *measurement) search() {
	target := overlay.RandomID(overlay.IDLen, m.w.rand)
	n := m.asker()
	n.search(target, lookup.Options{}, measured, func(r overlay.LookupResult) {
		m.searches++
		m.searchAsked += r.Asked
		m.searchTook = append(m.searchTook, r.Took)
		want := m.w.nearest(target, m.w.c.K+1)
		want = slices.DeleteFunc(want, func(id overlay.ID) bool { return id == n.id })
		want = want[:min(len(want), m.w.c.K)]
		hits := 0
		for _, id := range want {
			if slices.ContainsFunc(r.Nearest, func(c overlay.Contact) bool { return c.ID == id }) {
				hits++
			}
		}
		m.recall += float64(hits) / float64(len(want))
	})
	n.drain()
}

func (m *measurement) result() Result {
	w := m.w
	r := Result{
		Config: w.c, Gets: m.gets, Found: ratio(m.found, m.gets), Hops: ratio(m.hops, m.found), Requests: ratio(m.asked, m.gets),
		Get: spread(m.getTook), Searches: m.searches, Recall: round(m.recall / float64(max(m.searches, 1))),
		SearchRequests: ratio(m.searchAsked, m.searches), Search: spread(m.searchTook),
		Puts: m.puts, Accepted: ratio(m.accepted, m.puts), Holders: ratio(m.holders, m.puts), Put: spread(m.putTook),
		Messages: w.messages, Events: w.count,
	}
	contacts, dead := 0, 0
	for _, n := range w.nodes {
		v := n.table.View()
		for i := range v.Buckets() {
			for _, e := range v.Bucket(i) {
				contacts++
				if w.at[e.Contact.Addresses[0]] == nil {
					dead++
				}
			}
		}
	}
	r.Contacts, r.Dead = ratio(contacts, len(w.nodes)), ratio(dead, contacts)
	return r
}

func ratio(a, b int) float64 { return round(float64(a) / float64(max(b, 1))) }

func round(x float64) float64 { return math.Round(x*10000) / 10000 }
