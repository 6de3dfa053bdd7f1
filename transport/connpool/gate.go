package connpool

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// ErrLimit is what every [LimitError] matches.
var ErrLimit = errors.New("connpool: limit reached")

// LimitError says which limit refused an inbound connection.
type LimitError struct {
	Name  string       // of the setting
	Limit int          // its value
	Scope netip.Prefix // who shares it; the zero value: everybody
}

// Error names the limit, its value, and whose it is.
func (e *LimitError) Error() string {
	if e.Scope.IsValid() {
		return fmt.Sprintf("connpool: limit %s (%d) of %s reached", e.Name, e.Limit, e.Scope)
	}
	return fmt.Sprintf("connpool: limit %s (%d) reached", e.Name, e.Limit)
}

// Is makes every LimitError match ErrLimit.
func (e *LimitError) Is(target error) bool { return target == ErrLimit }

// GateLimits bound inbound set-ups under way and inbound connections: in all, of
// one source (an IPv4 address or an IPv6 /64), and of one subnet (an IPv4 /24 or
// an IPv6 /48). Zero fields have the defaults named.
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

// SetupRate is how many set-ups of one source begin in a minute unless said otherwise.
const SetupRate = 120

// subnetSetups is how many times the set-ups of a source those of a subnet may be.
const subnetSetups = 4

// When a set-up may give way to a new one, all places being taken.
const (
	// SetupGrace is the age up to which a set-up keeps its place: what an honest
	// peer far away needs until the second handshake message.
	SetupGrace = 250 * time.Millisecond
	// SetupStands is for how long a set-up after the second handshake message may
	// make no progress before it may give way as well.
	SetupStands = 2 * time.Second
)

// From is where an inbound connection comes from, as far as limits go: nested
// networks, the narrowest first. Both are zero for what is exempt.
type From struct {
	Source, Subnet netip.Prefix
	// Origin is who it is counted with when a set-up has to give way, of exempt
	// sources too: Source where there is one, loopback as a whole, everything
	// without an IP address as a whole (the zero value).
	Origin netip.Prefix
}

// Stage is how far a set-up has come.
type Stage uint8

// The stages of a set-up, in order.
const (
	StageEntered  Stage = iota // nothing was read
	StageHeard                 // something was read, the wire byte at least
	StageMessage2              // the second handshake message is on its way
	StageProved                // the peer has proved its key
)

// Gate counts what comes in. A connection that is let in is in set-up until it
// is established or ends. When all places for set-ups are taken one of them gives
// way to the next, so that whoever holds them keeps nobody out. A Gate is not safe
// for concurrent use.
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
	// newcomers is when those of exempt sources have their whole burst again.
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

// GateStats is what a gate has done. Setups and Conns are of now.
type GateStats struct {
	Setups, Conns         int
	MaxSetups, MaxInbound int
	MaxSetupRate          int    // set-ups of a source in a minute
	GaveWay               uint64 // set-ups that a newer one took the place of
	Refused               uint64 // connections and set-ups for which there was no place
	TooFast               uint64 // of Refused: those of a source or subnet that had begun too many
	Waited                uint64 // set-ups of unknown peers from exempt sources that had to wait
	Replaced              uint64 // connections that one just set up took the place of
}

// NewGate returns a gate that has let nobody in.
func NewGate(l GateLimits) *Gate {
	return &Gate{
		l: l.withDefaults(), where: make(map[netip.Prefix]tally),
		setups: make(map[uint64]*setup), origins: make(map[netip.Prefix]int),
	}
}

// Enter lets a connection into its set-up, which gets the id, or says which limit
// is reached. A source that has all the connections it may have is refused here
// already. When all places are taken, gone is the id of the set-up that gives way:
// it has left, and whoever carries it out closes it. 0: none.
func (g *Gate) Enter(now time.Time, f From) (id, gone uint64, err error) {
	if err := g.room(f, true); err != nil {
		g.stats.Refused++
		return 0, 0, err
	}
	if len(g.setups) >= g.l.Setups {
		if gone = g.loser(now, f.Origin); gone == 0 {
			g.stats.Refused++
			return 0, 0, &LimitError{Name: "MaxSetups", Limit: g.l.Setups}
		}
	}
	if err := g.begin(now, f); err != nil {
		g.stats.Refused++
		g.stats.TooFast++
		return 0, 0, err
	}
	if gone != 0 {
		g.stats.GaveWay++
		g.Leave(gone)
	}
	g.last++
	g.setups[g.last] = &setup{from: f, since: now, moved: now}
	g.origins[f.Origin]++
	g.count(f, tally{setups: 1})
	return g.last, gone, nil
}

