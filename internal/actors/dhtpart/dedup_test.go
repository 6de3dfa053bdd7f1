package dhtpart_test

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/dhtpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/kv/kvtest"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// dedupNode is a tree with the dedup actor in its place and nothing else.
type dedupNode struct {
	trunk.Node
	DHT  *dhtpart.DHT
	root *supervisor.Root
}

const dedupPath = "dedup-test/node/dht/dedup"

// startDedup loads what db keeps and starts the actor. fault may be nil.
func startDedup(db kv.DB, capacity int, fault func(path, point string)) (*dedupNode, error) {
	return startDedupAt(db, capacity, fault, time.Now)
}

// startDedupAt is startDedup with another system's clock.
func startDedupAt(db kv.DB, capacity int, fault func(path, point string), wall func() time.Time) (*dedupNode, error) {
	d, _, err := dhtpart.LoadDedup(db, capacity, wall())
	if err != nil {
		return nil, err
	}
	secret, err := identity.NewSecret(strings.NewReader(strings.Repeat("dedup", 20)))
	if err != nil {
		return nil, err
	}
	store, err := peerstore.Open(kv.Memory(), peerstore.Options{Self: secret.NodeID()})
	if err != nil {
		return nil, err
	}
	discard := slog.New(slog.DiscardHandler)
	n := &dedupNode{Node: trunk.NewNode(trunk.Settings{
		Base:     base.Settings{System: actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return discard })), Root: "dedup-test", Profile: protocol.Tari(protocol.LocalNet), Secret: secret, Now: time.Now, Wall: wall, Logger: discard},
		Store:    store,
		Messages: messengers.Settings{NodeCredit: 1 << 20, PeerCredit: 1 << 16, DHT: true},
	})}
	n.DHT = dhtpart.New(n.Trunk, dhtpart.Settings{Dedup: d, DB: db})
	n.root, err = supervisor.Start(n.System(), n.Root(), supervisor.Spec{
		Name: "node", Kind: "group", New: supervisor.Group(
			supervisor.Spec{Name: "talker", Kind: "talker", New: func() actor.Actor { return fake{new(record)} }},
			supervisor.Spec{Name: "dht", Kind: "group", Drains: true, New: supervisor.Group(
				supervisor.Spec{Name: "dedup", Kind: "dedup", Drains: true, New: func() actor.Actor { return dhtpart.NewDedup(n.DHT) }},
			)}),
	}, supervisor.Options{Logger: discard, Fault: fault})
	return n, err
}

// playDedup is startDedup for a test in a bubble.
func playDedup(t *testing.T, db kv.DB, capacity int, fault func(path, point string)) *dedupNode {
	t.Helper()
	n, err := startDedup(db, capacity, fault)
	return n.played(t, err)
}

// playDedupAt is playDedup with another system's clock.
func playDedupAt(t *testing.T, db kv.DB, capacity int, wall func() time.Time) *dedupNode {
	t.Helper()
	n, err := startDedupAt(db, capacity, nil, wall)
	return n.played(t, err)
}

func (n *dedupNode) played(t *testing.T, err error) *dedupNode {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.root.Stop(context.Background(), nil); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
	})
	synctest.Wait()
	return n
}

func (n *dedupNode) count(first, last int) {
	for i := first; i <= last; i++ {
		n.DHT.Dedup.Count(dedupHash(i), identity.NodeID{1}, time.Now())
	}
}

