package product

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// ClosestPeers is gamelan/closest-20-of-N: one look-up of the 20 peers closest
// to a random id among n.
func ClosestPeers(n int) harness.Case {
	return harness.Case{Name: fmt.Sprintf("gamelan/closest-20-of-%d", n), Run: func(m *harness.Meter) error {
		s, err := peerstore.Open(kv.Memory(), peerstore.Options{MaxPeers: n})
		if err != nil {
			return err
		}
		if err := acquaint(s, n); err != nil {
			return err
		}
		v, i := s.View(), uint64(0)
		return m.Loop(1000, func() error {
			i++
			if got := v.Closest(madeUpKey(1<<40+i).NodeID(), 20, nil); len(got) != 20 {
				return fmt.Errorf("got %d peers", len(got))
			}
			return nil
		})
	}}
}

// PeerMemory is gamelan/peers-memory-N: what a peer costs in the store, with one
// or two addresses, a claim and what it was heard to speak.
func PeerMemory(n int) harness.Case {
	return harness.Case{Name: fmt.Sprintf("gamelan/peers-memory-%d", n), Fresh: true, Rounds: 2, Run: func(m *harness.Meter) error {
		var s *peerstore.Store
		return m.Memory(n, 0, func() (func(), error) {
			var err error
			if s, err = peerstore.Open(forgetful{kv.Memory()}, peerstore.Options{MaxPeers: n}); err != nil {
				return nil, err
			}
			if err = acquaint(s, n); err == nil {
				err = s.Batch().Commit(true) // nothing waits for the disk at rest
			}
			return func() { s = nil }, err
		})
	}}
}

// forgetful is a disk whose content does not count.
type forgetful struct{ kv.DB }

func (forgetful) Apply(*kv.Batch, bool) error { return nil }
func (f forgetful) Client() kv.Client         { return f }

// StartWithPeers is gamelan/start-with-N-peers: the start of a node whose data
// directory holds that many, closed again between two starts.
func StartWithPeers(n int) harness.Case {
	return harness.Case{Name: fmt.Sprintf("gamelan/start-with-%d-peers", n), Run: func(m *harness.Meter) (err error) {
		dir, err := os.MkdirTemp("", "gamelan-bench-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		if err := write(filepath.Join(dir, "peers"), n); err != nil {
			return err
		}
		ns := &nodes{ctx: m.Context()}
		return m.Timed(func(window time.Duration) (all []time.Duration, err error) {
			for end := time.Now().Add(window); len(all) < 3 || time.Now().Before(end); {
				begin := time.Now()
				node, err := ns.start(gamelan.Config{DataDir: dir, MaxPeers: n, Listen: []string{gamelan.ListenNowhere}})
				if err != nil {
					return nil, err
				}
				all = append(all, time.Since(begin))
				if got := node.Peers().Len(); got != n {
					return nil, errors.Join(fmt.Errorf("got %d peers, want %d", got, n), ns.close())
				}
				if err := ns.close(); err != nil {
					return nil, err
				}
			}
			return all, nil
		})
	}}
}

// write makes a peer store in a directory.
func write(dir string, n int) (err error) {
	db, err := kv.OpenPebble(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s, err := peerstore.Open(db, peerstore.Options{MaxPeers: n})
	if err != nil {
		return err
	}
	if err := acquaint(s, n); err != nil {
		return err
	}
	return s.Batch().Commit(true)
}

// acquaint adds n peers as a network gives them.
func acquaint(s *peerstore.Store, n int) error {
	begin := time.Now()
	for i := range n {
		c := identity.Claim{Key: madeUpKey(uint64(i)), Features: identity.FeatureNode}
		for j := range 1 + i%2 {
			var b [4]byte
			binary.BigEndian.PutUint32(b[:], 0x08000000+uint32(2*i+j))
			a, err := ma.NewMultiaddrBytes([]byte{4, b[0], b[1], b[2], b[3], 6, 0x47, 0x0d})
			if err != nil {
				return err
			}
			c.Addresses = append(c.Addresses, a.Bytes())
		}
		p := peerstore.FromClaim(c, peerstore.PeerConnection)
		p.UserAgent = "tari/basenode/6.2.0"
		p.Protocols = []protocol.ID{"t/msg/0.1", "t/dht/1", "t/bnwallet/1", "t/blksync/1"}
		if _, err := s.Add(begin, p); err != nil {
			return err
		}
	}
	return nil
}

// madeUpKey is the n-th of many keys that look like keys and belong to nobody.
func madeUpKey(n uint64) (k identity.PublicKey) {
	r := rand.New(rand.NewPCG(n, 1))
	for i := 0; i < len(k); i += 8 {
		binary.LittleEndian.PutUint64(k[i:], r.Uint64())
	}
	return k
}
