package peerstore

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// ip4 is the origin of the n-th of many addresses.
func ip4(n uint32) Origin { return Origin(1<<32 + 0x08000000 + uint64(n)) }

// from is a signed peer that came in from there.
func from(n uint64, o Origin) Peer {
	p := FromClaim(claim(key(n), 1, a1), PeerConnection)
	p.Origin = o
	return p
}

// wantThere checks which of the peers with these numbers are in the store.
func wantThere(t *testing.T, s *Store, what string, want bool, numbers ...uint64) {
	t.Helper()
	for _, n := range numbers {
		if _, ok := s.View().ByKey(key(n)); ok != want {
			t.Errorf("%s, number %d: got it there %t, want %t", what, n, ok, want)
		}
	}
}

// TestOneSourceFillsTheStore has one address set up ever new identities, fifty
// times as many as the store holds: peers that came from elsewhere, older ones
// than those of the flood, stay, and so does what other peers' lists taught.
//
// conforms: V 31
func TestOneSourceFillsTheStore(t *testing.T) {
	const limit = 200
	s := open(t, kv.Memory(), Options{MaxPeers: limit})
	add(t, s, begin, from(1, ip4(1)))
	add(t, s, begin, from(2, ip4(2)))
	add(t, s, begin, from(3, ip4(2)))
	add(t, s, begin, from(4, ExemptOrigin))
	add(t, s, begin, FromClaim(claim(key(5), 1, a1), Discovery))
	for i := range uint64(10_000) {
		add(t, s, begin.Add(time.Duration(i)*time.Millisecond), from(1000+i, ip4(666)))
		if n := s.View().Len(); n > limit {
			t.Fatalf("got %d peers, want at most %d", n, limit)
		}
	}
	wantThere(t, s, "a peer from elsewhere", true, 1, 2, 3, 4, 5)
	wantThere(t, s, "the last of the flood", true, 10_999)
	wantThere(t, s, "the first of the flood", false, 1000)
}

// TestSourcesShareTheStore: when the store is full, the source with most peers
// that were never reached gives way, however many sources there are.
//
// conforms: V 31
func TestSourcesShareTheStore(t *testing.T) {
	const limit, sources = 200, 28
	s := open(t, kv.Memory(), Options{MaxPeers: limit})
	for i := range uint64(5) {
		add(t, s, begin, from(i, ip4(uint32(i%2))))
	}
	for i := range uint64(5000) {
		add(t, s, begin.Add(time.Duration(i)*time.Millisecond), from(1000+i, ip4(600+uint32(i%sources))))
	}
	wantThere(t, s, "a peer from elsewhere", true, 0, 1, 2, 3, 4)
	counts := map[Origin]int{}
	for p := range s.View().All() {
		counts[p.Origin]++
	}
	for i := range uint32(sources) {
		if n := counts[ip4(600+i)]; n < 5 || n > 9 {
			t.Errorf("source %d: got %d peers, want about as many as the others", i, n)
		}
	}
}

// TestPeersOfNoSource: what a seed's list taught goes for no flood of a source, but
// among peers of which each has a source of its own the oldest go, whether or not
// they have one.
//
// conforms: V 31
func TestPeersOfNoSource(t *testing.T) {
	const limit = 100
	s := open(t, kv.Memory(), Options{MaxPeers: limit})
	taught := func(i uint64) { add(t, s, begin, FromClaim(claim(key(i), 1, a1), Discovery)) }
	for i := range uint64(20) {
		taught(i)
	}
	for i := range uint64(1000) {
		add(t, s, begin.Add(time.Second), from(1000+i, ip4(666)))
	}
	wantThere(t, s, "what a seed's list taught", true, 0, 10, 19)
	for i := range uint64(1000) {
		add(t, s, begin.Add(time.Minute+time.Duration(i)*time.Millisecond), from(5000+i, ip4(uint32(5000+i))))
	}
	wantThere(t, s, "the oldest", false, 0, 10, 19)
	wantThere(t, s, "the newest", true, 5990, 5999)
}

// TestExemptSourcesShareOnePlace: what comes through Tor is one group among the
// sources, of which the oldest go, and none of it is refused.
//
// conforms: V 31
func TestExemptSourcesShareOnePlace(t *testing.T) {
	const limit = 100
	s := open(t, kv.Memory(), Options{MaxPeers: limit})
	for i := range uint64(20) {
		add(t, s, begin, from(i, ip4(uint32(i))))
	}
	for i := range uint64(2000) {
		add(t, s, begin.Add(time.Duration(i)*time.Millisecond), from(1000+i, ExemptOrigin)) // fails the test if it is refused
	}
	for i := range uint64(20) {
		wantThere(t, s, "a peer from elsewhere", true, i)
	}
}

