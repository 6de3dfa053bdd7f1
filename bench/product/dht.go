package product

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
)

// Sign is gamelan/dht-sign: signatures of the DHT's messages, one after another.
func Sign() harness.Case {
	return harness.Case{Name: "gamelan/dht-sign", Run: func(m *harness.Meter) error {
		secret, err := identity.NewSecret(rand.Reader)
		if err != nil {
			return err
		}
		binding := [32]byte(payload(32))
		return m.Loop(10, func() error {
			_, err := wire.Sign(secret, binding, rand.Reader)
			return err
		})
	}}
}

// Verify is gamelan/dht-verify: the same signature is verified again and again.
func Verify() harness.Case {
	return harness.Case{Name: "gamelan/dht-verify", Run: func(m *harness.Meter) error {
		secret, err := identity.NewSecret(rand.Reader)
		if err != nil {
			return err
		}
		binding := [32]byte(payload(32))
		s, err := wire.Sign(secret, binding, rand.Reader)
		if err != nil {
			return err
		}
		return m.Loop(10, func() error { return s.Verify(binding) })
	}}
}

// benchType is the application's message type.
const benchType = 1001

// ReceiveDHT is gamelan/dht-received-N, with "-Sshards" for more than one: a node
// receives signed messages of n bytes, remembers them on the disk too and
// delivers them to the actor of their type. In a process of their own, one peer
// for each shard sends what was made before. CPU is the receiver's alone.
func ReceiveDHT(n, shards int) harness.Case {
	name := "gamelan/dht-received-" + size(n)
	if shards > 1 {
		name += fmt.Sprintf("-%dshards", shards)
	}
	return harness.Case{Name: name, Run: func(m *harness.Meter) error {
		return receiving(m, &gamelan.DHTConfig{Shards: shards}, writers{Size: n, Different: dht.DedupCapacity + 5000}, func(_ *gamelan.Node, delivered *atomic.Uint64) func() uint64 {
			return delivered.Load
		})
	}}
}

// DuplicatesDHT is gamelan/dht-duplicates-N: the same, but the peer sends the
// same few messages again and again. The node holds that peer, so that they are
// no flood. An operation is one that was dropped.
func DuplicatesDHT(n int) harness.Case {
	return harness.Case{Name: "gamelan/dht-duplicates-" + size(n), Run: func(m *harness.Meter) error {
		return receiving(m, &gamelan.DHTConfig{}, writers{Size: n, Different: 64}, func(to *gamelan.Node, _ *atomic.Uint64) func() uint64 {
			return func() uint64 { return ended(to, dht.Duplicate) }
		})
	}}
}

// ReceiveSealedDHT is gamelan/dht-received-encrypted-N: as ReceiveDHT, but the
// messages are encrypted for the node. It has records of 2,000 messages only, and is
// sent 12,000: making more of them would take the peer too long.
func ReceiveSealedDHT(n int) harness.Case {
	const remembered = 2000
	return harness.Case{Name: "gamelan/dht-received-encrypted-" + size(n), Run: func(m *harness.Meter) error {
		return receiving(m, &gamelan.DHTConfig{DedupCapacity: remembered}, writers{Size: n, Different: 6 * remembered, Sealed: true},
			func(_ *gamelan.Node, delivered *atomic.Uint64) func() uint64 { return delivered.Load })
	}}
}

// ended is how many messages of the DHT have ended in that way.
func ended(n *gamelan.Node, why dht.Reason) uint64 {
	for _, c := range nodetest.DHT(n).Counts() {
		if c.Reason == why {
			return c.Count
		}
	}
	return 0
}

// receiving measures a node to which writers write, one for each of its shards.
func receiving(m *harness.Meter, cfg *gamelan.DHTConfig, w writers, counter func(to *gamelan.Node, delivered *atomic.Uint64) func() uint64) (err error) {
	dir, err := os.MkdirTemp("", "gamelan-bench-")
	if err != nil {
		return err
	}
	s := &nodes{ctx: m.Context()}
	defer func() { err = errors.Join(err, s.close(), os.RemoveAll(dir)) }()
	var delivered atomic.Uint64
	to, err := s.start(gamelan.Config{DataDir: dir, DHT: cfg},
		gamelan.WithType(benchType, func(*gamelan.Node) actor.Actor {
			return receive(func(c actor.Context) {
				if _, ok := c.Message().(dht.Received); ok {
					delivered.Add(1)
				}
			})
		}))
	if err != nil {
		return err
	}
	if w.Secrets, err = inEachShard(to, max(1, cfg.Shards)); err != nil {
		return err
	}
	for _, from := range w.Secrets {
		defer to.Protect(from.NodeID(), "bench")()
	}
	w.Seed, w.To = to.Seed(), to.PublicKey()
	process, err := startWriters(s.ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, process.stop()) }()
	if err := process.begin(); err != nil {
		return err
	}
	received := counter(to, &delivered)
	if err := until(m, func() bool { return received() > 0 }); err != nil {
		return err
	}
	m.SetBytes(w.Size)
	if err := m.Flow(received); err != nil {
		return err
	}
	return onlyFine(to)
}

// onlyFine says if a message has ended in another way than those measured.
func onlyFine(n *gamelan.Node) (err error) {
	for _, c := range nodetest.DHT(n).Counts() {
		if c.Reason != dht.Delivered && c.Reason != dht.Duplicate {
			err = errors.Join(err, fmt.Errorf("%d messages: %v (%+v)", c.Count, c.Reason, c.Last))
		}
	}
	return err
}

// inEachShard makes identities of peers that are judged by different actors.
func inEachShard(to *gamelan.Node, shards int) (all []*identity.Secret, err error) {
	var taken []string
	for len(all) < shards {
		s, err := identity.NewSecret(rand.Reader)
		if err != nil {
			return nil, err
		}
		if shard := nodetest.DHT(to).Inbound(s.NodeID()).Id; !slices.Contains(taken, shard) {
			taken, all = append(taken, shard), append(all, s)
		}
	}
	return all, nil
}
