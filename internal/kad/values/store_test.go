package values_test

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/internal/kad/values"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

var (
	start = time.Unix(2_000_000_000, 0) // monotonic
	wall  = time.Unix(1_800_000_000, 0)
)

// at returns both clocks, after the beginning.
func at(d time.Duration) (now, system time.Time) { return start.Add(d), wall.Add(d) }

// immutable returns a record of size bytes whose key shares exactly prefix bits with the id
// of zeros. Nobody hashes it here.
func immutable(prefix, number, size int) *overlay.Record {
	r := &overlay.Record{Kind: overlay.Immutable, Value: make([]byte, size)}
	r.Key[prefix/8] = 0x80 >> (prefix % 8)
	binary.BigEndian.PutUint32(r.Key[28:], uint32(number))
	return r
}

func signer(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(append([]byte{n}, make([]byte, 31)...))
}

// mutable returns a record that a signer signed for some time.
func mutable(t testing.TB, n byte, salt string, seq uint64, life time.Duration, value string) *overlay.Record {
	t.Helper()
	c := record.Content{Salt: []byte(salt), Seq: seq, Expires: wall.Add(life), Value: []byte(value), Tombstone: value == ""}
	r, err := record.Sign(signer(n), c, wall)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func put(t *testing.T, s *values.Store, o values.Offer, after time.Duration, want overlay.Status) values.Outcome {
	t.Helper()
	now, system := at(after)
	out := s.Put(o, now, system)
	if out.Status != want || (out.Granted > 0) != (want == overlay.OK) {
		t.Fatalf("got %+v, want %v", out, want)
	}
	return out
}

// TestLife grants lives, and reads around their ends.
//
// conforms: kad 44
func TestLife(t *testing.T) {
	for name, c := range map[string]struct {
		overlay overlay.Overlay
		offer   values.Offer
		want    time.Duration
	}{
		"native":         {overlay.Native, values.Offer{Record: immutable(0, 1, 5)}, 48 * time.Hour},
		"native, asked":  {overlay.Native, values.Offer{Record: immutable(0, 1, 5), TTL: time.Hour}, time.Hour},
		"native, long":   {overlay.Native, values.Offer{Record: immutable(0, 1, 5), TTL: 1000 * time.Hour}, 48 * time.Hour},
		"mutable":        {overlay.Native, values.Offer{Record: mutable(t, 1, "", 1, 7*24*time.Hour, "x")}, 48 * time.Hour},
		"mutable, short": {overlay.Native, values.Offer{Record: mutable(t, 1, "", 1, time.Hour, "x"), TTL: 2 * time.Hour}, time.Hour},
		"seed":           {overlay.Seed, values.Offer{Record: &overlay.Record{Key: overlay.ID{1}}}, time.Hour},
		"seed, asked":    {overlay.Seed, values.Offer{Record: &overlay.Record{Key: overlay.ID{1}}, TTL: time.Minute}, time.Minute},
		"cached, 5 min":  {overlay.Native, values.Offer{Record: immutable(0, 1, 5), TTL: 5 * time.Minute, Cached: true}, 5 * time.Minute},
		"tombstone, 7 d": {overlay.Native, values.Offer{Record: mutable(t, 1, "", 1, 7*24*time.Hour, ""), TTL: time.Hour}, 7 * 24 * time.Hour},
		"tombstone, 1 h": {overlay.Native, values.Offer{Record: mutable(t, 1, "", 1, time.Hour, "")}, time.Hour},
		"mutable, 1 s":   {overlay.Native, values.Offer{Record: mutable(t, 1, "", 1, time.Second, "x")}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			s := values.New(overlay.ID{}, values.DefaultLimits(c.overlay))
			if got := put(t, s, c.offer, 0, overlay.OK).Granted; got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			key := c.offer.Record.Key
			now, system := at(c.want - 1)
			if h, ok := s.Get(key, now, system); !ok || h.Life != 1 || h.Record != c.offer.Record || h.Cached != c.offer.Cached {
				t.Errorf("at the end of its life: got %+v and %t, want it", h, ok)
			}
			if s.Expire(now) != nil {
				t.Error("at the end of its life: got it removed")
			}
			now, system = at(c.want)
			if h, ok := s.Get(key, now, system); ok {
				t.Errorf("after its life: got %+v, want nothing", h)
			}
			if next, ok := s.NextExpiry(); !ok || !next.Equal(now) {
				t.Errorf("got the next expiry at %s, want %s", next, now)
			}
			if got := s.Expire(now); !slices.Equal(got, []overlay.Key{key}) {
				t.Errorf("got %v removed, want the record", got)
			}
			if records, _, bytes := s.Size(); records != 0 || bytes != 0 {
				t.Errorf("got %d records of %d bytes left", records, bytes)
			}
		})
	}
}

