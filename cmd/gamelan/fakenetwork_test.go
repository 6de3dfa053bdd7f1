package main

import (
	"context"
	"net/url"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// fakeNetwork is the network of the fake node. A search and a round end when a client has
// looked at them, if it does. It does not look at a search for a peer that the node knows, nor
// at the second round, which is one with --json.
type fakeNetwork struct {
	mu     sync.Mutex
	key    string // of the search that is under way
	asking bool
	synced bool
	looked func() // ends what is under way, in the end
}

func newFakeNetwork() *fakeNetwork { return new(fakeNetwork) }

// state returns the section "network", and ends what it shows to be under way.
func (f *fakeNetwork) state() models.Network {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	n := models.Network{
		On: true, Automatic: true, Summary: "1 of 3 seeds answered; 41 peers known; 2 of 3 neighbours connected", Known: 41,
		Seeds: []models.NetworkSeed{
			{NodeID: fakePeer, AskedAt: now.Add(-2 * time.Minute), Answered: true, Peers: 40, Connected: true},
			{NodeID: "9c01d2e4a1b2c3d4e5f6a7b8c9", AskedAt: now.Add(-time.Minute), Error: "connection\x1b refused"},
			{NodeID: "aaaaaaaaaaaaaaaaaaaaaaaaaa"},
		},
		SeedNames: models.NetworkSeedNames{Names: []string{"seeds.example.org"}, BadRecords: 1, Error: "no such host"},
		Join: models.NetworkJoin{
			LastAt: now.Add(-5 * time.Minute), Nodes: 8, Confirmed: 7, NextAt: now.Add(301 * time.Second),
			Heard: 12, Stored: 10, Relayed: 4, Refused: map[string]uint64{"bad signature": 1, "too old": 1},
		},
		Sync: models.NetworkSync{
			Phase: "rests", NextAt: now.Add(29*time.Minute + 30*time.Second), Round: 3, LastAt: now.Add(-3 * time.Minute),
			Asked: 5, Answered: 4, New: 12, AlreadyKnown: 130, Skipped: 2, Rebootstraps: 1,
		},
		Searches: models.NetworkSearches{Running: []models.NetworkSearch{}, Found: 3, Failed: 1, Answered: 2},
		Neighbour: models.NetworkSet{Target: 8, Members: []models.NetworkMember{
			{NodeID: fakePeer, Connected: true}, {NodeID: "9c01d2e4a1b2c3d4e5f6a7b8c9"}, {NodeID: "aaaaaaaaaaaaaaaaaaaaaaaaaa", Connected: true},
		}},
		Random:   models.NetworkSet{Target: 1, Members: []models.NetworkMember{{NodeID: "bbbbbbbbbbbbbbbbbbbbbbbbbb", Connected: true}}},
		Dialling: 1,
		Service:  models.NetworkService{Served: 9, Peers: 1200, Refused: 1},
	}
	if f.key != "" {
		n.Searches.Running = append(n.Searches.Running, models.NetworkSearch{Key: f.key, Stage: "asking connected nodes for peers", Since: now.Add(-time.Second), Waiters: 1})
	}
	if f.asking {
		n.Sync.Phase = "asks 5 nodes for peers"
	}
	if f.looked != nil {
		f.looked()
	}
	return n
}

// during sets what is under way until a client has looked at it twice: before the second look
// it has shown the first one.
func (f *fakeNetwork) during(ctx context.Context, set func()) {
	looked, looks := make(chan struct{}), 0
	f.mu.Lock()
	set()
	f.looked = func() {
		if looks++; looks == 2 {
			close(looked)
		}
	}
	f.mu.Unlock()
	select {
	case <-looked:
	case <-ctx.Done():
	case <-time.After(patience): // nobody has looked
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.key, f.asking, f.looked = "", false, nil
}

func (f *fakeNetwork) actions() map[string]inspect.Verb {
	return map[string]inspect.Verb{
		"join": {Do: func(context.Context, url.Values, []byte) (any, error) { return fakeReports()[1], nil }},
		"discover": {Params: []string{"key", "for"}, Do: func(ctx context.Context, v url.Values, _ []byte) (any, error) {
			if v.Get("key") != fakeKey {
				f.during(ctx, func() { f.key = v.Get("key") })
				return nil, &inspect.Error{Code: inspect.CodeUnknownPeer, Message: "the holder was not found: nobody knows it", Hint: api.SearchHint}
			}
			p := fakePeers()[0]
			p.Connection = nil
			return p, nil
		}},
		"sync": {Do: func(ctx context.Context, _ url.Values, _ []byte) (any, error) {
			f.mu.Lock()
			again := f.synced
			f.synced = true
			f.mu.Unlock()
			if !again {
				f.during(ctx, func() { f.asking = true })
			}
			return models.Synced{Asked: 3, Answered: 2, New: 12, AlreadyKnown: 130, Skipped: 2, Nodes: []models.SyncedNode{
				{NodeID: fakePeer, Seed: true, Answered: true, Peers: 41, New: 12},
				{NodeID: "9c01d2e4a1b2c3d4e5f6a7b8c9", Error: "rpc: deadline exceeded after 5s"},
				{NodeID: "aaaaaaaaaaaaaaaaaaaaaaaaaa", Answered: true, Peers: 103, Error: "entry 104: bad signature"},
			}}, nil
		}},
	}
}
