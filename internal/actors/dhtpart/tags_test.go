package dhtpart

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
)

// unmix undoes the finalizer of SplitMix64.
func unmix(x uint64) uint64 {
	unshift := func(x uint64, s uint) (y uint64) {
		y = x
		for range 64 / s {
			y = x ^ y>>s
		}
		return y
	}
	inverse := func(a uint64) uint64 {
		y := a
		for range 6 {
			y *= 2 - a*y
		}
		return y
	}
	x = unshift(x, 31) * inverse(0x94d049bb133111eb)
	x = unshift(x, 27) * inverse(0xbf58476d1ce4e5b9)
	return unshift(x, 30) * inverse(0x9e3779b97f4a7c15)
}

// TestTags: the tags of one node are not linked by a counter behind them, and
// another key or another start has others.
func TestTags(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	node := func(seed byte, now time.Time) *DHT {
		secret, err := identity.NewSecret(rand.NewChaCha8([32]byte{seed}))
		if err != nil {
			t.Fatal(err)
		}
		return New(trunk.NewNode(trunk.Settings{
			Base:     base.Settings{System: actor.NewActorSystem(), Secret: secret, Now: func() time.Time { return now }},
			Messages: messengers.Settings{NodeCredit: 1 << 20, DHT: true},
		}).Trunk, Settings{Dedup: dht.NewDedup(1)})
	}
	seen := make(map[uint64]bool)
	for _, d := range []*DHT{node(1, now), node(2, now), node(1, now.Add(time.Nanosecond))} {
		var last uint64
		for i := range 100 {
			tag := d.newTag()
			if tag == 0 || seen[tag] {
				t.Fatalf("got tag %d, want another one than 0 and all before", tag)
			}
			seen[tag] = true
			if apart := int64(unmix(tag) - unmix(last)); i > 0 && -1000 < apart && apart < 1000 {
				t.Fatalf("got two tags %d steps of a counter apart", apart)
			}
			last = tag
		}
	}
}