// TestStepOfTheClock sets the system's clock: only the expiry in a record follows it.
//
// conforms: kad 44
func TestStepOfTheClock(t *testing.T) {
	s := values.New(overlay.ID{}, values.DefaultLimits(overlay.Native))
	m, i := mutable(t, 1, "", 1, 10*time.Hour, "x"), immutable(0, 1, 5)
	put(t, s, values.Offer{Record: m}, 0, overlay.OK)
	put(t, s, values.Offer{Record: i}, 0, overlay.OK)
	now, system := at(time.Hour)
	for step, want := range map[time.Duration]bool{24 * time.Hour: false, -24 * time.Hour: true, 0: true} {
		if _, ok := s.Get(m.Key, now, system.Add(step)); ok != want {
			t.Errorf("mutable, on a clock set by %s: got it %t, want %t", step, ok, want)
		}
		if h, ok := s.Get(i.Key, now, system.Add(step)); !ok || h.Life != 47*time.Hour {
			t.Errorf("immutable, on a clock set by %s: got %t with %s, want 47h", step, ok, h.Life)
		}
	}
	if out := s.Put(values.Offer{Record: mutable(t, 1, "late", 1, time.Hour, "x")}, now, wall.Add(time.Hour)); out.Status != overlay.Expired {
		t.Errorf("a record that has expired: got %v, want expired", out.Status)
	}
	deleted := mutable(t, 2, "", 1, time.Hour, "")
	if out := s.Put(values.Offer{Record: deleted}, now, time.Unix(0, 0)); out.Granted > record.MaxLife+record.ClockSkew {
		t.Errorf("a tombstone, on a clock that is not set: got a life of %s, want at most that of a record", out.Granted)
	}
	now, system = at(10 * time.Hour)
	if _, ok := s.Get(m.Key, now, system.Add(-5*time.Hour)); ok {
		t.Error("on a clock that was set back: got a record whose granted life has ended")
	}
}

// TestSameRecordAgain prolongs a life, and never shortens it.
//
// conforms: kad 44
func TestSameRecordAgain(t *testing.T) {
	s := values.New(overlay.ID{}, values.DefaultLimits(overlay.Native))
	r := immutable(0, 1, 5)
	first := put(t, s, values.Offer{Record: r, TTL: 10 * time.Hour, Peer: "a"}, 0, overlay.OK)
	if !first.Changed || !first.Replicate {
		t.Errorf("got %+v, want a new record of which this node is a holder", first)
	}
	if out := put(t, s, values.Offer{Record: r, TTL: time.Hour, Peer: "b"}, time.Hour, overlay.OK); out.Granted != 9*time.Hour || out.Changed {
		t.Errorf("a shorter life: got %+v, want the 9h that remain", out)
	}
	if out := put(t, s, values.Offer{Record: r, TTL: 12 * time.Hour, Cached: true}, time.Hour, overlay.OK); out.Granted != 12*time.Hour || !out.Replicate {
		t.Errorf("a longer life, as a copy: got %+v, want 12h and a holder", out)
	}
	if next, ok := s.NextExpiry(); !ok || !next.Equal(start.Add(13*time.Hour)) {
		t.Errorf("got the next expiry at %s", next)
	}
	if n, _ := s.Used("a"); n != 1 {
		t.Errorf("got %d records of the first peer, want it to stay its record", n)
	}
}

