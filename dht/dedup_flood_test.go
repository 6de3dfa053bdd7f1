package dht_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
)

// TestDedupMakesWayFairly: a flood of one peer pushes out its own messages and
// nobody else's, also if it has sent copies of all of those before.
//
// conforms: dht 52
func TestDedupMakesWayFairly(t *testing.T) {
	const honest, many = 900, 51_000
	d := dht.NewDedup(1000)
	now := time.Unix(expires, 0)
	flooder := nodeOf(99)
	for i := range honest {
		d.Count(hashOf(i), nodeOf(i%10), now)
	}
	for i := range honest {
		d.Count(hashOf(i), flooder, now)
	}
	for i := range many {
		d.Count(hashOf(10_000+i), flooder, now)
	}
	for i := range honest {
		if got := d.Seen(hashOf(i)); got != 2 {
			t.Fatalf("message %d of another peer: got %d copies, want 2", i, got)
		}
	}
	for i, want := range map[int]uint32{10_000: 0, 10_000 + many - 101: 0, 10_000 + many - 100: 1, 10_000 + many - 1: 1} {
		if got := d.Seen(hashOf(i)); got != want {
			t.Errorf("message %d of the flood: got %d, want %d: its last hundred stay", i, got, want)
		}
	}
	for i := range 2000 { // many peers are not one that has most
		d.Count(hashOf(100_000+i), nodeOf(1000+i), now)
	}
	if got := d.Seen(hashOf(10_000 + many - 1)); got != 0 {
		t.Errorf("the flood after 2,000 other peers: got %d, want none of it", got)
	}
	if got := d.Len(); got != 1000 {
		t.Errorf("got %d records, want as many as fit", got)
	}
}

// TestDedupRemembersWhatWasEvicted: an evicted message is recognised as long as it
// may come as a stored one, whatever the clock does, and gets no new record.
//
// conforms: dht 52
func TestDedupRemembersWhatWasEvicted(t *testing.T) {
	d := dht.NewDedup(10)
	if err := d.Remember(rand.NewChaCha8([32]byte{1})); err != nil {
		t.Fatal(err)
	}
	at := time.Unix(expires, 0)
	for i := range 1000 {
		d.Count(hashOf(i), nodeOf(1), at)
	}
	for i := range 990 {
		if d.Seen(hashOf(i)) != math.MaxUint32 || d.Count(hashOf(i), nodeOf(2), at) != math.MaxUint32 {
			t.Fatalf("message %d: got %d, want it known", i, d.Seen(hashOf(i)))
		}
	}
	d.Own(hashOf(5), nodeOf(0), at)
	if s := d.Stats(); s.Hashes != 10 || s.Fingerprints != 990 || s.Copies != 990 || s.Early != 0 {
		t.Errorf("got %+v, want ten records and 990 fingerprints", s)
	}
	for i := 990; i < 1000; i++ {
		if got := d.Seen(hashOf(i)); got != 1 {
			t.Errorf("message %d: got %d, want its record untouched", i, got)
		}
	}
	if got := d.Count(hashOf(5), nodeOf(2), at.Add(dht.Remembered-time.Second)); got != math.MaxUint32 {
		t.Errorf("in its last second: got %d, want it known", got)
	}
	if got := d.Count(hashOf(5), nodeOf(2), at.Add(dht.Remembered)); got != 1 {
		t.Errorf("after its time: got %d, want it new", got)
	}
	if got := d.Seen(hashOf(6)); got != 0 {
		t.Errorf("after its time: got %d, want nothing", got)
	}
}

// TestFingerprintsAgainstAModel adds and forgets, with few queues in use, against a
// map.
func TestFingerprintsAgainstAModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const limit = 500
	f := dht.NewFingerprints(rand.NewChaCha8([32]byte{2}), limit)
	until := map[int]int64{}
	now := int64(expires)
	for step := range 20_000 {
		now += int64(r.IntN(60))
		i := r.IntN(4000)
		end := now + 1 + int64(r.IntN(3600*3))
		f.Add(randomHash(i), nodeOf(r.IntN(3)), end, now)
		if f.Has(randomHash(i), now) {
			until[i] = max(until[i], end)
		}
		n, _, size := f.Counts()
		if n > limit || size > 64<<10 {
			t.Fatalf("step %d: got %d fingerprints in %d bytes, want a bound", step, n, size)
		}
		if j := r.IntN(4000); f.Has(randomHash(j), now) && until[j] <= now {
			t.Fatalf("step %d: got message %d, which is over or never was", step, j)
		}
	}
	for j := range 8000 {
		if f.Has(randomHash(j), now) && until[j] <= now {
			t.Errorf("got message %d, which is over or never was", j)
		}
	}
	if n, early, _ := f.Counts(); n == 0 || early == 0 {
		t.Errorf("got %d, %d of them forgotten early, want both", n, early)
	}
}