// TestBubbleDedupClock: the messages seen last survive a restart, also when the
// system's clock is set between them and those before, and again when the disk
// holds times of the future.
//
// conforms: dht 52
func TestBubbleDedupClock(t *testing.T) {
	for _, by := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		gamelantest.Bubble(t, func(t *testing.T) {
			const many = 50
			db, ahead := kv.Memory(), time.Duration(0)
			wall := func() time.Time { return time.Now().Add(ahead) }
			life := func(first, last int) {
				n := playDedupAt(t, db, many, wall)
				for i := first; i <= last; i++ {
					time.Sleep(time.Millisecond)
					n.DHT.Dedup.Count(dedupHash(i), identity.NodeID{1}, wall())
				}
				if err := n.drain(t.Context()); err != nil {
					t.Error(err)
				}
				if err := n.root.Stop(context.Background(), nil); err != nil {
					t.Error(err)
				}
			}
			check := func(when string, first, last int) {
				t.Helper()
				d, _, err := dhtpart.LoadDedup(db, many, wall())
				if err != nil {
					t.Fatal(err)
				}
				survived := 0
				for i := first; i <= last; i++ {
					if d.Seen(dedupHash(i)) > 0 {
						survived++
					}
				}
				if want := last - first + 1; survived != want {
					t.Errorf("step %v, %s: got %d of the %d newest after a restart", by, when, survived, want)
				}
				for _, r := range d.All() {
					if r.LastHit.After(wall()) {
						t.Errorf("step %v, %s: got a last hit at %v in memory, later than %v", by, when, r.LastHit, wall())
						break
					}
				}
			}
			life(1, many)
			check("before it", 1, many)
			ahead += by // while the node does not run
			life(many+1, 2*many)
			check("after it", many+1, 2*many)
			n := playDedupAt(t, db, many, wall)
			for i := 2*many + 1; i <= 3*many; i++ {
				if i == 2*many+many/2 {
					ahead += by // while it runs
				}
				n.DHT.Dedup.Count(dedupHash(i), identity.NodeID{1}, wall())
			}
			if err := n.drain(t.Context()); err != nil {
				t.Error(err)
			}
			check("after a second one", 2*many+1, 3*many)
		})
	}
}

// drain returns when all that was counted before is on the disk, or could not be
// written.
func (n *dedupNode) drain(ctx context.Context) error {
	_, err := supervisor.Ask[supervisor.Drained](ctx, n.System(), n.System().NewLocalPID("dedup-test/node/dht"), supervisor.Drain{})
	return err
}

func (n *dedupNode) status(t *testing.T) dhtpart.DedupStatus {
	t.Helper()
	d, err := n.root.Inspect(t.Context(), dedupPath)
	if err != nil {
		t.Fatal(err)
	}
	return d.Value.(dhtpart.DedupStatus)
}

func dedupHash(n int) (h wire.Hash) {
	binary.BigEndian.PutUint64(h[:], uint64(n)*0x9e3779b97f4a7c15) // no order
	binary.BigEndian.PutUint64(h[8:], uint64(n))
	return h
}

// kept is what would be read from the disk.
func kept(t *testing.T, db kv.DB, capacity int) map[wire.Hash]uint32 {
	t.Helper()
	d, damaged, err := dhtpart.LoadDedup(db, capacity, time.Now())
	if err != nil || damaged > 0 {
		t.Fatalf("got %d damaged records, %v, want none", damaged, err)
	}
	return hits(d)
}

func hits(d *dht.Dedup) map[wire.Hash]uint32 {
	m := make(map[wire.Hash]uint32)
	for _, r := range d.All() {
		m[r.Hash] = r.Hits
	}
	return m
}

// wantKept compares the disk with the memory.
func wantKept(t *testing.T, n *dedupNode, db kv.DB) {
	t.Helper()
	if got, want := kept(t, db, n.DHT.Dedup.Stats().Capacity), hits(n.DHT.Dedup); !maps.Equal(got, want) {
		t.Errorf("got %d records on the disk, want the %d in memory, and equal ones", len(got), len(want))
	}
}

