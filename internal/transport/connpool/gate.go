package connpool

import (
	"cmp"
	"maps"
	"net/netip"
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// GateLimits bound inbound set-ups under way and inbound connections: in all, of
// one source (an IPv4 address or an IPv6 /64), and of one subnet (an IPv4 /24 or
// an IPv6 /48). A zero field stands for its default, named in its comment.
//
// spec: V 8, comms 14.1 point 2
type GateLimits struct {
	Setups          int // 100
	SetupsPerSource int // 4
	SetupsPerSubnet int // 16
	Conns           int // 500
	ConnsPerSource  int // 32
	ConnsPerSubnet  int // 128

	// SetupRate is how many set-ups of one source begin in a minute, on average;
	// after a pause as many may begin at once. Those of a subnet have four times as
	// many. 0: the constant SetupRate
	SetupRate int

	OffencesPerSource int // 100 in OffencesWithin; for Offenders
}

func (l GateLimits) withDefaults() GateLimits {
	l.Setups = cmp.Or(l.Setups, 100)
	l.SetupsPerSource = cmp.Or(l.SetupsPerSource, 4)
	l.SetupsPerSubnet = cmp.Or(l.SetupsPerSubnet, 16)
	l.Conns = cmp.Or(l.Conns, 500)
	l.ConnsPerSource = cmp.Or(l.ConnsPerSource, 32)
	l.ConnsPerSubnet = cmp.Or(l.ConnsPerSubnet, 128)
	l.SetupRate = cmp.Or(l.SetupRate, SetupRate)
	return l
}

// SetupRate is how many set-ups of one source begin in a minute by default.
const SetupRate = 120

// subnetSetups is how many times the set-ups of a source those of a subnet may be.
const subnetSetups = 4

// When a set-up may be ended in favour of a new one, if all places are taken.
const (
	// SetupGrace is the age up to which a set-up keeps its place: the time that an
	// honest distant peer needs until the second handshake message.
	SetupGrace = 250 * time.Millisecond
	// SetupStands is the time without progress after which a set-up may be ended even
	// after the second handshake message.
	SetupStands = 2 * time.Second
)

// From is the origin of an inbound connection for limits: nested networks, the narrowest
// first. Source and Subnet are zero for exempt connections.
type From struct {
	Source, Subnet netip.Prefix
	// Origin is the network whose set-ups are counted together when one has to be
	// ended, also for exempt sources: Source if there is one, all of loopback, or all
	// connections without an IP address (the zero value).
	Origin netip.Prefix
}

// Stage is how far a set-up has come.
type Stage uint8

// The stages of a set-up, in order.
const (
	StageEntered  Stage = iota // nothing was read
	StageHeard                 // at least the wire byte was read
	StageMessage2              // the second handshake message is on its way
	StageProved                // the peer has proved its key
)

// Gate counts inbound connections and applies their limits. An accepted connection is in
// its set-up until it is established or ends. When all places for set-ups are taken, the
// gate ends one in favour of the next, so that an attacker cannot hold all places. A Gate
// is not safe for concurrent use.
//
// spec: V 8
type Gate struct {
	l       GateLimits
	all     tally
	where   map[netip.Prefix]tally
	setups  map[uint64]*setup
	origins map[netip.Prefix]int // set-ups
	last    uint64               // id of a set-up
	sources rates                // of set-ups, of sources and subnets
	// newcomers is when the account of unknown peers from exempt sources is full again.
	newcomers time.Time
	stats     GateStats
}

type tally struct{ setups, conns int }

// setup is a set-up under way.
type setup struct {
	from  From
	stage Stage
	since time.Time
	moved time.Time // when it came to its stage
}

// GateStats counts the decisions of a gate. Setups and Conns are present numbers.
type GateStats struct {
	Setups, Conns         int
	MaxSetups, MaxInbound int
	MaxSetupRate          int    // set-ups of a source in a minute
	Preempted             uint64 // set-ups that were ended in favour of a newer one
	Refused               uint64 // connections and set-ups without a place

	RefusedBy map[string]uint64 // Refused, by the key of the setting whose limit was reached; the caller's

	TooFast      uint64 // of Refused: those of a source or subnet that had begun too many
	Waited       uint64 // set-ups of unknown peers from exempt sources that had to wait
	Replaced     uint64 // connections that were ended in favour of a new one
	OtherNetwork uint64 // connections whose first byte was not that of the node's network
}

// NewGate returns a gate without connections.
func NewGate(l GateLimits) *Gate {
	return &Gate{
		l: l.withDefaults(), where: make(map[netip.Prefix]tally),
		setups: make(map[uint64]*setup), origins: make(map[netip.Prefix]int),
	}
}

// Enter accepts a connection for its set-up and returns the set-up's id, or an error with
// the limit that is reached. It also refuses a source that already has its greatest number
// of connections. If all places were taken, gone is the id of the set-up that is ended for
// the new one, and 0 otherwise: it has left the gate, and the caller closes it.
func (g *Gate) Enter(now time.Time, f From) (id, gone uint64, err error) {
	if err := g.room(f, true); err != nil {
		g.refuse(err)
		return 0, 0, err
	}
	if len(g.setups) >= g.l.Setups {
		if gone = g.toReplace(now, f.Origin); gone == 0 {
			err := &protocol.LimitError{Name: "MaxSetups", Limit: g.l.Setups}
			g.refuse(err)
			return 0, 0, err
		}
	}
	if err := g.begin(now, f); err != nil {
		g.refuse(err)
		g.stats.TooFast++
		return 0, 0, err
	}
	if gone != 0 {
		g.stats.Preempted++
		g.Leave(gone)
	}
	g.last++
	g.setups[g.last] = &setup{from: f, since: now, moved: now}
	g.origins[f.Origin]++
	g.count(f, tally{setups: 1})
	return g.last, gone, nil
}

// refuse counts a connection that a limit refuses.
func (g *Gate) refuse(limit *protocol.LimitError) {
	g.stats.Refused++
	if g.stats.RefusedBy == nil {
		g.stats.RefusedBy = make(map[string]uint64)
	}
	g.stats.RefusedBy[limit.Key()]++
}

// begin counts a set-up of the subnet and the source, or returns an error with the one that
// may not begin another now. It does not count a refused set-up.
func (g *Gate) begin(now time.Time, f From) *protocol.LimitError {
	source := rate{burst: g.l.SetupRate, every: time.Minute / time.Duration(g.l.SetupRate)}
	subnet := rate{burst: subnetSetups * source.burst, every: source.every / subnetSetups}
	if f.Subnet.IsValid() && !g.sources.has(now, f.Subnet, subnet) {
		return &protocol.LimitError{Name: "MaxSetupRatePerSource", Limit: subnet.burst, Scope: f.Subnet}
	}
	if !f.Source.IsValid() {
		return nil
	}
	if _, ok := g.sources.take(now, f.Source, source, 0); !ok {
		return &protocol.LimitError{Name: "MaxSetupRatePerSource", Limit: source.burst, Scope: f.Source}
	}
	if f.Subnet.IsValid() {
		g.sources.take(now, f.Subnet, subnet, 0)
	}
	return nil
}

// newcomers is the rate at which set-ups of unknown peers from exempt sources go on. With
// all places taken they wait for at most half a second, so that none stands still long
// enough to be ended. newcomersWait is the longest wait with any number of places.
var newcomers = rate{burst: 100, every: 5 * time.Millisecond}

const newcomersWait = 2 * time.Second

// Newcomer returns how long a set-up has to wait after its peer has proved a key that the
// node does not know. It returns 0 unless the source is exempt: other sources have their
// own limit.
func (g *Gate) Newcomer(now time.Time, id uint64) (wait time.Duration) {
	s, ok := g.setups[id]
	if !ok || s.from.Source.IsValid() {
		return 0
	}
	next, wait, ok := newcomers.take(now, g.newcomers, newcomersWait)
	if ok {
		g.newcomers = next
	}
	if wait > 0 {
		g.stats.Waited++
	}
	return wait
}

// toReplace returns the id of the set-up to end in favour of one from origin, 0 for none. It
// belongs to an origin with most set-ups, the new one included: to the new one's own origin
// if no other has more, so that an origin that opens many replaces only its own. Among the
// set-ups before the second handshake message and older than SetupGrace, toReplace chooses the
// least advanced, then the oldest; if there are none, one of the others without progress
// for SetupStands. It leaves all others: their peers have an answer and would take the end
// for a failure of this node.
//
// spec: V 8
func (g *Gate) toReplace(now time.Time, origin netip.Prefix) (id uint64) {
	most := 0
	for _, n := range g.origins {
		most = max(most, n)
	}
	mine := g.origins[origin]
	own := mine > 0 && mine+1 >= most
	var best *setup
	for i, s := range g.setups {
		if from := s.from.Origin; own && from != origin || !own && g.origins[from] != most || !s.replaceable(now) {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(s.stage, best.stage), s.since.Compare(best.since), cmp.Compare(i, id)) < 0 {
			best, id = s, i
		}
	}
	return id
}

func (s *setup) replaceable(now time.Time) bool {
	if s.stage < StageMessage2 {
		return now.Sub(s.since) > SetupGrace
	}
	return now.Sub(s.moved) > SetupStands
}

// Advance reports the stage of a set-up. It returns false if the set-up has left.
func (g *Gate) Advance(now time.Time, id uint64, to Stage) bool {
	s, ok := g.setups[id]
	if ok && to > s.stage {
		s.stage, s.moved = to, now
	}
	return ok
}

// Establish reports that a set-up is finished: it becomes a connection. If a limit is
// reached, it stays a set-up, and the caller must call Leave. With instead the caller is
// closing another connection for it; until that has ended there may be one connection too
// many.
func (g *Gate) Establish(id uint64, instead bool) (From, error) {
	s, ok := g.setups[id]
	if !ok {
		return From{}, &protocol.LimitError{Name: "MaxSetups", Limit: g.l.Setups}
	}
	err := g.room(s.from, false)
	if err == nil && g.all.conns >= g.l.Conns && !instead {
		err = &protocol.LimitError{Name: "MaxInbound", Limit: g.l.Conns}
	}
	if err != nil {
		return From{}, err
	}
	if instead {
		g.stats.Replaced++
	}
	g.Leave(id)
	g.count(s.from, tally{conns: 1})
	return s.from, nil
}

// Leave reports that a set-up has ended. It does nothing if the set-up has left before.
func (g *Gate) Leave(id uint64) {
	s, ok := g.setups[id]
	if !ok {
		return
	}
	delete(g.setups, id)
	if g.origins[s.from.Origin]--; g.origins[s.from.Origin] == 0 {
		delete(g.origins, s.from.Origin)
	}
	g.count(s.from, tally{setups: -1})
}

// OtherNetwork reports a connection whose first byte was not that of the node's network.
func (g *Gate) OtherNetwork() { g.stats.OtherNetwork++ }

// End reports that an established connection has ended.
func (g *Gate) End(f From) { g.count(f, tally{conns: -1}) }

// Stats returns the limits, the present numbers and the counters.
func (g *Gate) Stats() GateStats {
	s := g.stats
	s.Setups, s.Conns, s.MaxSetups, s.MaxInbound = g.all.setups, g.all.conns, g.l.Setups, g.l.Conns
	s.MaxSetupRate, s.RefusedBy = g.l.SetupRate, maps.Clone(g.stats.RefusedBy)
	return s
}

// room checks the limits per source and subnet.
func (g *Gate) room(f From, setup bool) *protocol.LimitError {
	for _, x := range []struct {
		name  string
		limit int
		used  int
		scope netip.Prefix
		only  bool // of set-ups
	}{
		{"MaxSetupsPerSource", g.l.SetupsPerSource, g.where[f.Source].setups, f.Source, true},
		{"MaxInboundPerSource", g.l.ConnsPerSource, g.where[f.Source].conns, f.Source, false},
		{"MaxSetupsPerSubnet", g.l.SetupsPerSubnet, g.where[f.Subnet].setups, f.Subnet, true},
		{"MaxInboundPerSubnet", g.l.ConnsPerSubnet, g.where[f.Subnet].conns, f.Subnet, false},
	} {
		if x.used >= x.limit && (setup || !x.only) {
			return &protocol.LimitError{Name: x.name, Limit: x.limit, Scope: x.scope}
		}
	}
	return nil
}

func (g *Gate) count(f From, by tally) {
	g.all = tally{g.all.setups + by.setups, g.all.conns + by.conns}
	for _, p := range []netip.Prefix{f.Source, f.Subnet} {
		if !p.IsValid() {
			continue
		}
		t := g.where[p]
		if t = (tally{t.setups + by.setups, t.conns + by.conns}); t == (tally{}) {
			delete(g.where, p)
		} else {
			g.where[p] = t
		}
	}
}
