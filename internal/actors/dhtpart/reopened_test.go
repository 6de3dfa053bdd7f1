//go:build !nodisk

package dhtpart_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/dhtpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/kv/kvtest"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// writers is a tree with the two actors that keep something in the node's
// store, on a disk that can fail.
type writers struct {
	trunk.Node
	DHT   *dhtpart.DHT
	disk  *kvtest.Disk
	db    kv.DB
	root  *supervisor.Root
	hash  int // the last that was counted
	peers int // … added
}

func playWriters(t *testing.T) *writers {
	t.Helper()
	w := &writers{disk: kvtest.NewDisk()}
	db, err := w.disk.Open()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := identity.NewSecret(strings.NewReader(strings.Repeat("writers", 20)))
	if err != nil {
		t.Fatal(err)
	}
	store, err := peerstore.Open(db, peerstore.Options{Self: secret.NodeID()})
	if err != nil {
		t.Fatal(err)
	}
	d, _, err := dhtpart.LoadDedup(db, 1000, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	discard := slog.New(slog.DiscardHandler)
	w.db = db
	w.Node = trunk.NewNode(trunk.Settings{
		Base:     base.Settings{System: actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return discard })), Root: "writers", Profile: protocol.Tari(protocol.LocalNet), Secret: secret, Now: time.Now, Logger: discard},
		Store:    store,
		Messages: messengers.Settings{NodeCredit: 1 << 20, PeerCredit: 1 << 16, DHT: true},
	})
	w.DHT = dhtpart.New(w.Trunk, dhtpart.Settings{Dedup: d, DB: db})
	w.root, err = supervisor.Start(w.System(), w.Root(), supervisor.Spec{
		Name: "node", Kind: "group", New: supervisor.Group(
			supervisor.Spec{Name: "peers", Kind: "peers", Drains: true, New: func() actor.Actor { return w.NewPeers() }},
			supervisor.Spec{Name: "dht", Kind: "group", Drains: true, New: supervisor.Group(
				supervisor.Spec{Name: "dedup", Kind: "dedup", Drains: true, New: func() actor.Actor { return dhtpart.NewDedup(w.DHT) }},
			)}),
	}, supervisor.Options{
		Logger: discard, StopTimeout: time.Minute,
		Phases: []supervisor.Phase{{Drain: []string{"peers", "dht/dedup"}, Stop: []string{"dht", "peers"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.root.Stop(context.Background(), nil)
		_ = w.db.Close()
		time.Sleep(2 * time.Second)
	})
	synctest.Wait()
	return w
}

func (w *writers) addPeer() {
	w.peers++
	w.System().Root.Send(w.Peers(), peerbook.AddPeer{Peer: known(byte(w.peers))})
}

func (w *writers) count(n int) {
	for range n {
		w.hash++
		w.DHT.Dedup.Count(dedupHash(w.hash), identity.NodeID{1}, time.Now())
	}
}

// lose has the disk take, and lose, three records of peers and forty hashes that
// nobody waits for. It works again afterwards; a third writer has seen the
// failure, so that the next write opens the store anew.
func (w *writers) lose(t *testing.T) {
	t.Helper()
	time.Sleep(time.Minute)
	w.addPeer()
	w.count(1)
	time.Sleep(300 * time.Millisecond) // these have been synced
	synctest.Wait()
	w.disk.Fail(errors.New("unplugged"))
	for range 3 {
		w.addPeer()
	}
	w.count(40)
	time.Sleep(200 * time.Millisecond)
	synctest.Wait()
	if trouble, ok := w.StoreTrouble(); ok || w.PeerStore().Pending() > 0 || w.DHT.Dedup.Pending() > 0 {
		t.Fatalf("got trouble %v, %d and %d pending, want all taken by the disk", trouble.Err, w.PeerStore().Pending(), w.DHT.Dedup.Pending())
	}
	var b kv.Batch
	b.Set([]byte("third"), nil)
	if err := w.db.Client().Apply(&b, true); !errors.Is(err, kv.ErrFailed) {
		t.Fatalf("got %v from a sync, want ErrFailed", err)
	}
	w.disk.Fail(nil)
}

func (w *writers) stop(t *testing.T) {
	t.Helper()
	if err := w.root.Stop(context.Background(), nil); err != nil {
		t.Error(err)
	}
	if err := w.db.Close(); err != nil {
		t.Error(err)
	}
}

// wantAll compares what a node would know after a restart with what this one
// knows.
func (w *writers) wantAll(t *testing.T) {
	t.Helper()
	db, err := w.disk.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	store, err := peerstore.Open(db, peerstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ids := func(s *peerstore.Store) (list []string) {
		for p := range s.View().All() {
			list = append(list, p.ID.String())
		}
		return list
	}
	if got, want := ids(store), ids(w.PeerStore()); !slices.Equal(got, want) || len(want) != w.peers {
		t.Errorf("got %d of %d peers after a restart, want all %d", len(got), len(want), w.peers)
	}
	if got, want := kept(t, db, 1000), hits(w.DHT.Dedup); !maps.Equal(got, want) || len(want) != w.hash {
		t.Errorf("got %d of %d hashes after a restart, want all %d", len(got), len(want), w.hash)
	}
}

// TestEveryWriterHearsOfAHealedDisk has a disk lose what peers and dedup had
// written, three times in a row. Whoever writes first afterwards, and whether
// the other one writes again of its own accord, is asked to drain or never
// writes: after a restart everything is known.
//
// conforms: V 29; V 31
func TestEveryWriterHearsOfAHealedDisk(t *testing.T) {
	first := map[string]func(w *writers){
		"peers first": (*writers).addPeer,
		"dedup first": func(w *writers) { w.count(1) },
		"drain first": func(*writers) {},
	}
	for name, write := range first {
		for _, wait := range []time.Duration{0, 10 * time.Minute} {
			t.Run(fmt.Sprintf("%s, restarted after %v", name, wait), func(t *testing.T) {
				gamelantest.Bubble(t, func(t *testing.T) {
					w := playWriters(t)
					for range 3 {
						w.lose(t)
						write(w)
						if name != "drain first" {
							time.Sleep(60 * time.Millisecond)
							synctest.Wait()
						}
						time.Sleep(wait)
					}
					w.stop(t)
					w.wantAll(t)
				})
			})
		}
	}
}

// TestHealedDiskAndAKilledProcess ends the process a few seconds after the disk
// works again, without a drain: both writers have made good by then what was
// lost, without a further write.
//
// conforms: V 29; V 31
func TestHealedDiskAndAKilledProcess(t *testing.T) {
	for _, name := range []string{"peers first", "dedup first", "nobody first"} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				w := playWriters(t)
				w.lose(t)
				switch name {
				case "peers first":
					w.addPeer()
				case "dedup first":
					w.count(1)
				}
				time.Sleep(3 * time.Second)
				synctest.Wait()
				w.disk.Fail(errors.New("the end")) // nothing that the stop writes counts
				_ = w.root.Stop(context.Background(), nil)
				_ = w.db.Close()
				w.disk.Fail(nil)
				w.wantAll(t)
			})
		})
	}
}
