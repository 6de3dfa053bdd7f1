package gamelan

import (
	"fmt"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/actors/discovery"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/words"
)

// networkSection returns the section "network".
func networkSection(n *Node) models.Network {
	v := models.Network{Known: n.trunk.PeerStore().View().Len(), Seeds: []models.NetworkSeed{}, Summary: "this node runs without the DHT, so it does not look for other nodes"}
	if n.discovery == nil {
		return v
	}
	d := n.discovery
	s := d.State()
	v.On, v.Automatic = true, d.Automatic
	for _, seed := range s.Sync.Seeds {
		_, connected := n.trunk.Connection(seed.Peer)
		v.Seeds = append(v.Seeds, models.NetworkSeed{
			NodeID: seed.Peer.String(), AskedAt: n.wallTime(seed.At), Answered: seed.Answered, Peers: seed.Peers,
			Error: words.Sentence(seed.Err), Connected: connected,
		})
	}
	v.SeedNames = models.NetworkSeedNames{Names: d.SeedNames, BadRecords: s.Sync.BadSeedRecords, Error: words.Sentence(s.Sync.SeedNameErr)}
	j := &s.Join
	v.Join = models.NetworkJoin{
		LastAt: n.wallTime(j.Last), Nodes: j.Nodes, Confirmed: j.Confirmed, Error: words.Sentence(j.Err), NextAt: n.wallTime(j.Next),
		Heard: j.Heard, Stored: j.Stored, Relayed: j.Relayed, Refused: j.Refused,
	}
	r := &s.Sync.Last
	v.Sync = models.NetworkSync{
		Phase: s.Sync.Phase, NextAt: n.wallTime(s.Sync.Next), Round: s.Sync.Round, LastAt: n.wallTime(r.At),
		Asked: r.Asked, Answered: r.Answered, New: r.New, AlreadyKnown: r.Known, Skipped: r.Skipped,
		Answers: []models.NetworkAnswer{}, StarvedSince: n.wallTime(s.Sync.Starved), Rebootstraps: s.Sync.Rebootstraps,
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
			Key: x.Key.String(), Stage: x.Stage, Since: n.wallTime(x.Since), Waiters: x.Waiters,
		})
	}
	v.Neighbour = networkSet(s.Neighbours.Neighbours, s.Neighbours.Target)
	v.Random = networkSet(s.Neighbours.Random, s.Neighbours.RandomSize)
	v.Dialling = s.Neighbours.Dialling
	v.Service = models.NetworkService{Served: s.Service.Served, Peers: s.Service.Peers, Refused: s.Service.Refused}
	v.Summary = networkSummary(&v)
	return v
}

// wallTime translates a time of the node's clock, and keeps zero.
func (n *Node) wallTime(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return n.trunk.OnWall(t)
}

func networkSet(members []discovery.Member, target int) models.NetworkSet {
	v := models.NetworkSet{Target: target, Members: []models.NetworkMember{}}
	for _, m := range members {
		v.Members = append(v.Members, models.NetworkMember{NodeID: m.Peer.String(), Connected: m.Connected})
	}
	return v
}

// networkSummary returns in one sentence how well the node has found its network.
func networkSummary(v *models.Network) string {
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