// TestNewerRecords replace older ones, and are told to whoever brings an older one.
//
// conforms: kad 41
func TestNewerRecords(t *testing.T) {
	s := values.New(overlay.ID{}, values.DefaultLimits(overlay.Native))
	seven, eight := mutable(t, 1, "", 7, time.Hour, "seven"), mutable(t, 1, "", 8, 30*time.Minute, "eight")
	put(t, s, values.Offer{Record: seven}, 0, overlay.OK)
	if out := put(t, s, values.Offer{Record: eight}, 0, overlay.OK); !out.Changed || out.Granted != 30*time.Minute {
		t.Errorf("got %+v, want the newer record with its shorter life", out)
	}
	if out := put(t, s, values.Offer{Record: seven}, 0, overlay.SeqTooLow); out.Current != eight {
		t.Errorf("got %+v, want the newer record", out.Current)
	}
	if records, _, _ := s.Size(); records != 1 {
		t.Errorf("got %d records, want one", records)
	}
	if put(t, s, values.Offer{Record: seven}, 31*time.Minute, overlay.OK); s.Expire(start) != nil {
		t.Error("got something to expire")
	}
}

// TestTombstone hides a value, keeps older records out, and lives until it expires.
//
// conforms: kad 42
func TestTombstone(t *testing.T) {
	s := values.New(overlay.ID{}, values.DefaultLimits(overlay.Native))
	value := mutable(t, 1, "", 7, 6*24*time.Hour, "seven")
	grave := mutable(t, 1, "", 8, 5*24*time.Hour, "")
	put(t, s, values.Offer{Record: value}, 0, overlay.OK)
	put(t, s, values.Offer{Record: grave}, 0, overlay.OK)
	for _, after := range []time.Duration{0, 49 * time.Hour, 5*24*time.Hour - 1} {
		now, system := at(after)
		if h, ok := s.Get(value.Key, now, system); !ok || h.Record != grave {
			t.Errorf("after %s: got %+v, want the tombstone", after, h)
		}
		put(t, s, values.Offer{Record: value}, after, overlay.SeqTooLow)
	}
	put(t, s, values.Offer{Record: value}, 5*24*time.Hour, overlay.OK)
	s = values.New(overlay.ID{}, values.DefaultLimits(overlay.Native))
	put(t, s, values.Offer{Record: grave}, 0, overlay.OK)
	put(t, s, values.Offer{Record: mutable(t, 1, "", 9, time.Hour, "nine")}, 0, overlay.OK)
}

