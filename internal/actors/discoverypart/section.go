package discoverypart

import (
	"context"
	"fmt"
	"strings"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/words"
)

// Off returns the part of a node without the DHT.
func Off(t Trunk) actors.Part {
	return actors.Part{Name: "discovery", Verbs: (*Discovery)(nil).Verbs(), Metrics: func(context.Context) any { return (*models.Network)(nil) }, Sections: sections(func() models.Network {
		return models.Network{Known: t.Store().Len(), Seeds: []models.NetworkSeed{}, Summary: "this node runs without the DHT, so it does not look for other nodes"}
	})}
}

// metrics are those of the section "network".
func (d *Discovery) metrics(context.Context) any { return d.section() }

// sections returns the sections of the part.
func sections(show func() models.Network) map[string]func(ctx context.Context) any {
	return map[string]func(ctx context.Context) any{"network": func(context.Context) any { return show() }}
}

// section returns the section "network".
func (d *Discovery) section() models.Network {
	s := d.State()
	v := models.Network{On: true, Automatic: d.Automatic, Known: d.trunk.Store().Len(), Seeds: []models.NetworkSeed{}}
	for _, seed := range s.Sync.Seeds {
		_, connected := d.trunk.Connection(seed.Peer)
		v.Seeds = append(v.Seeds, models.NetworkSeed{
			NodeID: seed.Peer.String(), AskedAt: d.trunk.Shown(seed.At), Answered: seed.Answered, Peers: seed.Peers,
			Error: words.Sentence(seed.Err), Connected: connected,
		})
	}
	v.SeedNames = models.NetworkSeedNames{Names: d.SeedNames, BadRecords: s.Sync.BadSeedRecords, Error: words.Sentence(s.Sync.SeedNameErr)}
	j := &s.Join
	v.Join = models.NetworkJoin{
		LastAt: d.trunk.Shown(j.Last), Nodes: j.Nodes, Confirmed: j.Confirmed, Error: words.Sentence(j.Err), NextAt: d.trunk.Shown(j.Next),
		Heard: j.Heard, Stored: j.Stored, Relayed: j.Relayed, Refused: j.Refused,
	}
	r := &s.Sync.Last
	v.Sync = models.NetworkSync{
		Phase: s.Sync.Phase, NextAt: d.trunk.Shown(s.Sync.Next), Round: s.Sync.Round, LastAt: d.trunk.Shown(r.At),
		Asked: r.Asked, Answered: r.Answered, New: r.New, AlreadyKnown: r.Known, Skipped: r.Skipped,
		Answers: []models.NetworkAnswer{}, StarvedSince: d.trunk.Shown(s.Sync.Starved), Rebootstraps: s.Sync.Rebootstraps,
	}
	for _, x := range s.Sync.Answers {
		v.Sync.Answers = append(v.Sync.Answers, models.NetworkAnswer{
			NodeID: x.Peer.String(), Answered: x.Answered, Peers: x.Peers, New: x.New, Error: words.Sentence(x.Err),
		})
	}
	v.Searches = models.NetworkSearches{
		Running: []models.NetworkSearch{}, Found: s.Search.Found, Failed: s.Search.Failed, Answered: s.Search.Answered, Refused: s.Search.Refused,
	}
	for _, x := range s.Search.Running {
		v.Searches.Running = append(v.Searches.Running, models.NetworkSearch{
			Key: x.Key.String(), Stage: x.Stage, Since: d.trunk.Shown(x.Since), Waiters: x.Waiters,
		})
	}
	v.Neighbour = set(s.Neighbours.Neighbours, s.Neighbours.Target)
	v.Random = set(s.Neighbours.Random, s.Neighbours.RandomSize)
	v.Dialling = s.Neighbours.Dialling
	v.Service = models.NetworkService{Served: s.Service.Served, Peers: s.Service.Peers, Refused: s.Service.Refused}
	v.Summary = summary(&v)
	return v
}

// Pools returns the peers that the node wants to be connected to, each with the reason: "neighbour"
// or "random". Without the DHT, d is nil and there are none.
func (d *Discovery) Pools() map[identity.NodeID]string {
	if d == nil {
		return nil
	}
	sets := d.State().Neighbours
	pools := make(map[identity.NodeID]string, len(sets.Random)+len(sets.Neighbours))
	for _, m := range sets.Random {
		pools[m.Peer] = "random"
	}
	for _, m := range sets.Neighbours {
		pools[m.Peer] = "neighbour"
	}
	return pools
}

func set(members []Member, target int) models.NetworkSet {
	v := models.NetworkSet{Target: target, Members: []models.NetworkMember{}}
	for _, m := range members {
		v.Members = append(v.Members, models.NetworkMember{NodeID: m.Peer.String(), Connected: m.Connected})
	}
	return v
}

// summary returns in one sentence how well the node has found its network.
func summary(v *models.Network) string {
	var parts []string
	if n := len(v.Seeds); n > 0 {
		answered, asked, connected := 0, false, false
		for _, s := range v.Seeds {
			if s.Answered {
				answered++
			}
			asked, connected = asked || !s.AskedAt.IsZero(), connected || s.Connected
		}
		if asked || !connected { // a node that is connected and was not asked has not failed to answer
			parts = append(parts, fmt.Sprintf("%d of %s answered", answered, inspect.Count(uint64(n), "seed")))
		}
	}
	parts = append(parts, inspect.Count(uint64(v.Known), "peer")+" known")
	if wanted := len(v.Neighbour.Members); wanted > 0 {
		connected := 0
		for _, m := range v.Neighbour.Members {
			if m.Connected {
				connected++
			}
		}
		parts = append(parts, fmt.Sprintf("%d of %s connected", connected, inspect.Count(uint64(wanted), "neighbour")))
	}
	return strings.Join(parts, "; ")
}
