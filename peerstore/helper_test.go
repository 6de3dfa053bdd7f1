package peerstore

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// begin is when the tests take place.
var begin = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func addr(s string) ma.Multiaddr {
	a, err := ma.NewMultiaddr(s)
	if err != nil {
		panic(err)
	}
	return a
}

// addrN returns the n-th of many external addresses.
func addrN(n int) ma.Multiaddr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n)+0x08000000)
	a, err := ma.NewMultiaddrBytes([]byte{4, b[0], b[1], b[2], b[3], 6, 0x47, 0x0d})
	if err != nil {
		panic(err)
	}
	return a
}

// key returns the n-th of many keys; they look like keys and belong to nobody.
func key(n uint64) (k identity.PublicKey) {
	r := rand.New(rand.NewPCG(n, 1))
	for i := 0; i < len(k); i += 8 {
		binary.LittleEndian.PutUint64(k[i:], r.Uint64())
	}
	return k
}

// claim returns a claim of those addresses, dated sec seconds after begin.
func claim(k identity.PublicKey, sec int64, addrs ...string) identity.Claim {
	c := identity.Claim{Key: k, Features: identity.FeatureNode}
	c.Signature.UpdatedAt = begin.Unix() + sec
	for _, a := range addrs {
		c.Addresses = append(c.Addresses, addr(a).Bytes())
	}
	return c
}

func open(t testing.TB, db kv.DB, o Options) *Store {
	t.Helper()
	s, err := Open(db, o)
	if err != nil {
		t.Fatalf("open: got %v, want nil", err)
	}
	return s
}

func add(t testing.TB, s *Store, now time.Time, p Peer) Peer {
	t.Helper()
	got, err := s.Add(now, p)
	if err != nil {
		t.Fatalf("add: got %v, want nil", err)
	}
	return got
}

func commit(t testing.TB, s *Store) {
	t.Helper()
	if b := s.Batch(); b != nil {
		if err := b.Commit(true); err != nil {
			t.Fatalf("commit: got %v, want nil", err)
		}
	}
}

func get(t testing.TB, s *Store, id identity.NodeID) Peer {
	t.Helper()
	p, ok := s.View().Get(id)
	if !ok {
		t.Fatalf("got no record of %s, want one", id)
	}
	return p
}

// texts returns the addresses as text, best first.
func texts(p Peer) (list []string) {
	for _, a := range p.Addresses {
		list = append(list, a.Addr.String())
	}
	return list
}

func wantTexts(t *testing.T, what string, p Peer, want ...string) {
	t.Helper()
	if got := texts(p); !slices.Equal(got, want) {
		t.Errorf("%s: got addresses %s, want %s", what, strings.Join(got, " "), strings.Join(want, " "))
	}
}
