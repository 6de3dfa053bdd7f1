package peerstore

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

const day = 24 * time.Hour

// cast is a store with a peer of each kind.
func cast(t *testing.T) (s *Store, who func(list []Peer) []string) {
	s = open(t, kv.Memory(), Options{})
	names := make(map[identity.NodeID]string)
	for i, name := range []string{"node", "client", "seed", "banned", "offline", "failed long ago", "stale", "new"} {
		k := key(uint64(i))
		names[k.NodeID()] = name
		p := FromClaim(claim(k, 1, a1), Discovery)
		switch name {
		case "client":
			p.Features, p.Claim.Features = identity.FeatureNone, identity.FeatureNone
		case "seed":
			p = Peer{Key: k, Features: identity.FeatureNode, Flags: FlagSeed, Addresses: []Address{{Addr: addr(a1)}}}
		}
		add(t, s, begin.Add(-30*day), p)
		id := k.NodeID()
		switch name {
		case "stale":
			s.Seen(begin.Add(-ActiveWithin-time.Second), id, addr(a1), 0)
		case "new":
		case "failed long ago":
			s.DialFailed(begin.Add(-OfflineCooldown), id, addr(a1), "refused")
		case "offline":
			s.Seen(begin.Add(-time.Hour), id, addr(a1), 0)
			s.DialFailed(begin.Add(-time.Second), id, addr(a1), "refused")
		default:
			s.Seen(begin.Add(-time.Hour), id, addr(a1), 0)
		}
		if name == "banned" {
			s.Ban(begin, k, begin.Add(time.Hour), "bad")
		}
	}
	return s, func(list []Peer) (out []string) {
		for _, p := range list {
			out = append(out, names[p.ID])
		}
		slices.Sort(out)
		return out
	}
}

// TestQueries ports the reference's queries by many criteria, its seeds and the
// exclusion of peers, and the list for discovery without banned, never seen and
// stale ones.
//
// conforms: comms 132-133
func TestQueries(t *testing.T) {
	s, who := cast(t)
	for name, c := range map[string]struct {
		q    Query
		want []string
	}{
		"all":      {Query{}, []string{"banned", "client", "failed long ago", "new", "node", "offline", "seed", "stale"}},
		"nodes":    {Query{Features: identity.FeatureNode}, []string{"banned", "failed long ago", "new", "node", "offline", "seed", "stale"}},
		"clients":  {Query{Clients: true}, []string{"client"}},
		"seeds":    {Query{Seeds: true}, []string{"seed"}},
		"active":   {Query{Now: begin, Active: true}, []string{"client", "node", "offline", "seed"}},
		"usable":   {Query{Now: begin, Usable: true}, []string{"client", "new", "node", "seed", "stale"}},
		"rested":   {Query{Now: begin, Rested: true}, []string{"banned", "client", "failed long ago", "new", "node", "seed", "stale"}},
		"two less": {Query{Seeds: true, Except: []identity.NodeID{key(2).NodeID(), key(0).NodeID()}}, nil},
		"where":    {Query{Where: func(p Peer) bool { return p.LastSeen().IsZero() }}, []string{"failed long ago", "new"}},
		"both":     {Query{Now: begin, Active: true, Usable: true, Features: identity.FeatureNode}, []string{"node", "seed"}},
	} {
		if got := who(Select(s.View(), c.q, -1)); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		if got := who(s.View().Closest(key(9).NodeID(), 100, c.q.Match)); !slices.Equal(got, c.want) {
			t.Errorf("%s, closest: got %q, want %q", name, got, c.want)
		}
		if got := who(Random(s.View(), c.q, 100, rand.New(rand.NewPCG(1, 1)))); !slices.Equal(got, c.want) {
			t.Errorf("%s, random: got %q, want %q", name, got, c.want)
		}
		if got := len(Select(s.View(), c.q, 1)); got != min(1, len(c.want)) {
			t.Errorf("%s, one: got %d, want at most 1", name, got)
		}
	}
}

func TestRandomIsFair(t *testing.T) {
	s, _ := cast(t)
	r := rand.New(rand.NewPCG(3, 4))
	first := make(map[identity.NodeID]int)
	for range 4000 {
		got := Random(s.View(), Query{}, 3, r)
		if len(got) != 3 || got[0].ID == got[1].ID || got[1].ID == got[2].ID || got[0].ID == got[2].ID {
			t.Fatalf("got %d peers, want 3 different ones", len(got))
		}
		first[got[0].ID]++
	}
	for id, n := range first { // 500 each
		if n < 400 || n > 600 {
			t.Errorf("got %s first in %d of 4000, want about 500", id, n)
		}
	}
	if len(first) != 8 {
		t.Errorf("got %d of 8 peers first, want each", len(first))
	}
	if got := Random(s.View(), Query{}, 0, r); got != nil {
		t.Errorf("got %d peers, want none", len(got))
	}
}