// TestFingerprintsMakeWayFairly: when they are full, the oldest goes of the queue
// that has most, and each is counted; what is over goes before.
//
// conforms: dht 52
func TestFingerprintsMakeWayFairly(t *testing.T) {
	const limit = 1000
	f := dht.NewFingerprints(rand.NewChaCha8([32]byte{3}), limit)
	honest, flooder := nodeOf(1), nodeOf(2)
	if f.SameQueue(honest, flooder) {
		t.Fatal("got one queue for both; take another key")
	}
	now := int64(expires)
	for i := range 100 {
		f.Add(randomHash(i), honest, now+3600, now)
	}
	for i := range 5000 {
		f.Add(randomHash(1000+i), flooder, now+3600, now)
	}
	for i := range 100 {
		if !f.Has(randomHash(i), now) {
			t.Fatalf("message %d of another peer: got it forgotten", i)
		}
	}
	n, early, _ := f.Counts()
	if n != limit || early != 4100 {
		t.Errorf("got %d, %d forgotten early, want 1000 and 4100", n, early)
	}
	if f.Has(randomHash(1000+4099), now) || !f.Has(randomHash(1000+4100), now) {
		t.Error("got another part of the flood, want its last 900")
	}
	for i := range 5000 { // an hour later there is room
		f.Add(randomHash(10_000+i), flooder, now+7200, now+3600)
	}
	if n, again, _ := f.Counts(); n != limit || again-early > 4100 {
		t.Errorf("an hour later: got %d, %d forgotten early, want room by what was over", n, again-early)
	}
	if f.Has(randomHash(0), now+3600) {
		t.Error("got a message that is over")
	}
}

// TestFingerprintsFit into the 16 MiB that they may have.
//
// conforms: dht 52
func TestFingerprintsFit(t *testing.T) {
	f := dht.NewFingerprints(rand.NewChaCha8([32]byte{4}), dht.MaxPrints)
	for i := range dht.MaxPrints + 1000 {
		f.Add(randomHash(i), nodeOf(i%50), expires+3600, expires)
	}
	n, early, size := f.Counts()
	if size += int(dht.PrintQueueLen) * dht.PrintQueues; n != dht.MaxPrints || early != 1000 || size > 16<<20 {
		t.Errorf("got %d, %d forgotten early, %d bytes, want all that fits into 16 MiB", n, early, size)
	}
	lost := 0
	for i := range dht.MaxPrints + 1000 {
		if !f.Has(randomHash(i), expires) {
			lost++
		}
	}
	if lost != 1000 {
		t.Errorf("got %d forgotten, want 1000", lost)
	}
}

// randomHash looks like one of a message.
func randomHash(n int) (h wire.Hash) {
	r := rand.New(rand.NewPCG(uint64(n), 7))
	for i := 0; i < len(h); i += 8 {
		binary.LittleEndian.PutUint64(h[i:], r.Uint64())
	}
	return h
}

// TestFingerprintsClock sets the system's clock: back by a day, nothing is forgotten;
// forward by a week, what is forgotten may not come any more by that clock.
func TestFingerprintsClock(t *testing.T) {
	for _, tt := range []struct {
		by   time.Duration
		want uint32
	}{{-24 * time.Hour, math.MaxUint32}, {7 * 24 * time.Hour, 1}} {
		d := dht.NewDedup(10)
		if err := d.Remember(rand.NewChaCha8([32]byte{1})); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(expires, 0)
		for i := range 20 {
			d.Count(hashOf(i), nodeOf(1), at)
		}
		if got := d.Count(hashOf(0), nodeOf(2), at.Add(tt.by)); got != tt.want {
			t.Errorf("by %v: got %d, want %d", tt.by, got, tt.want)
		}
	}
}
