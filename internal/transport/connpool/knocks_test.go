package connpool

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

func sourceNo(i int) netip.Prefix {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 0x0a000000+uint32(i))
	return netip.PrefixFrom(netip.AddrFrom4(b), 32)
}

// TestKnocks: a source is told of at once, then once a minute with its number; what is not told one by
// one is summed up, and a flood from one source hides no other one.
func TestKnocks(t *testing.T) {
	var k Knocks
	now := time.Unix(1000, 0)
	if say, n := k.Add(now, sourceNo(1), identity.PublicKey{}); !say || n != 0 {
		t.Errorf("the first: got %v, %d, want it told", say, n)
	}
	for range 500 {
		if say, _ := k.Add(now, sourceNo(1), identity.PublicKey{}); say {
			t.Fatal("a further one within a minute is told")
		}
	}
	if say, _ := k.Add(now, sourceNo(2), identity.PublicKey{7}); !say {
		t.Error("another source: got nothing, want it told at once")
	}
	if say, n := k.Add(now.Add(time.Minute), sourceNo(1), identity.PublicKey{}); !say || n != 500 {
		t.Errorf("after a minute: got %v, %d, want 500 more", say, n)
	}
	k.Add(now.Add(time.Minute), sourceNo(1), identity.PublicKey{})
	if n, most := k.Unsaid(now.Add(time.Minute)); n != 1 || most != sourceNo(1) {
		t.Errorf("got %d unsaid, most of %v, want one of the first", n, most)
	}
	if n, _ := k.Unsaid(now.Add(time.Minute)); n != 0 {
		t.Errorf("got %d, want what was said once", n)
	}
	all := k.All(now.Add(-time.Minute))
	if len(all) != 2 || all[0].Source != sourceNo(1) || all[0].Times != 503 || all[1].Key != (identity.PublicKey{7}) || k.Total() != 504 {
		t.Errorf("got %+v of %d, want both sources, the last one first", all, k.Total())
	}
	if late := k.All(now.Add(time.Minute)); len(late) != 1 {
		t.Errorf("got %+v, want the one of the last minute", late)
	}
}

// TestKnocksAreBounded: from however many sources, the memory and the log have limits, and nothing is lost from the sum.
func TestKnocksAreBounded(t *testing.T) {
	var k Knocks
	now := time.Unix(1000, 0)
	told := 0
	for i := range 10_000 {
		if say, _ := k.Add(now, sourceNo(i), identity.PublicKey{}); say {
			told++
		}
	}
	if told != knocksSaid || len(k.All(now)) != knocksKept {
		t.Errorf("got %d log records and %d sources, want %d and %d", told, len(k.All(now)), knocksSaid, knocksKept)
	}
	if n, _ := k.Unsaid(now); n != uint64(10_000-knocksSaid) {
		t.Errorf("got %d unsaid, want all that had no log record", n)
	}
	k.Add(now, sourceNo(1), identity.PublicKey{})
	if say, _ := k.Add(now.Add(time.Minute), sourceNo(20_000), identity.PublicKey{}); !say {
		t.Error("a minute later: got nothing, want a log record again")
	}
}

// TestKeysOfOneSource: many nodes come from one address, as behind a router or Tor. Each of the last eight has its
// row, and the sum is right.
func TestKeysOfOneSource(t *testing.T) {
	var k Knocks
	now := time.Unix(60_000, 0)
	for i := range 20 {
		for range i + 1 {
			k.Add(now.Add(time.Duration(i)*time.Second), sourceNo(1), identity.PublicKey{byte(i + 1)})
		}
	}
	k.Add(now.Add(20*time.Second), sourceNo(1), identity.PublicKey{13})
	k.Add(now.Add(20*time.Second), sourceNo(2), identity.PublicKey{1})
	sum, keys := uint64(0), []byte{}
	for _, x := range k.All(now) {
		if x.Source == sourceNo(1) {
			sum += x.Times
			keys = append(keys, x.Key[0])
		}
		if x.Key[0] == 13 && x.Times != 14 {
			t.Errorf("got %d times of one key, want 14", x.Times)
		}
	}
	if want := []byte{13, 20, 19, 18, 17, 16, 15, 14, 0}; !bytes.Equal(keys, want) || sum != 211 {
		t.Errorf("got %d times of the keys %v, want 211 of %v", sum, keys, want)
	}
}

// TestTimesOfTheLastMinutes: what is older than the time that is asked for does not count.
func TestTimesOfTheLastMinutes(t *testing.T) {
	var k Knocks
	begin := time.Unix(60_000, 0)
	for i := range 60 { // three a minute, for an hour
		for range 3 {
			k.Add(begin.Add(time.Duration(i)*time.Minute+30*time.Second), sourceNo(1), identity.PublicKey{1})
		}
		k.Add(begin.Add(time.Duration(i)*time.Minute), sourceNo(1), identity.PublicKey{})
	}
	end := begin.Add(time.Hour)
	for minutes, want := range map[int][2]uint64{10: {30, 10}, 5: {15, 5}, 1: {3, 1}} {
		all := k.All(end.Add(-time.Duration(minutes) * time.Minute))
		if len(all) != 2 || all[0].Times != want[0] || all[1].Times != want[1] {
			t.Errorf("%d minutes: got %+v, want %v", minutes, all, want)
		}
	}
	if all := k.All(end.Add(-40 * time.Second)); len(all) != 1 || all[0].Times != 1 {
		t.Errorf("of a part of a minute: got %+v, want the last one, which is certain", all)
	}
	k.Add(end.Add(time.Hour), sourceNo(1), identity.PublicKey{1})
	if all := k.All(end.Add(50 * time.Minute)); len(all) != 1 || all[0].Times != 1 {
		t.Errorf("an hour later: got %+v, want one", all)
	}
}