// TestProvenPeersMakeWayForNone: a peer that was reached, however long ago, does
// not go for one that was not. Of the store they take nine tenths, so that there
// is room to get to know others.
//
// conforms: V 31
func TestProvenPeersMakeWayForNone(t *testing.T) {
	const limit, proven = 200, 170
	s := open(t, kv.Memory(), Options{MaxPeers: limit})
	for i := range uint64(proven) {
		add(t, s, begin, FromClaim(claim(key(i), 1, a1), Discovery))
		s.Seen(begin.Add(time.Duration(i)*time.Second), key(i).NodeID(), addr(a1), 0)
	}
	later := begin.Add(100 * day)
	for i := range uint64(3000) {
		add(t, s, later.Add(time.Duration(i)*time.Millisecond), from(1000+i, ip4(uint32(i))))
	}
	for i := range uint64(proven) {
		wantThere(t, s, "a proven peer", true, i)
	}
	wantThere(t, s, "the last of the flood", true, 3999)

	for i := range uint64(1000) { // each is proven as it comes
		at := later.Add(time.Hour + time.Duration(i)*time.Second)
		add(t, s, at, FromClaim(claim(key(5000+i), 1, a1), Discovery))
		s.Seen(at, key(5000+i).NodeID(), addr(a1), 0)
		if i == 9 {
			wantThere(t, s, "the proven peer of longest ago, while they have their part", true, 0)
		}
		if i == 60 {
			wantThere(t, s, "the proven peer of longest ago, when they have more", false, 0)
			wantThere(t, s, "the proven peer of not so long ago", true, proven-1)
			break
		}
	}
}

// TestBansOfOneSourceAreBounded: bans of keys that were never reached take a
// fifth of the store. Beyond that nothing is stored of a source that can be
// refused itself; of exempt ones the ban that ends soonest goes, and a ban by
// the user stays.
//
// conforms: V 31
func TestBansOfOneSourceAreBounded(t *testing.T) {
	const limit, most = 500, 100
	s := open(t, kv.Memory(), Options{MaxPeers: limit})
	until := begin.Add(2 * time.Hour)
	s.BanNode(begin, key(1).NodeID(), begin.Add(time.Minute), "by the user, and it ends first")
	add(t, s, begin, FromClaim(claim(key(2), 1, a1), Discovery))
	s.Seen(begin, key(2).NodeID(), addr(a1), 0)
	stored := 0
	for i := range uint64(1000) {
		add(t, s, begin, from(1000+i, ip4(9)))
		if _, ok := s.BanFrom(begin, key(1000+i).NodeID(), key(1000+i), until, "forged", ip4(9)); ok {
			stored++
		}
	}
	if stored != most-1 {
		t.Errorf("got %d bans of one source stored beside another, want %d", stored, most-1)
	}
	if _, ok := s.BanFrom(begin, key(2).NodeID(), key(2), until, "forged", ip4(9)); !ok {
		t.Error("a peer that was reached: got its ban refused, want it kept")
	}
	if _, ok := s.BanFrom(begin, key(1000).NodeID(), key(1000), until.Add(time.Hour), "again", ip4(9)); !ok {
		t.Error("a longer ban of one who is banned: got it refused, want it kept")
	}
	for i := range uint64(1000) {
		_, ok := s.BanFrom(begin, key(5000+i).NodeID(), key(5000+i), until.Add(time.Duration(i)*time.Second), "forged", ExemptOrigin)
		if !ok {
			t.Fatal("an exempt source: got its ban refused, want it kept")
		}
	}
	bans := 0
	for p := range s.View().All() {
		if p.Banned(begin) && p.LastSeen().IsZero() {
			bans++
		}
	}
	if bans > most || bans < most*9/10 {
		t.Errorf("got %d bans of keys never reached, want about %d", bans, most)
	}
	banned := func(n uint64) bool {
		_, _, ok := s.View().Banned(key(n).NodeID(), begin)
		return ok
	}
	if !banned(1) || !banned(2) || !banned(1000) || !banned(5999) {
		t.Errorf("got the ban by the user %t, of a reached peer %t, of a source %t, the last %t, want all", banned(1), banned(2), banned(1000), banned(5999))
	}
	if banned(5500) {
		t.Error("got a ban of an exempt source that ends sooner than others, want it gone")
	}
	// When bans are over there is room again, even for a source.
	if _, ok := s.BanFrom(until.Add(2*time.Hour), key(9000).NodeID(), key(9000), until.Add(3*time.Hour), "forged", ip4(9)); !ok {
		t.Error("got a ban refused when those of before are over, want it kept")
	}
}

// TestOriginIsTheFirst: a later connection from elsewhere moves nobody to another
// source, and a list says nothing about one.
func TestOriginIsTheFirst(t *testing.T) {
	s := open(t, kv.Memory(), Options{})
	add(t, s, begin, from(1, ip4(1)))
	if p := add(t, s, begin, from(1, ip4(2))); p.Origin != ip4(1) {
		t.Errorf("got %s, want %s", p.Origin, ip4(1))
	}
	add(t, s, begin, FromClaim(claim(key(2), 1, a1), Discovery))
	if p := add(t, s, begin, from(2, ip4(2))); p.Origin != 0 {
		t.Errorf("got %s, want none", p.Origin)
	}
	if source, ok := add(t, s, begin, from(3, ip4(7))).Origin.Source(); !ok || source != netip.MustParsePrefix("8.0.0.7/32") {
		t.Errorf("got %s, %t, want its address", source, ok)
	}
	if _, err := s.Add(begin, Peer{}); !errors.Is(err, ErrBadPeer) {
		t.Errorf("got %v, want ErrBadPeer", err)
	}
}
