package peerstore

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// fill adds n peers as a network gives them: one or two addresses, a claim.
func fill(b *testing.B, s *Store, n int) {
	b.Helper()
	for i := range n {
		c := identity.Claim{Key: key(uint64(i)), Features: identity.FeatureNode}
		for j := range 1 + i%2 {
			c.Addresses = append(c.Addresses, addrN(2*i+j).Bytes())
		}
		p := FromClaim(c, PeerConnection)
		p.UserAgent = "tari/basenode/1.7.0"
		p.Protocols = []protocol.ID{"t/msg/0.1", "t/dht/1", "t/bnwallet/1", "t/blksync/1"}
		if _, err := s.Add(begin, p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClosest20(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint("of=", n), func(b *testing.B) {
			s := open(b, kv.Memory(), Options{MaxPeers: n})
			fill(b, s, n)
			v := s.View()
			var targets [256]identity.NodeID
			for i := range targets {
				targets[i] = key(uint64(1e9) + uint64(i)).NodeID()
			}
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				if got := v.Closest(targets[i%len(targets)], 20, nil); len(got) != 20 {
					b.Fatalf("got %d peers, want 20", len(got))
				}
				i++
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	s := open(b, kv.Memory(), Options{})
	fill(b, s, 10_000)
	v := s.View()
	ids := make([]identity.NodeID, 0, 10_000)
	for p := range v.All() {
		ids = append(ids, p.ID)
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := v.Get(ids[i*7919%len(ids)]); !ok {
			b.Fatal("got no peer, want one")
		}
		i++
	}
}

// BenchmarkOpen loads 100,000 peers from a Pebble store; B/peer is the memory
// that they take.
func BenchmarkOpen(b *testing.B) {
	const n = 100_000
	dir := b.TempDir()
	db, err := kv.OpenPebble(dir)
	if err != nil {
		b.Fatal(err)
	}
	s := open(b, db, Options{MaxPeers: n})
	fill(b, s, n)
	commit(b, s)
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	s = nil
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		if db, err = kv.OpenPebble(dir); err != nil {
			b.Fatal(err)
		}
		s = open(b, db, Options{MaxPeers: n})
		b.StopTimer()
		if s.View().Len() != n {
			b.Fatalf("got %d peers, want %d", s.View().Len(), n)
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/peer")
	runtime.KeepAlive(s)
}

// BenchmarkCommit writes statistics of 100 peers with sync, as a busy node does
// each time.
func BenchmarkCommit(b *testing.B) {
	db, err := kv.OpenPebble(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	s := open(b, db, Options{})
	fill(b, s, 10_000)
	commit(b, s)
	i := 0
	for b.Loop() {
		for range 100 {
			i++
			k := i * 7919 % 10_000
			s.Seen(begin.Add(time.Duration(i)*time.Second), key(uint64(k)).NodeID(), addrN(2*k), time.Millisecond)
		}
		commit(b, s)
	}
}