// openDedup opens a store in a directory.
func openDedup(t *testing.T, dir string) kv.DB {
	t.Helper()
	db, err := kv.OpenPebble(dir)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// TestDedupSurvivesARestart is on a real disk: hits and their order are the same
// after a restart, and what is above the capacity then is removed.
//
// conforms: dht 50-52
func TestDedupSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	db := openDedup(t, dir)
	n, err := startDedup(db, 3000, nil)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now().Add(-time.Minute)
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	for i := range 4000 { // the first thousand are forgotten
		n.DHT.Dedup.Count(dedupHash(i), identity.NodeID{1}, at(i))
		if i%700 == 0 {
			if err := n.drain(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := 3999; i >= 3500; i-- { // in the opposite order
		n.DHT.Dedup.Count(dedupHash(i), identity.NodeID{1}, at(10_000-i))
	}
	if err := n.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := n.DHT.Dedup.All()
	if err := n.root.Stop(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	db = openDedup(t, dir)
	defer db.Close()
	d, damaged, err := dhtpart.LoadDedup(db, 3000, time.Now())
	if err != nil || damaged != 0 {
		t.Fatalf("got %d damaged, %v, want none", damaged, err)
	}
	same := func(a, b dht.DedupRecord) bool {
		return a.Hash == b.Hash && a.Hits == b.Hits && a.From == b.From && a.First.Equal(b.First) && a.LastHit.Equal(b.LastHit)
	}
	if got := d.All(); !slices.EqualFunc(got, want, same) {
		t.Errorf("got %d records, want the same %d in the same order", len(got), len(want))
	}
	if c := d.Changes(5000); len(c.Put) != 0 || c.Whole { // those that are forgotten may still be on the disk
		t.Errorf("got %d changes, want none", len(c.Put))
	}
	for i, want := range map[int]uint32{4000: 0, 1000: 1, 3499: 1, 3500: 2, 3999: 2} {
		if got := d.Seen(dedupHash(i)); got != want {
			t.Errorf("message %d: got %d copies, want %d", i, got, want)
		}
	}

	n, err = startDedup(db, 500, nil) // fewer fit now
	if err != nil {
		t.Fatal(err)
	}
	n.DHT.Dedup.Count(dedupHash(3500), identity.NodeID{1}, at(20_000)) // still the newest
	if err := n.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantKept(t, n, db)
	size := 0
	entries, _ := db.Scan([]byte("d"))
	for _, value := range entries {
		size += len(value)
	}
	if size != 500*66 {
		t.Errorf("got %d bytes on the disk, want 500 records", size)
	}
	if got := n.DHT.Dedup.All(); len(got) != 500 || got[0].Hash != dedupHash(3999) || got[499].Hash != dedupHash(3500) {
		t.Errorf("got %d records, want the 500 that were seen last", len(got))
	}
	if err := n.root.Stop(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

// TestDedupDamagedWhileItRuns: a segment that is damaged or lost while the node runs is found when
// segments are merged. Then all records are written again from memory: none is lost.
func TestDedupDamagedWhileItRuns(t *testing.T) {
	for what, damage := range map[string]func(b *kv.Batch, key []byte){
		"damaged": func(b *kv.Batch, key []byte) { b.Set(key, []byte("short")) },
		"lost":    func(b *kv.Batch, key []byte) { b.Delete(key) },
	} {
		gamelantest.Bubble(t, func(t *testing.T) {
			db := kv.Memory()
			n := playDedup(t, db, 3000, nil)
			segments := func() (keys [][]byte) {
				entries, _ := db.Scan([]byte("d"))
				for key := range entries {
					keys = append(keys, slices.Clone(key))
				}
				return keys
			}
			for i := range 700 {
				n.count(i, i)
				if err := n.drain(t.Context()); err != nil {
					t.Fatal(err)
				}
				if i == 200 {
					var b kv.Batch
					damage(&b, segments()[0])
					if err := db.Apply(&b, true); err != nil {
						t.Fatal(err)
					}
				}
			}
			time.Sleep(time.Minute)
			if all := len(segments()); all > 256 {
				t.Errorf("%s: got %d segments, want them merged", what, all)
			}
			wantKept(t, n, db)
			if s := n.status(t); s.Err != "" {
				t.Errorf("%s: got %s, want a disk that is whole again", what, s.Err)
			}
		})
	}
}

// TestDedupFloodBeforeARestart: what a flood of one peer could not push out of the
// memory it does not push out by a restart either, although the disk holds some of
// what was forgotten.
//
// conforms: dht 51, 52
func TestDedupFloodBeforeARestart(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		const honest, capacity = 400, 1000
		db := kv.Memory()
		n := playDedup(t, db, capacity, nil)
		for i := range honest {
			n.DHT.Dedup.Count(dedupHash(i), identity.NodeID{1}, time.Now())
		}
		for i := range 5 * capacity {
			n.DHT.Dedup.Count(dedupHash(10_000+i), identity.NodeID{9}, time.Now())
			if i%500 == 0 {
				time.Sleep(time.Second)
			}
		}
		if err := n.drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		d, damaged, err := dhtpart.LoadDedup(db, capacity, time.Now())
		if err != nil || damaged > 0 || d.Len() != capacity {
			t.Fatalf("got %d records, %d damaged, %v, want %d", d.Len(), damaged, err, capacity)
		}
		for i := range honest {
			if got := d.Seen(dedupHash(i)); got != 1 {
				t.Fatalf("message %d of another peer: got %d copies after a restart, want 1", i, got)
			}
		}
	})
}

// TestDedupWritesBehind: a burst is written once, soon; then everything rests.
func TestDedupWritesBehind(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		d := &kvtest.Refusing{DB: kv.Memory()}
		n := playDedup(t, d, 100, nil)
		time.Sleep(time.Minute)
		if got := d.Set(nil); got != 0 {
			t.Errorf("with nothing counted: got %d writes, want none", got)
		}
		n.count(1, 10)
		time.Sleep(49 * time.Millisecond)
		n.count(11, 20)
		synctest.Wait()
		if got := d.Set(nil); got != 0 {
			t.Errorf("before its time: got %d writes, want none", got)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if got := d.Set(nil); got != 2 { // and a sync
			t.Errorf("got %d writes, want one and a sync", got)
		}
		wantKept(t, n, d)
		n.count(5, 130) // thirty are forgotten
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		if got := d.Set(nil); got != 3 {
			t.Errorf("right behind a sync: got %d writes, want one more", got)
		}
		if s := n.status(t); s.Hashes != 100 || s.Capacity != 100 || s.Copies != 16 || s.Pending != 0 || !s.Writing || s.Fails != 0 || s.Err != "" {
			t.Errorf("got %+v, want 100 hashes, 16 copies, nothing pending but a sync", s)
		}
		wantKept(t, n, d)
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := d.Set(nil); got != 4 {
			t.Errorf("at rest: got %d writes, want one sync more", got)
		}
		if s := n.status(t); s.Writing {
			t.Errorf("at rest: got %+v, want everything on the disk", s)
		}
		if line, err := n.root.Inspect(t.Context(), dedupPath); err != nil || line.Line != "100 of 100 hashes, 16 copies, 0 to write, 30 fingerprints" {
			t.Errorf("got %q, %v, want a line that says how many", line.Line, err)
		}
	})
}

// TestDedupCountsWithoutItsDisk has a disk that refuses for an hour: every
// message is delivered once all the same, and then the disk has what the memory
// has.
//
// conforms: dht 53; V 29
func TestDedupCountsWithoutItsDisk(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		d := &kvtest.Refusing{DB: kv.Memory()}
		n := playDedup(t, d, 1000, nil)
		n.count(1, 500)
		time.Sleep(time.Minute)
		wantKept(t, n, d)

		full := errors.New("no space left")
		before := d.Set(full)
		for i := 400; i <= 1500; i++ { // a hundred were seen; five hundred go
			want := uint32(1)
			if i <= 500 {
				want = 2
			}
			if got := n.DHT.Dedup.Count(dedupHash(i), identity.NodeID{1}, time.Now()); got != want {
				t.Fatalf("message %d: got copy %d, want %d", i, got, want)
			}
			time.Sleep(time.Second)
		}
		for i := 1000; i <= 1500; i++ {
			if got := n.DHT.Dedup.Count(dedupHash(i), identity.NodeID{1}, time.Now()); got != 2 {
				t.Fatalf("message %d again: got copy %d, want 2", i, got)
			}
		}
		if s := n.status(t); s.Fails == 0 || !strings.Contains(s.Err, "no space left") || s.Pending == 0 {
			t.Errorf("got %+v, want to be told of the failing disk", s)
		}
		if writes := d.Set(full) - before; writes > 35 {
			t.Errorf("got %d tries in 18 minutes, want about one a minute", writes)
		}
		if got := len(kept(t, d, 1000)); got != 500 {
			t.Errorf("got %d records on the full disk, want those from before", got)
		}

		d.Set(nil)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		wantKept(t, n, d)
		if s := n.status(t); s.Fails != 0 || s.Err != "" || s.Pending != 0 {
			t.Errorf("with room: got %+v, want no trouble", s)
		}
	})
}

// forgetfulDisk loses what was not synced when it fails, and is opened anew by
// the next write, as kv.OpenPebble's.
type forgetfulDisk struct {
	kv.DB
	mu     sync.Mutex
	synced map[string][]byte
	failed bool
}

func (d *forgetfulDisk) Client() kv.Client { return d }

func (d *forgetfulDisk) fail() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = true
	var b kv.Batch
	entries, _ := d.Scan(nil)
	for key := range entries {
		if _, ok := d.synced[string(key)]; !ok {
			b.Delete(slices.Clone(key))
		}
	}
	for key, value := range d.synced {
		b.Set([]byte(key), value)
	}
	if err := d.DB.Apply(&b, true); err != nil {
		panic(err)
	}
}

