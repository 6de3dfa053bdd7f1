package reach

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// court is a judge in a script: nodes that see this one somewhere and can or cannot reach it.
type court struct {
	*testing.T
	*Judge
	now   time.Time
	sees  map[byte]netip.Addr // by peer
	opens map[netip.AddrPort]bool
	asked []string
	lies  map[byte]bool // says that it has reached this node
	fails map[byte]bool // gives no answer to where it sees this node
	seen  []byte        // who was asked that
}

func newCourt(t *testing.T) *court {
	return &court{
		T: t, Judge: NewJudge(rand.NewChaCha8([32]byte{1})), now: time.Unix(1e9, 0),
		sees: map[byte]netip.Addr{}, opens: map[netip.AddrPort]bool{}, lies: map[byte]bool{}, fails: map[byte]bool{},
	}
}

func (c *court) do(a Asks) {
	for _, peer := range a.Observe {
		c.seen = append(c.seen, peer[0])
		if c.fails[peer[0]] {
			c.do(c.Unobserved(c.now, peer, 1))
			continue
		}
		c.do(c.Observed(c.now, peer, 1, c.sees[peer[0]]))
	}
	for _, r := range a.Dial {
		peer := r.Peer[0]
		to := netip.AddrPortFrom(c.sees[peer], r.Port)
		c.asked = append(c.asked, fmt.Sprintf("%d:%s", peer, to))
		switch {
		case c.lies[peer]:
			c.do(c.Answered(c.now, r, OK))
		case c.opens[to]:
			c.do(c.Came(c.now, r.Token))
			c.do(c.Answered(c.now, r, OK))
		default:
			c.now = c.now.Add(BackLimit)
			c.do(c.Answered(c.now, r, Failed))
		}
	}
}

// peer has this node connect to another one, of a network of its own or another's.
func (c *court) peer(id byte, network string, sees string) { c.meets(id, network, sees, true) }

// stranger has another node connect to this one.
func (c *court) stranger(id byte, network string, sees string) { c.meets(id, network, sees, false) }

func (c *court) meets(id byte, network string, sees string, dialled bool) {
	c.sees[id] = netip.Addr{}
	if sees != "" {
		c.sees[id] = netip.MustParseAddr(sees)
	}
	c.do(c.Met(c.now, Observer{ID: identity.NodeID{id}, Conn: 1, Network: NetworkOf(netip.MustParseAddr(network)), Dialled: dialled}))
}

// pass lets time pass.
func (c *court) pass(d time.Duration) {
	for end := c.now.Add(d); c.now.Before(end); {
		if due := c.Due(c.now); due.After(c.now) && due.Before(end) {
			c.now = due
		} else {
			c.now = c.now.Add(time.Second)
		}
		c.do(c.Look(c.now))
	}
}