// TestArrivals stores the same records in random orders: all stores end with the same one.
//
// conforms: kad 41
func TestArrivals(t *testing.T) {
	var records []*overlay.Record
	for seq := range uint64(4) {
		for _, value := range []string{"a", "b", ""} {
			for hours := range 3 {
				records = append(records, mutable(t, 1, "", seq, time.Duration(hours+1)*time.Hour, value))
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	var first *overlay.Record
	for round := range 100 {
		s := values.New(overlay.ID{}, values.DefaultLimits(overlay.Native))
		for _, i := range r.Perm(len(records)) {
			s.Put(values.Offer{Record: records[i]}, start, wall)
		}
		h, ok := s.Get(records[0].Key, start, wall)
		if !ok || first != nil && h.Record != first {
			t.Fatalf("round %d: got %+v, want %+v", round, h.Record, first)
		}
		first = h.Record
	}
	for _, other := range records {
		if record.Compare(other, first) > 0 {
			t.Errorf("got seq %d at the end, and %d is newer", first.Seq, other.Seq)
		}
	}
}

// TestNotClose refuses new records where this node knows 40 nearer contacts, but neither
// newer versions of its own ones nor cached copies.
//
// conforms: kad 46
func TestNotClose(t *testing.T) {
	s := values.New(overlay.ID{}, values.DefaultLimits(overlay.Native))
	put(t, s, values.Offer{Record: immutable(0, 1, 5), Nearer: values.NotCloseAt}, 0, overlay.NotClose)
	put(t, s, values.Offer{Record: immutable(0, 1, 5), Nearer: values.NotCloseAt - 1}, 0, overlay.OK)
	put(t, s, values.Offer{Record: immutable(0, 1, 5), Nearer: 100}, 0, overlay.OK)
	put(t, s, values.Offer{Record: immutable(0, 2, 5), Nearer: 100, Cached: true}, 0, overlay.OK)
	put(t, s, values.Offer{Record: mutable(t, 1, "", 1, time.Hour, "x"), Nearer: 3}, 0, overlay.OK)
	put(t, s, values.Offer{Record: mutable(t, 1, "", 2, time.Hour, "x"), Nearer: 100}, 0, overlay.OK)
}

// TestOpaque values are replaced by whoever comes last.
func TestOpaque(t *testing.T) {
	s := values.New(overlay.ID{}, values.DefaultLimits(overlay.Seed))
	for i, value := range []string{"a", "b", "b", "a"} {
		o := values.Offer{Record: &overlay.Record{Key: overlay.ID{1}, Value: []byte(value)}, Peer: fmt.Sprint(i)}
		if out := put(t, s, o, time.Duration(i)*time.Minute, overlay.OK); !out.Changed || out.Granted != time.Hour {
			t.Errorf("value %d: got %+v, want it stored for an hour", i, out)
		}
		now, system := at(time.Duration(i) * time.Minute)
		if h, ok := s.Get(overlay.ID{1}, now, system); !ok || string(h.Record.Value) != value {
			t.Errorf("value %d: got %+v, want %q", i, h, value)
		}
	}
	if n, bytes := s.Used("3"); n != 1 || bytes != 1+values.Overhead {
		t.Errorf("got %d records of %d bytes of the last peer", n, bytes)
	}
	if n, _ := s.Used("0"); n != 0 {
		t.Errorf("got %d records of the first peer, want none", n)
	}
}

// TestCachedCopies are marked, are no record to replicate, and become one when a holder's
// copy comes.
//
// conforms: kad 45
func TestCachedCopies(t *testing.T) {
	s := values.New(overlay.ID{}, values.DefaultLimits(overlay.Native))
	r := immutable(0, 1, 5)
	cached := func(want bool) {
		t.Helper()
		if h, ok := s.Get(r.Key, start, wall); !ok || h.Cached != want {
			t.Errorf("got %+v and %t, want cached %t", h, ok, want)
		}
		want1 := 0
		if want {
			want1 = 1
		}
		if _, n, _ := s.Size(); n != want1 {
			t.Errorf("got %d cached copies, want %d", n, want1)
		}
	}
	if out := put(t, s, values.Offer{Record: r, TTL: time.Hour, Cached: true}, 0, overlay.OK); out.Replicate {
		t.Error("got a cached copy to replicate")
	}
	cached(true)
	if out := put(t, s, values.Offer{Record: r, TTL: time.Hour}, 0, overlay.OK); !out.Replicate {
		t.Error("got a record that is not replicated")
	}
	cached(false)
	put(t, s, values.Offer{Record: r, TTL: time.Hour, Cached: true}, 0, overlay.OK)
	cached(false)
	if !s.Demote(r.Key) || s.Demote(r.Key) || s.Demote(overlay.ID{9}) {
		t.Error("got the wrong record demoted")
	}
	cached(true)
	if !s.Delete(r.Key) || s.Delete(r.Key) {
		t.Error("got the wrong record deleted")
	}
}

// TestCachedLife halves the life for each contact between.
//
// conforms: kad 45
func TestCachedLife(t *testing.T) {
	for _, c := range []struct {
		remaining time.Duration
		between   int
		want      time.Duration
	}{
		{48 * time.Hour, 0, 48 * time.Hour},
		{48 * time.Hour, 1, 24 * time.Hour},
		{48 * time.Hour, 3, 6 * time.Hour},
		{48 * time.Hour, 20, 5 * time.Minute},
		{48 * time.Hour, 1000, 5 * time.Minute},
		{48 * time.Hour, -1, 48 * time.Hour},
		{3 * time.Minute, 5, 3 * time.Minute},
		{0, 5, 0},
	} {
		if got := values.CachedLife(c.remaining, c.between); got != c.want {
			t.Errorf("%s with %d between: got %s, want %s", c.remaining, c.between, got, c.want)
		}
	}
}

// TestExpireInBatches removes many records in batches.
func TestExpireInBatches(t *testing.T) {
	l := values.DefaultLimits(overlay.Native)
	l.Peer = l.Total
	s := values.New(overlay.ID{}, l)
	for i := range 1000 {
		put(t, s, values.Offer{Record: immutable(0, i, 5), TTL: time.Hour, Peer: "a"}, 0, overlay.OK)
	}
	for _, want := range []int{512, 488, 0} {
		if got := len(s.Expire(start.Add(time.Hour))); got != want {
			t.Errorf("got %d removed, want %d", got, want)
		}
	}
	if n, bytes := s.Used("a"); n != 0 || bytes != 0 {
		t.Errorf("got %d records of %d bytes left to the peer", n, bytes)
	}
}