// begin takes one of the set-ups that the subnet and the source may begin now, or says
// which of them has none left. One that is refused is not counted.
func (g *Gate) begin(now time.Time, f From) error {
	source := rate{burst: g.l.SetupRate, every: time.Minute / time.Duration(g.l.SetupRate)}
	subnet := rate{burst: subnetSetups * source.burst, every: source.every / subnetSetups}
	if f.Subnet.IsValid() && !g.sources.has(now, f.Subnet, subnet) {
		return &LimitError{"MaxSetupRatePerSource", subnet.burst, f.Subnet}
	}
	if !f.Source.IsValid() {
		return nil
	}
	if _, ok := g.sources.take(now, f.Source, source, 0); !ok {
		return &LimitError{"MaxSetupRatePerSource", source.burst, f.Source}
	}
	if f.Subnet.IsValid() {
		g.sources.take(now, f.Subnet, subnet, 0)
	}
	return nil
}

// newcomers is how fast set-ups from exempt sources go on whose peers nobody knows. All
// places for set-ups together wait for at most half a second, so that none stands still
// for long enough to give way. newcomersWait is the longest that one waits, however
// many places there are.
var newcomers = rate{burst: 100, every: 5 * time.Millisecond}

const newcomersWait = 2 * time.Second

// Newcomer returns for how long a set-up waits before it goes on, whose peer has proved
// a key that the node does not know. It is 0 unless the source is exempt: others have
// a limit of their own.
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

// loser is the set-up that gives way to one from origin, 0 for none. It is of the
// source that has most of them, the new one included: the new one's own if no
// other has more, so that who comes again and again replaces only itself; else of
// all that have most. Of those before the second handshake message and older than
// SetupGrace it is the least advanced, then the oldest; when there are none, of the
// others that have made no progress for SetupStands. The rest stays: the peer has
// been answered and would take the end for a failure of this node.
//
// spec: V 8
func (g *Gate) loser(now time.Time, origin netip.Prefix) (id uint64) {
	most := 0
	for _, n := range g.origins {
		most = max(most, n)
	}
	mine := g.origins[origin]
	own := mine > 0 && mine+1 >= most
	var best *setup
	for i, s := range g.setups {
		if from := s.from.Origin; own && from != origin || !own && g.origins[from] != most || !s.mayGo(now) {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(s.stage, best.stage), s.since.Compare(best.since), cmp.Compare(i, id)) < 0 {
			best, id = s, i
		}
	}
	return id
}

func (s *setup) mayGo(now time.Time) bool {
	if s.stage < StageMessage2 {
		return now.Sub(s.since) > SetupGrace
	}
	return now.Sub(s.moved) > SetupStands
}

// Advance says how far a set-up has come. It returns false if it has left.
func (g *Gate) Advance(now time.Time, id uint64, to Stage) bool {
	s, ok := g.setups[id]
	if ok && to > s.stage {
		s.stage, s.moved = to, now
	}
	return ok
}

// Establish says that a set-up is finished: it becomes a connection, unless one
// limit is reached; then it stays a set-up, and has to Leave. With instead an
// established connection ends for it, which leaves when it has, so that of all
// connections there may be one too many for that long.
func (g *Gate) Establish(id uint64, instead bool) (From, error) {
	s, ok := g.setups[id]
	if !ok {
		return From{}, &LimitError{Name: "MaxSetups", Limit: g.l.Setups}
	}
	err := g.room(s.from, false)
	if err == nil && g.all.conns >= g.l.Conns && !instead {
		err = &LimitError{Name: "MaxInbound", Limit: g.l.Conns}
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

// Leave says that a set-up is over. One that has left before changes nothing.
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

// End says that a connection that was established has ended.
func (g *Gate) End(f From) { g.count(f, tally{conns: -1}) }

// Stats returns what there is and what was done.
func (g *Gate) Stats() GateStats {
	s := g.stats
	s.Setups, s.Conns, s.MaxSetups, s.MaxInbound = g.all.setups, g.all.conns, g.l.Setups, g.l.Conns
	s.MaxSetupRate = g.l.SetupRate
	return s
}

// room checks the limits per source and subnet.
func (g *Gate) room(f From, setup bool) error {
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
			return &LimitError{x.name, x.limit, x.scope}
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