func (c *court) says(want ...string) {
	c.Helper()
	var got []string
	for _, v := range c.Judged(c.now) {
		s := fmt.Sprintf("%s %s", v.Addr, v.Verdict)
		if v.By > 0 {
			s += fmt.Sprintf(" by %d", v.By)
		}
		if v.Why != "" {
			s += ": " + v.Why
		}
		got = append(got, s)
	}
	if !slices.Equal(got, want) {
		c.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (c *court) proven(want string) {
	c.Helper()
	if got := fmt.Sprint(c.Proven()); got != want {
		c.Errorf("proven: got %s, want %s", got, want)
	}
}

var (
	private = netip.MustParseAddrPort("10.0.0.2:18189")
	public  = netip.MustParseAddrPort("203.0.113.7:18189")
)

func (c *court) home(claimed ...netip.AddrPort) {
	c.do(c.Set(c.now, []netip.Addr{private.Addr(), netip.MustParseAddr("127.0.0.1")}, claimed, []uint16{private.Port()}))
}

// TestForwardedPort: a node behind a router whose port is forwarded learns its public address; one
// node that says so is not enough.
func TestForwardedPort(t *testing.T) {
	c := newCourt(t)
	c.home(private)
	c.says("10.0.0.2:18189 not known: no node that can check it is connected")
	c.opens[public] = true
	c.peer(1, "198.51.100.1", "203.0.113.7")
	c.says("10.0.0.2:18189 not known: connected nodes see this one at 203.0.113.7", "203.0.113.7:18189 reachable by 1")
	c.proven("[]")
	c.peer(2, "198.51.100.2", "203.0.113.7") // of the same network
	c.proven("[]")
	c.peer(3, "192.0.2.1", "203.0.113.7")
	c.proven("[203.0.113.7:18189]")
	c.asked = nil
	c.pass(29 * time.Minute)
	if len(c.asked) > 0 {
		t.Errorf("got %v asked again within half an hour, want nobody", c.asked)
	}
	c.pass(2 * time.Minute)
	if len(c.asked) != 1 {
		t.Errorf("got %v asked after half an hour, want one", c.asked)
	}
	c.opens[public] = false
	c.pass(40 * time.Minute)
	c.says("10.0.0.2:18189 not known: connected nodes see this one at 203.0.113.7", "203.0.113.7:18189 not reachable by 3")
	c.proven("[]")
}

// TestClosedPort: nobody can reach a node; that is known within 30 s, and looked at again.
func TestClosedPort(t *testing.T) {
	for name, networks := range map[string][]string{
		"one node":       {"198.51.100.1"},
		"two networks":   {"198.51.100.1", "192.0.2.1"},
		"three networks": {"198.51.100.1", "192.0.2.1", "8.8.8.8"},
		"four nodes":     {"198.51.100.1", "198.51.100.2", "192.0.2.1", "192.0.2.2"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCourt(t)
			c.Judge.Set(c.now, nil, []netip.AddrPort{public}, []uint16{public.Port()})
			began := c.now
			for i, n := range networks {
				c.peer(byte(i+1), n, "203.0.113.7")
			}
			for c.Judged(c.now)[0].Verdict != protocol.Unreachable && c.now.Sub(began) < time.Minute {
				c.pass(time.Second)
			}
			if took := c.now.Sub(began); took > 30*time.Second {
				t.Errorf("got the verdict after %v, want at most 30s", took)
			}
			c.opens[public] = true
			c.pass(11 * time.Minute)
			c.says("203.0.113.7:18189 reachable by 1")
		})
	}
}

// TestStrangersSayNo: strangers who say that they cannot reach a node are believed when one agrees that this node has chosen.
func TestStrangersSayNo(t *testing.T) {
	c := newCourt(t)
	c.home(public)
	for i := range byte(3) {
		c.stranger(i+1, fmt.Sprintf("%d.0.0.1", 20+i), "203.0.113.7")
	}
	c.pass(2 * time.Hour)
	c.says("203.0.113.7:18189 not known: nodes that this one has not chosen say that they could not")
	if n := len(c.asked); n > 3*3*12+10 {
		t.Errorf("got %d asked in two hours, want them to rest", n)
	}
	c.peer(9, "198.51.100.1", "203.0.113.7")
	c.pass(11 * time.Minute)
	if v := c.Judged(c.now)[0]; v.Verdict != protocol.Unreachable {
		t.Errorf("got %+v when a node agrees that this one has dialled, want not reachable", v)
	}
	for i := range byte(100) { // strangers leave a place to those whom this node has chosen
		c.stranger(100+i, fmt.Sprintf("%d.0.0.1", 20+i), "203.0.113.7")
	}
	if !slices.ContainsFunc(c.Judge.asked, func(p *observer) bool { return p.ID == (identity.NodeID{9}) }) || len(c.Judge.asked) > maxObservers {
		t.Errorf("got %d asked, want at most %d, and among them the one that was dialled", len(c.Judge.asked), maxObservers)
	}
}

// TestEntered: nobody says that a node cannot be reached while a connection from elsewhere is there, or was of late.
func TestEntered(t *testing.T) {
	public := netip.MustParseAddrPort("12.1.0.7:18189")
	elsewhere, near, lan := netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("12.1.9.9"), netip.MustParseAddr("10.0.0.9")
	for name, x := range map[string]struct {
		own  []netip.Addr // of interfaces
		from netip.Addr
		to   netip.Addr
		want bool
	}{
		"to the address itself":       {[]netip.Addr{public.Addr()}, elsewhere, public.Addr(), true},
		"from the same network":       {[]netip.Addr{public.Addr()}, near, public.Addr(), false},
		"from this machine":           {[]netip.Addr{public.Addr(), elsewhere}, elsewhere, public.Addr(), false},
		"to another address":          {[]netip.Addr{public.Addr(), private.Addr()}, elsewhere, private.Addr(), false},
		"through a router":            {[]netip.Addr{private.Addr()}, elsewhere, private.Addr(), true},
		"from before the same router": {[]netip.Addr{private.Addr()}, lan, private.Addr(), false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCourt(t)
			c.do(c.Set(c.now, x.own, []netip.AddrPort{public}, []uint16{public.Port()}))
			c.sees[5] = public.Addr()
			c.do(c.Met(c.now, Observer{ID: identity.NodeID{5}, Conn: 55, Network: NetworkOf(x.from)}))
			c.do(c.Observed(c.now, identity.NodeID{5}, 55, public.Addr()))
			c.Entered(identity.NodeID{5}, 55, x.from, x.to)
			c.peer(1, "198.51.100.1", "12.1.0.7")
			c.peer(2, "192.0.2.1", "12.1.0.7")
			verdict := func() bool { return c.Judged(c.now)[0].Verdict == protocol.Unreachable }
			c.pass(3 * time.Hour)
			if got := verdict(); got == x.want {
				t.Fatalf("got %+v, asked %v", c.Judged(c.now)[0], c.asked)
			}
			c.Over(c.now, identity.NodeID{5}, 55)
			c.do(c.Left(c.now, identity.NodeID{5}, 55))
			c.pass(provenFor - time.Minute)
			if got := verdict(); got == x.want {
				t.Errorf("soon after its end: got not reachable: %v", got)
			}
			c.pass(30 * time.Minute)
			if !verdict() {
				t.Error("long after its end: got that it is not known, want not reachable")
			}
			if len(c.Judge.inbound) != 0 {
				t.Errorf("got %d connections remembered", len(c.Judge.inbound))
			}
		})
	}
}