func (d *forgetfulDisk) Apply(b *kv.Batch, sync bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed {
		d.failed = false
		return kv.ErrReopened
	}
	err := d.DB.Apply(b, sync)
	if sync {
		d.synced = make(map[string][]byte)
		entries, _ := d.Scan(nil)
		for key, value := range entries {
			d.synced[string(key)] = slices.Clone(value)
		}
	}
	return err
}

// TestDedupOfAReopenedStore loses writes that were taken for good: memory and
// disk agree afterwards.
//
// conforms: V 29
func TestDedupOfAReopenedStore(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		d := &forgetfulDisk{DB: kv.Memory()}
		n := playDedup(t, d, 100, nil)
		n.count(1, 50)
		time.Sleep(100 * time.Millisecond) // and a sync
		n.count(40, 120)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		wantKept(t, n, d)
		d.fail()
		if got := len(kept(t, d, 1000)); got != 50 {
			t.Fatalf("got %d records after the failure, want the 50 synced", got)
		}
		n.count(121, 121)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		wantKept(t, n, d)
	})
}

// TestDedupActorKilled kills the actor and its tasks at every point in turn
// while messages are counted and the disk refuses now and then.
//
// conforms: V 29
func TestDedupActorKilled(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 5))
		var mu sync.Mutex
		points := make(map[string]int)
		armed := 0
		d := &kvtest.Refusing{DB: kv.Memory()}
		n := playDedup(t, d, 300, func(path, point string) {
			mu.Lock()
			defer mu.Unlock()
			if armed > 0 && path == dedupPath && points[point] < 5 {
				points[point]++
				armed--
				panic("on request")
			}
		})
		model := make(map[int]uint32) // nobody is forgotten: of 300
		for range 120 {
			mu.Lock()
			armed = 1 + r.IntN(2)
			mu.Unlock()
			d.Set(nil)
			if r.IntN(4) == 0 {
				d.Set(errors.New("no space left"))
			}
			for range r.IntN(60) {
				i := r.IntN(300)
				model[i]++
				if got := n.DHT.Dedup.Count(dedupHash(i), identity.NodeID{1}, time.Now()); got != model[i] {
					t.Fatalf("got copy %d, want %d", got, model[i])
				}
			}
			time.Sleep(time.Duration(26+r.IntN(10)) * time.Second) // restarts are counted by the minute
		}
		mu.Lock()
		armed = 0
		for _, point := range []string{"*actor.Started", "dhtpart.dedupChanged", "dhtpart.dedupDue", "task write"} {
			if points[point] == 0 {
				t.Errorf("got kills at %v, want one at %s too", points, point)
			}
		}
		mu.Unlock()
		d.Set(nil)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		wantKept(t, n, d)
		if s := n.status(t); s.Pending != 0 || s.Writing {
			t.Errorf("got %+v, want everything on the disk", s)
		}
	})
}

