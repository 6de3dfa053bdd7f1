package product

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/actors/dhtpart"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/anchors"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Dedup is gamelan/dedup-new-hashes: every hash is new and the memory full, so
// that each makes another one go; the actor writes behind into a store on the
// disk. An operation is a hash in memory; the report says how many of them were
// written too: what is forgotten before its turn comes never is.
func Dedup() harness.Case {
	return dedup("gamelan/dedup-new-hashes", 0)
}

// DedupAll is gamelan/dedup-new-hashes-all-written: the same, but the one who
// counts waits while more than half of what is remembered is not written, so
// that every hash reaches the store, and is deleted there.
func DedupAll() harness.Case {
	return dedup("gamelan/dedup-new-hashes-all-written", dht.DedupCapacity/2)
}

func dedup(name string, pending int) harness.Case {
	return harness.Case{Name: name, Run: onDisk(func(m *harness.Meter, db kv.DB) (err error) {
		d, _, err := dhtpart.LoadDedup(db, dht.DedupCapacity, time.Now())
		if err != nil {
			return err
		}
		root, err := startDedup(d, db)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, root.Stop(context.Background(), nil)) }()
		written := func() float64 {
			detail, err := root.Inspect(m.Context(), "bench/node/dedup")
			if err != nil {
				return 0
			}
			return float64(detail.Value.(dhtpart.DedupStatus).Written)
		}
		const some = 1000
		n := uint64(0)
		count := func() error {
			for pending > 0 && d.Pending() > pending {
				time.Sleep(time.Millisecond)
			}
			now := time.Now()
			for range some {
				n++
				if got := d.Count(anchors.HashOf(n), identity.NodeID{}, now); got != 1 {
					return fmt.Errorf("got copy %d of a new hash", got)
				}
			}
			return nil
		}
		for range dht.DedupCapacity / some {
			if err := count(); err != nil {
				return err
			}
		}
		begin, before := time.Now(), written()
		if err := m.Until(some, count); err != nil {
			return err
		}
		m.Report("changes written/s", (written()-before)/time.Since(begin).Seconds())
		return nil
	})}
}

// onDisk runs a case with a store on the disk, made for it.
func onDisk(run func(*harness.Meter, kv.DB) error) func(*harness.Meter) error {
	return func(m *harness.Meter) (err error) {
		dir, err := os.MkdirTemp("", "gamelan-bench-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		db, err := kv.OpenPebble(filepath.Join(dir, "store"))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		return run(m, db)
	}
}

// startDedup starts the actor that writes behind, alone in a tree.
func startDedup(d *dht.Dedup, db kv.DB) (*supervisor.Root, error) {
	store, err := peerstore.Open(kv.Memory(), peerstore.Options{})
	if err != nil {
		return nil, err
	}
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return nil, err
	}
	trunk := trunk.NewNode(trunk.Settings{
		Base:     base.Settings{System: gamelan.NewSystem(logger), Root: "bench", Profile: protocol.Tari(protocol.LocalNet), Secret: secret, Now: time.Now, Logger: slog.New(slog.DiscardHandler)},
		Store:    store,
		Messages: messengers.Settings{NodeCredit: 1 << 20, PeerCredit: 1 << 16, DHT: true},
	})
	part := dhtpart.New(trunk.Trunk, dhtpart.Settings{Dedup: d, DB: db})
	return supervisor.Start(trunk.System(), trunk.Root(), supervisor.Spec{
		Name: "node", Kind: "group", New: supervisor.Group(supervisor.Spec{
			Name: "dedup", Kind: "dedup", Drains: true, New: func() actor.Actor { return dhtpart.NewDedup(part) },
		}),
	}, supervisor.Options{Logger: logger})
}

// LoadDedup is gamelan/load-dedup-N: what the start of a node reads that
// remembers n messages, from a store on the disk.
func LoadDedup(n int) harness.Case {
	return harness.Case{Name: fmt.Sprintf("gamelan/load-dedup-%d", n), Run: onDisk(func(m *harness.Meter, db kv.DB) (err error) {
		d := dht.NewDedup(n)
		root, err := startDedup(d, db)
		if err != nil {
			return err
		}
		for i := range n {
			d.Count(anchors.HashOf(uint64(i)), identity.NodeID{}, time.Now())
		}
		for d.Pending() > 0 {
			time.Sleep(time.Millisecond)
		}
		if err := root.Stop(m.Context(), nil); err != nil {
			return err
		}
		return m.Loop(1, func() error {
			d, damaged, err := dhtpart.LoadDedup(db, n, time.Now())
			if err == nil && (damaged > 0 || d.Len() != n) {
				err = fmt.Errorf("got %d records and %d damaged", d.Len(), damaged)
			}
			return err
		})
	})}
}