// TestVerdictsHaveTheirTime: a verdict shows when it was found, and by whom, while nodes are asked
// again; a round that fails does not bring an earlier verdict back.
func TestVerdictsHaveTheirTime(t *testing.T) {
	c := newCourt(t)
	c.home(public)
	c.opens[public] = true
	c.peer(1, "198.51.100.1", "203.0.113.7")
	c.peer(2, "192.0.2.1", "203.0.113.7")
	reached := c.now
	c.pass(5 * time.Minute)
	c.opens[public] = false // the user removes the forwarding
	v := func() protocol.Reachability { return c.Judged(c.now)[0] }
	c.do(c.Again(c.now))
	for range 30 {
		if got := v(); got.Verdict == protocol.Reachable && !got.At.Equal(reached) {
			t.Fatalf("got %+v while nodes are asked again, want the time of the last success, %v", got, reached)
		}
		c.pass(time.Second)
	}
	c.says("203.0.113.7:18189 not reachable by 2")
	found := v().At
	for range 3 {
		c.do(c.Again(c.now))
		for range 40 {
			if got := v(); got.Verdict != protocol.Unreachable || got.By != 2 || got.At.Before(found) {
				t.Fatalf("got %+v, want that two could not connect, since %v", got, found)
			}
			c.pass(time.Second)
		}
	}
	c.opens[public] = true
	c.do(c.Again(c.now))
	c.pass(15 * time.Second)
	if got := v(); got.Verdict != protocol.Reachable || c.now.Sub(got.At) > 15*time.Second { // by one of the two, or by both
		t.Errorf("got %+v, want that it is reached again", got)
	}
}

// TestMendedSoon: after a verdict that nobody can reach an address it is tried again after a minute,
// and then ever more rarely.
func TestMendedSoon(t *testing.T) {
	c := newCourt(t)
	c.Judge.Set(c.now, nil, []netip.AddrPort{public}, []uint16{public.Port()})
	c.peer(1, "198.51.100.1", "203.0.113.7")
	began, rounds := c.now, []time.Duration{}
	for n := 0; c.now.Sub(began) < 40*time.Minute; c.pass(time.Second) {
		if len(c.asked) > n && len(c.asked)%2 == 1 { // two in a round
			rounds = append(rounds, c.now.Sub(began).Round(time.Minute))
		}
		n = len(c.asked)
	}
	t.Log(rounds)
	for i, want := range []time.Duration{0, 1, 3, 7, 15, 25, 35} {
		if i >= len(rounds) || rounds[i] < want*time.Minute-time.Minute || rounds[i] > want*time.Minute+2*time.Minute {
			t.Fatalf("got rounds after %v, want the one of index %d after about %d min", rounds, i, want)
		}
	}
	c.opens[public] = true
	c.pass(12 * time.Minute)
	c.says("203.0.113.7:18189 reachable by 1")
}

