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

// TestClocksWide: a node whom nobody dials asks each peer that it has dialled once on its connection, and of strangers
// those alone whose word on the time counts.
func TestClocksWide(t *testing.T) {
	c := newClockwork(false)
	c.Wide = true
	meet := func(n, conn int, dialled bool) {
		at := netip.AddrFrom4([4]byte{11, 1, 0, byte(n)}) // all of one network
		c.Met(Observer{ID: numbered(n), Conn: uint64(conn), Network: NetworkOf(at), Dialled: dialled}, at)
		c.Again(numbered(n))
	}
	for n := range 5 {
		meet(n, n, true)
	}
	for n := range 5 {
		meet(10+n, 10+n, false)
	}
	if ask, _ := c.Ask(c.now); len(ask) != 5 {
		t.Errorf("got %d asked, want the five that were dialled", len(ask))
	}
	if ask, _ := c.Ask(c.now.Add(time.Second)); len(ask) != 0 {
		t.Errorf("got %d asked again at once, want none", len(ask))
	}
	meet(3, 20, true)
	if ask, _ := c.Ask(c.now.Add(2 * time.Second)); len(ask) != 1 || ask[0] != numbered(3) {
		t.Errorf("got %v asked, want the one with a new connection", ask)
	}
}

// words is another node with the identity of one that has started at start.
type words struct {
	t     *testing.T
	d     *Duplicate
	start time.Time
	now   time.Time
	wall  time.Time
}

func newWords(t *testing.T, private bool) *words {
	start := time.Unix(1e9, 0)
	return &words{t, NewDuplicate(start, start, private), start, start.Add(time.Hour), start.Add(time.Hour)}
}

func dialledAt(at string) Observer {
	return Observer{Network: NetworkOf(netip.MustParseAddr(at)), Dialled: true}
}

// heard has an observer at an address show a claim that was signed a while after the start.
func (w *words) heard(what string, o Observer, at string, age, signed time.Duration, want Proof) {
	w.t.Helper()
	x := &Other{Age: age}
	x.Claim.Signature.UpdatedAt = w.start.Add(signed).Unix()
	if got := w.d.Heard(w.now, w.wall, o, netip.MustParseAddr(at), x); got != want {
		w.t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// TestDuplicate: a claim that was signed since the start proves another node. An older one is a hint if two networks of
// dialled peers show it, and proof if a peer does that the user has named.
func TestDuplicate(t *testing.T) {
	const old = -time.Hour
	w := newWords(t, false)
	w.heard("of the last run, whose connection is older than this node", dialledAt("11.1.0.1"), "11.1.0.1", time.Hour, old, NoProof)
	w.heard("seen too long ago", dialledAt("11.1.0.1"), "11.1.0.1", DuplicateFor+time.Second, time.Minute, NoProof)
	w.heard("older, of one network", dialledAt("11.1.0.1"), "11.1.0.1", time.Second, old, NoProof)
	w.heard("the same network again", dialledAt("11.1.9.1"), "11.1.9.1", time.Second, old, NoProof)
	w.heard("the same machine over IPv6", dialledAt("2a01::1"), "2a01::1", time.Second, old, NoProof)
	for _, at := range []string{"11.2.0.1", "11.3.0.1", "11.4.0.1"} {
		w.heard("a stranger", Observer{Network: NetworkOf(netip.MustParseAddr(at))}, at, time.Second, old, NoProof)
	}
	if _, _, p := w.d.Present(w.now); p != NoProof {
		t.Error("got another node, want none")
	}
	w.heard("of a second network", dialledAt("11.5.0.1"), "11.5.0.1", time.Second, old, Hinted)
	if _, at, p := w.d.Present(w.now); p != Hinted || !at.Equal(w.now) {
		t.Errorf("got %v, %v, want a hint", at, p)
	}
	w.now, w.wall = w.now.Add(DuplicateFor+time.Second), w.wall.Add(DuplicateFor+time.Second)
	if _, _, p := w.d.Present(w.now); p != NoProof {
		t.Error("ten minutes later: got another node, want none")
	}
	w.heard("a word of long ago, and a new one", dialledAt("11.6.0.1"), "11.6.0.1", time.Second, old, NoProof)
	w.heard("signed since the start, shown by a stranger", Observer{}, "11.7.0.1", time.Second, time.Minute, Proven)
	w.heard("older, of a second network", dialledAt("11.8.0.1"), "11.8.0.1", time.Second, old, Hinted)
	if _, _, p := w.d.Present(w.now); p != Proven {
		t.Errorf("got %v, want the proof", p)
	}
	w = newWords(t, false)
	w.heard("older, seen by a peer that the user has named", Observer{Trusted: true}, "11.1.0.1", time.Second, old, Proven)
	w = newWords(t, false)
	w.now = w.start.Add(20 * time.Second)
	w.heard("made while this node started", Observer{Trusted: true}, "11.1.0.1", 10*time.Second, time.Second, NoProof)
	w.now = w.start.Add(time.Hour)
	for i := range 1000 {
		at := netip.AddrFrom4([4]byte{11, byte(i), 0, 1})
		w.d.Heard(w.now, w.wall, Observer{Network: NetworkOf(at), Dialled: true}, at, &Other{Age: time.Second})
	}
	if len(w.d.words) > maxWords {
		t.Errorf("got %d words kept, want at most %d", len(w.d.words), maxWords)
	}
}

// TestDuplicatePrivate: on a network that takes private addresses each machine is a source.
func TestDuplicatePrivate(t *testing.T) {
	w := newWords(t, true)
	w.heard("one machine", dialledAt("10.0.0.1"), "10.0.0.1", time.Second, -time.Hour, NoProof)
	w.heard("another one", dialledAt("10.0.0.2"), "10.0.0.2", time.Second, -time.Hour, Hinted)
}

// TestDuplicateOfAWrongClock: a claim of the last run is no proof, whatever the clock of this machine was at the start.
func TestDuplicateOfAWrongClock(t *testing.T) {
	year := 365 * 24 * time.Hour
	last := newWords(t, false) // its clock is a year behind at the start
	last.d = NewDuplicate(last.start, last.start.Add(-year), false)
	last.wall = last.now.Add(-year)
	last.heard("before the clock is set", Observer{}, "11.1.0.1", time.Second, -time.Minute, NoProof)
	last.wall = last.now
	last.heard("after it was set", Observer{}, "11.1.0.1", time.Second, -time.Minute, NoProof)
	last.heard("signed since the start", Observer{}, "11.1.0.1", time.Second, time.Minute, Proven)

	last = newWords(t, false) // a day ahead in the last run, and at the start
	last.d = NewDuplicate(last.start, last.start.Add(24*time.Hour), false)
	last.heard("dated by the clock of then", Observer{}, "11.1.0.1", time.Second, 24*time.Hour-time.Minute, NoProof)
	last.now, last.wall = last.now.Add(24*time.Hour), last.wall.Add(24*time.Hour)
	last.heard("a day later", Observer{}, "11.1.0.1", time.Second, 24*time.Hour-time.Minute, NoProof)
}
