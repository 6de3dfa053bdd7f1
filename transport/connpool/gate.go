package connpool

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
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
}

func (l GateLimits) withDefaults() GateLimits {
	l.Setups = cmp.Or(l.Setups, 100)
	l.SetupsPerSource = cmp.Or(l.SetupsPerSource, 4)
	l.SetupsPerSubnet = cmp.Or(l.SetupsPerSubnet, 16)
	l.Conns = cmp.Or(l.Conns, 500)
	l.ConnsPerSource = cmp.Or(l.ConnsPerSource, 32)
	l.ConnsPerSubnet = cmp.Or(l.ConnsPerSubnet, 128)
	return l
}

// From is where an inbound connection comes from, as far as limits go: nested
// networks, the narrowest first. Both are zero for what is exempt.
type From struct{ Source, Subnet netip.Prefix }

// Gate counts what comes in. A connection that is let in is in set-up until it
// is established or ends. A Gate is not safe for concurrent use.
type Gate struct {
	l     GateLimits
	all   tally
	where map[netip.Prefix]tally
}

type tally struct{ setups, conns int }

// NewGate returns a gate that has let nobody in.
func NewGate(l GateLimits) *Gate {
	return &Gate{l: l.withDefaults(), where: make(map[netip.Prefix]tally)}
}

// Enter lets a connection into its set-up, or says which limit is reached. A
// source that has all the connections it may have is refused here already.
func (g *Gate) Enter(f From) error {
	if err := g.room(f, true); err != nil {
		return err
	}
	g.count(f, tally{setups: 1})
	return nil
}

// Establish says that a set-up is finished: it becomes a connection, unless one
// limit is reached; then it stays a set-up, and has to Leave.
func (g *Gate) Establish(f From) error {
	if err := g.room(f, false); err != nil {
		return err
	}
	g.count(f, tally{setups: -1, conns: 1})
	return nil
}

// Leave says that a set-up (established false) or a connection has ended.
func (g *Gate) Leave(f From, established bool) {
	if established {
		g.count(f, tally{conns: -1})
	} else {
		g.count(f, tally{setups: -1})
	}
}

// Counts returns the set-ups under way and the connections.
func (g *Gate) Counts() (setups, conns int) { return g.all.setups, g.all.conns }

func (g *Gate) room(f From, setup bool) error {
	for _, x := range []struct {
		name  string
		limit int
		used  tally
		scope netip.Prefix
		setup bool
	}{
		{"MaxSetups", g.l.Setups, g.all, netip.Prefix{}, true},
		{"MaxInbound", g.l.Conns, g.all, netip.Prefix{}, false},
		{"MaxSetupsPerSource", g.l.SetupsPerSource, g.where[f.Source], f.Source, true},
		{"MaxInboundPerSource", g.l.ConnsPerSource, g.where[f.Source], f.Source, false},
		{"MaxSetupsPerSubnet", g.l.SetupsPerSubnet, g.where[f.Subnet], f.Subnet, true},
		{"MaxInboundPerSubnet", g.l.ConnsPerSubnet, g.where[f.Subnet], f.Subnet, false},
	} {
		used := x.used.conns
		if x.setup {
			if !setup {
				continue
			}
			used = x.used.setups
		}
		if used >= x.limit {
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