// TestDecliners: the connected nodes do not check addresses for others, and that is said.
func TestDecliners(t *testing.T) {
	j := NewJudge(rand.NewChaCha8([32]byte{1}))
	now := time.Unix(1e9, 0)
	j.Set(now, nil, []netip.AddrPort{public}, []uint16{public.Port()})
	peer := identity.NodeID{1}
	j.Met(now, Observer{ID: peer, Conn: 1, Network: NetworkOf(netip.MustParseAddr("198.51.100.1"))})
	a := j.Observed(now, peer, 1, public.Addr())
	if len(a.Dial) != 1 {
		t.Fatalf("got %+v, want one request", a)
	}
	j.Answered(now, a.Dial[0], Refused)
	if v := j.Judged(now)[0]; v.Why != "the connected nodes do not check addresses for others" {
		t.Errorf("got %+v", v)
	}
}

// TestLiar: a node that says that it has reached this one, and has not, changes nothing.
func TestLiar(t *testing.T) {
	c := newCourt(t)
	c.home(public)
	c.lies[1] = true
	c.peer(1, "198.51.100.1", "203.0.113.7")
	c.pass(time.Minute)
	c.says("203.0.113.7:18189 not known: no node has checked it yet")
	if len(c.asked) != 1 {
		t.Errorf("got %v asked, want the liar once", c.asked)
	}
	c.opens[public] = true
	c.peer(2, "192.0.2.1", "203.0.113.7")
	c.says("203.0.113.7:18189 reachable by 1")
}

// TestVerdictsEnd: without nodes that check it, a verdict ends.
func TestVerdictsEnd(t *testing.T) {
	for _, open := range []bool{true, false} {
		c := newCourt(t)
		c.home(public)
		c.opens[public] = open
		c.peer(1, "198.51.100.1", "203.0.113.7")
		c.pass(30 * time.Second)
		if v := c.Judged(c.now)[0].Verdict; (v == protocol.Reachable) != open || v == protocol.ReachNotKnown {
			t.Errorf("open %v: got %v", open, v)
		}
		c.do(c.Left(c.now, identity.NodeID{1}, 1))
		c.pass(provenFor + AgainUnreachable)
		c.says("203.0.113.7:18189 not known: no node that can check it is connected")
	}
}

// TestObserverFails: a peer that fails to say where it sees this node is asked again after a while, and at
// once by hand. One that says that it cannot tell is asked again by hand alone.
func TestObserverFails(t *testing.T) {
	c := newCourt(t)
	c.home(private)
	c.opens[public], c.fails[1] = true, true
	c.peer(1, "198.51.100.1", "203.0.113.7")
	c.peer(2, "192.0.2.1", "")
	c.peer(3, "203.0.112.1", "203.0.113.7")
	want := func(when string, want ...byte) {
		t.Helper()
		slices.Sort(c.seen) // several at once are in no order
		if !slices.Equal(c.seen, want) {
			t.Errorf("%s: got %v asked where they see this node, want %v", when, c.seen, want)
		}
		c.seen = nil
	}
	want("connected", 1, 2, 3)
	c.pass(ClockSoon - time.Second)
	want("before its time")
	c.pass(2 * time.Second)
	want("when it is time", 1)
	c.do(c.Again(c.now))
	want("by hand", 1, 2)
	c.fails[1] = false
	c.pass(10 * time.Minute)
	want("when it is time again", 1)
	c.pass(time.Hour)
	want("all have answered")
	c.do(c.Again(c.now))
	want("by hand again", 2)
	asks := c.Met(c.now, Observer{ID: identity.NodeID{4}, Conn: 1, Network: NetworkOf(netip.MustParseAddr("198.18.0.1"))})
	if again := c.Again(c.now); len(asks.Observe) != 1 || len(again.Observe) != 1 || again.Observe[0][0] != 2 {
		t.Errorf("got %v asked by hand while %v is asked, want the other one", again.Observe, asks.Observe)
	}
}