// lonely is a store that notes how many writes are under way at a time.
type lonely struct {
	kv.DB
	mu            sync.Mutex
	running, most int
	hold          chan struct{} // writes wait for it
}

func (l *lonely) Client() kv.Client { return l }

func (l *lonely) Apply(b *kv.Batch, sync bool) error {
	l.mu.Lock()
	l.running++
	l.most = max(l.most, l.running)
	l.mu.Unlock()
	<-l.hold
	err := l.DB.Apply(b, sync)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	return err
}

// TestDedupWritesOneAtATime kills the actor while its write does not end: the
// next incarnation's waits for it, and nothing older comes last.
func TestDedupWritesOneAtATime(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := &lonely{DB: kv.Memory(), hold: make(chan struct{})}
		var mu sync.Mutex
		kill := false
		n := playDedup(t, l, 100, func(path, point string) {
			mu.Lock()
			defer mu.Unlock()
			if path == dedupPath && point == "dhtpart.dedupChanged" && kill {
				kill = false
				panic("on request")
			}
		})
		n.count(1, 80)
		time.Sleep(time.Second) // a write is under way
		for range 3 {
			mu.Lock()
			kill = true
			mu.Unlock()
			n.count(50, 130)
			time.Sleep(time.Minute)
		}
		close(l.hold)
		time.Sleep(time.Minute)
		synctest.Wait()
		if l.most != 1 {
			t.Errorf("got %d writes at a time, want one", l.most)
		}
		wantKept(t, n, l)
		if got := n.DHT.Dedup.Seen(dedupHash(129)); got != 3 {
			t.Errorf("got %d copies, want 3", got)
		}
	})
}

