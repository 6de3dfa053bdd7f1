package reach

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// clockwork is what connected nodes say of the time, each of a network of its own unless an address
// says otherwise.
type clockwork struct {
	*Clocks
	now time.Time
	n   int
}

func newClockwork(private bool) *clockwork {
	return &clockwork{NewClocks(private), time.Unix(1e9, 0), 0}
}

func numbered(n int) (id identity.NodeID) {
	binary.BigEndian.PutUint32(id[:], uint32(n))
	return id
}

// node has a node connect that says that this machine is ahead.
func (c *clockwork) node(at string, dialled, trusted bool, ahead time.Duration) identity.NodeID {
	c.n++
	ip := netip.MustParseAddr(at)
	o := Observer{ID: numbered(c.n), Conn: uint64(c.n), Network: NetworkOf(ip), Dialled: dialled, Trusted: trusted}
	c.Met(o, ip)
	c.answer(ahead)
	return o.ID
}

// answer has the peers answer that are asked.
func (c *clockwork) answer(ahead time.Duration) (asked int) {
	ask, _ := c.Ask(c.now)
	for _, peer := range ask {
		c.Heard(c.now, peer, ahead, true)
	}
	return len(ask)
}

func (c *clockwork) want(t *testing.T, what string, ahead time.Duration, sources int, ok bool) {
	t.Helper()
	if got, n, is := c.Ahead(c.now); got != ahead || n != sources || is != ok {
		t.Errorf("%s: got %v ahead by %d sources, %v; want %v, %d, %v", what, got, n, is, ahead, sources, ok)
	}
}

func TestClocks(t *testing.T) {
	c := newClockwork(false)
	c.want(t, "alone", 0, 0, false)
	c.node("11.1.0.1", true, false, time.Minute)
	c.node("11.1.0.2", true, false, time.Hour) // of the same network: no second word
	c.node("11.2.0.1", true, false, 2*time.Minute)
	c.want(t, "two sources", 0, 2, false)
	c.node("11.3.0.1", true, false, -time.Hour)
	c.want(t, "three sources", time.Minute, 3, true)
	c.node("11.4.0.1", true, false, 3*time.Minute)
	c.want(t, "an even number: the middle one nearer to right", time.Minute, 4, true)
	c.now = c.now.Add(clockFor + time.Second)
	c.want(t, "what was said long ago", 0, 0, false)
	if n := c.answer(0); n != 4 {
		t.Errorf("got %d asked again, want the four whose word counts", n)
	}
	c.want(t, "asked again", 0, 4, true)
	c.Forget()
	c.want(t, "the clock was set", 0, 0, false)
	if n := c.answer(time.Second); n != 4 {
		t.Errorf("got %d asked after the clock was set, want four", n)
	}
	if n := c.answer(time.Second); n != 0 {
		t.Errorf("got %d asked twice, want none", n)
	}
	c.Left(numbered(4), 4)
	c.Left(numbered(5), 99) // of an earlier connection
	c.want(t, "one has left", time.Second, 3, true)
}

// TestClocksLiars: nodes that call this one do not move the time of those that it has dialled,
// however many they are; nor do fewer than half of these.
func TestClocksLiars(t *testing.T) {
	c := newClockwork(false)
	for _, at := range []string{"12.1.0.1", "12.2.0.1", "12.3.0.1", "12.4.0.1", "12.5.0.1"} {
		c.node(at, false, false, time.Hour)
	}
	c.want(t, "only callers", time.Hour, 5, true)
	for i, at := range []string{"11.1.0.1", "11.2.0.1", "11.3.0.1"} {
		c.node(at, true, false, time.Duration(i)*time.Second)
	}
	c.want(t, "three that were dialled", time.Second, 3, true)
	c.node("11.4.0.1", true, false, time.Hour)
	c.node("11.5.0.1", true, false, time.Hour)
	c.want(t, "two liars of five", 2*time.Second, 5, true)
	opposite := newClockwork(false)
	for i, at := range []string{"11.1.0.1", "11.2.0.1", "11.3.0.1", "11.4.0.1"} {
		opposite.node(at, true, false, []time.Duration{-time.Hour, -time.Minute, time.Minute, time.Hour}[i])
	}
	opposite.want(t, "no majority", 0, 4, true)
}