// TestOtherNetwork: when the machine's addresses change, everything is asked anew.
func TestOtherNetwork(t *testing.T) {
	c := newCourt(t)
	c.home(public)
	c.opens[public] = true
	c.peer(1, "198.51.100.1", "203.0.113.7")
	c.says("203.0.113.7:18189 reachable by 1")
	c.sees[1] = netip.MustParseAddr("203.0.113.9")
	c.do(c.Set(c.now, []netip.Addr{netip.MustParseAddr("192.168.1.2")}, []netip.AddrPort{public}, []uint16{18189}))
	c.says("203.0.113.7:18189 not known: connected nodes see this one at 203.0.113.9")
}

func TestLowPort(t *testing.T) {
	c := newCourt(t)
	c.do(c.Set(c.now, nil, []netip.AddrPort{netip.MustParseAddrPort("203.0.113.7:443")}, []uint16{443}))
	c.peer(1, "198.51.100.1", "203.0.113.7")
	c.says("203.0.113.7:443 not known: ports below 1024 are not checked")
	if len(c.asked) > 0 {
		t.Errorf("got %v asked, want nobody", c.asked)
	}
}

// TestAddressesWithoutEnd: nodes that come again and again, and see this one somewhere else each
// time, are not asked sooner for it, and leave nothing behind.
func TestAddressesWithoutEnd(t *testing.T) {
	c := newCourt(t)
	c.home(public)
	const networks, rounds = 30, 200
	for round := range rounds {
		for n := range networks {
			id := identity.NodeID{byte(n + 1)}
			conn := uint64(round + 1)
			sees := netip.AddrFrom4([4]byte{66, byte(n), byte(round), 1})
			a := c.Met(c.now, Observer{ID: id, Conn: conn, Network: NetworkOf(netip.AddrFrom4([4]byte{11, byte(100 + n), 0, 10}))})
			for range a.Observe {
				for _, r := range c.Observed(c.now, id, conn, sees).Dial {
					c.asked = append(c.asked, fmt.Sprint(n))
					c.Came(c.now, r.Token)
					c.Answered(c.now, r, OK)
				}
			}
			c.Left(c.now, id, conn)
		}
		c.now = c.now.Add(time.Second)
	}
	if most := networks * (rounds/int(AskPause/time.Second) + 2); len(c.asked) > most {
		t.Errorf("got %d dial-backs asked for in %d s, want at most %d: one of a network each %v", len(c.asked), rounds, most, AskPause)
	}
	if got := len(c.Judged(c.now)); got > maxKept+1 || len(c.targets) > maxKept+1 {
		t.Errorf("got %d addresses judged, and %d remembered, want at most %d", got, len(c.targets), maxKept+1)
	}
}

// TestKeptAddresses: of proven addresses where nobody sees this node any more only some stay.
func TestKeptAddresses(t *testing.T) {
	c := newCourt(t)
	c.home(private)
	for n := range byte(3 * maxKept) {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{81, 1, 1, n}), private.Port())
		c.opens[at] = true
		for i, network := range []string{"198.51.100.1", "192.0.2.1"} { // two networks: it is this node's
			c.peer(byte(i+1), network, at.Addr().String())
		}
		c.pass(15 * time.Second)
		for i := range byte(2) {
			c.do(c.Left(c.now, identity.NodeID{i + 1}, 1))
		}
	}
	if got := len(c.targets); got > maxKept+3 || got < maxKept {
		t.Errorf("got %d addresses remembered, want about %d", got, maxKept)
	}
}

// TestManyNodes: of many only some are asked.
func TestManyNodes(t *testing.T) {
	c := newCourt(t)
	c.home(public)
	for i := range byte(100) {
		c.peer(i+1, fmt.Sprintf("%d.0.0.1", i+1), "203.0.113.7")
	}
	c.pass(50 * time.Second) // a round
	if len(c.asked) < 3 || len(c.asked) > 5 {
		t.Errorf("got %d asked, want those of three networks", len(c.asked))
	}
}