// TestDedupDrainsAfterARestart kills the actor while somebody waits for the end of
// its write: the next incarnation answers, when what was counted is on the disk.
func TestDedupDrainsAfterARestart(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := &lonely{DB: kv.Memory(), hold: make(chan struct{})}
		var kill atomic.Bool
		n := playDedup(t, l, 100, func(path, point string) {
			if path == dedupPath && point == "dhtpart.dedupChanged" && kill.CompareAndSwap(true, false) {
				panic("on request")
			}
		})
		n.count(1, 10)
		drained := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			drained <- n.drain(ctx)
		}()
		time.Sleep(time.Second) // a write is under way
		kill.Store(true)
		n.count(11, 20)
		time.Sleep(time.Minute)
		if kill.Load() || len(drained) > 0 {
			t.Fatalf("killed %v, drained %d, want a restart while the disk is stuck", !kill.Load(), len(drained))
		}
		close(l.hold)
		if err := <-drained; err != nil {
			t.Errorf("drain: %v", err)
		}
		wantKept(t, n, l)
	})
}

// TestDamagedDedupRecords are skipped and counted, and deleted by the first
// write; what is not of this keyspace stays.
func TestDamagedDedupRecords(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		db := kv.Memory()
		n := playDedup(t, db, 100, nil)
		n.count(1, 10)
		time.Sleep(time.Minute)
		first := dedupHash(1)
		var b kv.Batch
		entries, _ := db.Scan([]byte("d"))
		for key, value := range entries {
			at := slices.Index(splitItems(value), first)
			value[at*66+32]++ // its version
			b.Set(slices.Clone(key), slices.Clone(value))
			b.Set(append(slices.Clone(key[:8]), 0xff), value[:65])
			b.Set(append(slices.Clone(key), 0), value)
		}
		b.Set([]byte("d"), nil)
		b.Set([]byte("p of the peer store"), []byte{1})
		b.Set([]byte("e"), []byte{1})
		if err := db.Apply(&b, false); err != nil {
			t.Fatal(err)
		}
		d, damaged, err := dhtpart.LoadDedup(db, 100, time.Now())
		if err != nil || damaged != 4 || d.Len() != 9 || d.Seen(first) != 0 {
			t.Errorf("got %d damaged, %d records, %v, want 4, 9 and nil", damaged, d.Len(), err)
		}
		again := playDedup(t, db, 100, nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		wantKept(t, again, db)
		for _, key := range []string{"p of the peer store", "e"} {
			if _, err := db.Get([]byte(key)); err != nil {
				t.Errorf("%s: got %v, want it left alone", key, err)
			}
		}
	})
}

// splitItems is the hashes of a segment.
func splitItems(value []byte) (list []wire.Hash) {
	for item := range slices.Chunk(value, 66) {
		list = append(list, wire.Hash(item))
	}
	return list
}

// TestDedupSegments writes little at a time for long: what is on the disk stays
// bounded, in keys and in bytes, and is what is in memory, also after restarts.
//
// conforms: dht 52; V 29
func TestDedupSegments(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		const capacity = 1500
		r := rand.New(rand.NewPCG(3, 3))
		db := kv.Memory()
		newest := 0
		for range 8 {
			n := playDedup(t, db, capacity, nil)
			for step := range 600 {
				for range r.IntN(8) {
					i := newest - r.IntN(1400) // often a copy
					if r.IntN(2) == 0 {
						newest++
						i = newest
					}
					n.count(i, i)
					time.Sleep(time.Microsecond) // no two at a time: which is forgotten is certain
				}
				time.Sleep(time.Duration(r.IntN(100)) * time.Millisecond)
				if step%100 == 0 {
					time.Sleep(time.Second)
					synctest.Wait()
					wantKept(t, n, db)
				}
				keys, size := 0, 0
				entries, _ := db.Scan([]byte("d"))
				for _, value := range entries {
					keys++
					size += len(value)
				}
				if keys > 257 || size > (2*capacity+2*1024)*66 {
					t.Fatalf("got %d keys and %d bytes, want a bound", keys, size)
				}
			}
			time.Sleep(2 * time.Second)
			if err := n.root.Stop(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestDedupOfAStoreThatCannotBeRead is an error that says so.
func TestDedupOfAStoreThatCannotBeRead(t *testing.T) {
	db := kv.Memory()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := dhtpart.LoadDedup(db, 10, time.Now()); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}