// TestClocksOfOnesOwn: on a network of one's own each machine has a word, and on every network each node
// that the user has named.
func TestClocksOfOnesOwn(t *testing.T) {
	c := newClockwork(true)
	c.node("10.0.0.1", false, false, time.Minute)
	c.node("10.0.0.2", false, false, time.Minute)
	c.want(t, "two machines of a private network", time.Minute, 2, true)
	public := newClockwork(false)
	for range 3 {
		public.node("10.0.0.1", false, false, time.Minute)
	}
	public.want(t, "machines of a private network on a public one", 0, 1, false)
	for _, at := range []string{"11.1.0.1", "11.1.0.2", "11.1.0.3"} {
		public.node(at, true, true, time.Minute)
	}
	public.want(t, "three that the user has named", time.Minute, 3, true)
}

// TestClocksBounded: no more than maxClocks are asked, and one that does not answer soon again.
func TestClocksBounded(t *testing.T) {
	c := newClockwork(false)
	for i := range 40 {
		c.Met(Observer{ID: numbered(i), Conn: uint64(i), Network: NetworkOf(netip.AddrFrom4([4]byte{11, byte(i), 0, 1}))}, netip.AddrFrom4([4]byte{11, byte(i), 0, 1}))
	}
	ask, again := c.Ask(c.now)
	if len(ask) != maxClocks || !again.Equal(c.now.Add(ClockSoon)) {
		t.Errorf("got %d asked, and again in %v; want %d, in %v", len(ask), again.Sub(c.now), maxClocks, ClockSoon)
	}
	c.Heard(c.now, ask[0], 0, false)
	c.now = again
	if ask, _ := c.Ask(c.now); len(ask) != maxClocks {
		t.Errorf("got %d asked again, want all that have not answered", len(ask))
	}
	again = c.now
	for _, id := range ask {
		c.Heard(c.now, id, 0, true)
	}
	if ask, next := c.Ask(c.now); len(ask) != 0 || !next.Equal(again.Add(ClockAgain)) {
		t.Errorf("got %d asked, and again in %v; want none, in %v", len(ask), next.Sub(c.now), ClockAgain)
	}
}

// TestDuplicate: a claim that was signed since the start proves another node; an older one takes two
// networks, or a peer that the user has named.
func TestDuplicate(t *testing.T) {
	start := time.Unix(1e9, 0)
	from := func(at string) Observer { return Observer{Network: NetworkOf(netip.MustParseAddr(at))} }
	other := func(age, signed time.Duration) *Other {
		o := &Other{Age: age}
		o.Claim.Signature.UpdatedAt = start.Add(signed).Unix()
		return o
	}
	d := NewDuplicate(start, start)
	now := start.Add(time.Hour)
	heard := func(what string, o Observer, c *Other, want bool) {
		t.Helper()
		if got := d.Heard(now, o, c); got != want {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	heard("of the last run, whose connection is older than this node", from("11.1.0.1"), other(time.Hour, -time.Hour), false)
	heard("seen too long ago", from("11.1.0.1"), other(DuplicateFor+time.Second, time.Minute), false)
	if _, _, ok := d.Present(now); ok {
		t.Error("got another node, want none")
	}
	heard("older, of one network", from("11.1.0.1"), other(time.Second, -time.Hour), false)
	heard("the same network again", from("11.1.9.1"), other(time.Second, -time.Hour), false)
	heard("of a second network", from("11.2.0.1"), other(time.Second, -time.Hour), true)
	if _, at, ok := d.Present(now); !ok || !at.Equal(now) {
		t.Errorf("got %v, %v, want another node", at, ok)
	}
	now = now.Add(DuplicateFor + time.Second)
	if _, _, ok := d.Present(now); ok {
		t.Error("ten minutes later: got another node, want none")
	}
	heard("a word of long ago, and a new one", from("11.3.0.1"), other(time.Second, -time.Hour), false)
	heard("signed since the start", from("11.4.0.1"), other(time.Second, time.Minute), true)
	d = NewDuplicate(start, start)
	heard("older, seen by a peer that the user has named", Observer{Trusted: true}, other(time.Second, -time.Hour), true)
	d, now = NewDuplicate(start, start), start.Add(20*time.Second)
	heard("made while this node started", Observer{Trusted: true}, other(10*time.Second, time.Second), false)
	for i := range 1000 {
		d.Heard(now.Add(time.Hour), Observer{Network: NetworkOf(netip.AddrFrom4([4]byte{11, byte(i), 0, 1}))}, other(time.Second, -time.Hour))
	}
	if len(d.words) > maxWords {
		t.Errorf("got %d words kept, want at most %d", len(d.words), maxWords)
	}
}
