package interop

import (
	"context"
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
)

// A Tari node that asks for peers learns from a seed of ours whoever is connected with it,
// although the seed has dialled nobody: nodes of ours and of both releases. A client is
// in the list for a node of the older release, which asks for clients too.
//
// conforms: dht 111; V 23
// feature: DHT: they learn of nodes from our seed's list
func TestTheyLearnFromOurLists(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		seed, a := startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{})
		q, r := startTariDHT(t, release), startTariDHT(t, otherThan(release))
		client := startTariDHT(t, release, "--features", "0")
		join(t, a, seed)
		for _, one := range []*tari{q, r, client} {
			reach(t, seed, one, theyDial)
		}
		p := startTariDHT(t, release, "--dht-discovery", "true")
		reach(t, seed, p, theyDial)
		defer wantNoBans(t, []*member{seed, a}, []*tari{p, q, r, client})
		p.learns(a.PublicKey(), a.addr(), identity.FeatureNode)
		p.learns(q.key, q.addr, identity.FeatureNode)
		p.learns(r.key, r.addr, identity.FeatureNode)
		if release == "1.0.0-rc.5" {
			p.learns(client.key, client.addr, identity.FeatureNone)
		} else if got := p.record(client.key); got.Known {
			t.Errorf("got %+v, want the client not in the list", got)
		}
		if n := dialledBy(seed.Node); n != 0 {
			t.Errorf("got %d connections that the seed has dialled, want none", n)
		}
	})
}

// We learn from a Tari node's list whom it has dialled. Whoever has only connected to it is
// not in the list of 6.2.0; that of 1.0.0-rc.5 has also whoever has joined over it.
//
// feature: DHT: we learn of nodes from their lists
// note: 6.2.0: lists only nodes that it has dialled
func TestWeLearnFromTheirLists(t *testing.T) {
	t.Parallel()
	against(t, func(t *testing.T, release string) {
		t.Parallel()
		p := startTariDHT(t, release)
		dialled, came, joined := startTariDHT(t, release), startTariDHT(t, release), startTariDHT(t, release)
		meet(t, p, dialled)
		meet(t, came, p)
		meet(t, joined, dialled)
		joined.must("dht_join", nil, nil)
		p.learns(joined.key, joined.addr, identity.FeatureNode)
		a := startMember(t, gamelan.DHTConfig{})
		reach(t, a, p, weDial)
		defer wantNoBans(t, []*member{a}, []*tari{p, dialled, came, joined})
		ctx, cancel := context.WithTimeout(t.Context(), connectLimit)
		defer cancel()
		got, err := a.DHT().Sync(ctx)
		if err != nil || len(got.Nodes) != 1 || !got.Nodes[0].Answered {
			t.Fatalf("we ask for peers: got %+v, %v, want an answer of one", got, err)
		}
		a.learns(dialled.key, dialled.addr, identity.FeatureNode)
		if release == "1.0.0-rc.5" {
			a.learns(joined.key, joined.addr, identity.FeatureNode)
			return // it often dials back whoever has connected, and lists it then
		}
		for _, one := range []*tari{came, joined} {
			if known, ok := a.Peers().Get(one.id); ok {
				t.Errorf("got %+v, want it not in the list", known)
			}
		}
	})
}

// A node that can only dial out, and is told of one seed of ours that dials nobody, finds
// everybody else who is told of that seed, of all kinds, and they find each other.
//
// conforms: V 23
// feature: DHT: a node that only dials, and theirs, find everybody through our seed, which dials nobody
func TestSeedThatDialsNobody(t *testing.T) {
	t.Parallel()
	system := quietSystem()
	seed := startOurNode(t, nil, gamelan.Config{Floor: gamelan.NoFloor})
	ours := gamelan.Config{Seeds: []string{asSeed(seed)}}
	dialler := ours
	dialler.Listen = []string{gamelan.ListenNowhere}
	all := []netNode{seed, startOurNode(t, nil, dialler)}
	for range 3 {
		all = append(all, startOurNode(t, system, ours))
	}
	for _, release := range append(releases, releases...) {
		node := startTariNode(t, release)
		node.enter(seed)
		all = append(all, node)
	}
	others := slices.DeleteFunc(slices.Clone(all), func(n netNode) bool { return n == all[1] })
	gamelantest.Eventually(t, connectLimit, "everybody known to the node that only dials", func() bool {
		return !slices.ContainsFunc(others, func(n netNode) bool { return !all[1].knows(n) })
	})
	if left, took := meetAll(t, all, func(n netNode) bool { return n.kind() == "gamelan" }); len(left) > 0 {
		t.Errorf("got %v that do not know each other after %v, want nobody", left, took)
	}
	if n := dialledBy(seed.Node); n != 0 {
		t.Errorf("got %d connections that the seed has dialled, want none", n)
	}
	for _, node := range all {
		if list := node.banned(all); len(list) > 0 {
			t.Errorf("a node of %s has banned %v, want nobody", node.kind(), list)
		}
	}
}
