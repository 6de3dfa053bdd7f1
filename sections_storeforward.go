package gamelan

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	safpart "github.com/gamelan-p2p/gamelan/actors/saf"
	"github.com/gamelan-p2p/gamelan/dht/saf"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// storeForwardSection returns the section "saf". It takes at most 2 s.
func storeForwardSection(ctx context.Context, n *Node) models.StoreForward {
	if n.saf == nil {
		return models.StoreForward{Summary: "this node runs without the DHT, so it neither stores messages for others nor asks for its own"}
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	v := models.StoreForward{On: true}
	if n.saf.Keeper != nil {
		v.Server = storeForwardServer(safState[safpart.ServerState](ctx, n, n.saf.Keeper))
		v.Server.NoStore = n.saf.NoStore
	}
	v.Client = n.storeForwardClient(safState[safpart.ClientState](ctx, n, n.saf.Client))
	v.Summary = storeForwardSummary(&v)
	return v
}

// safState returns the state of an actor, and the zero state if it does not answer.
func safState[S any](ctx context.Context, n *Node, pid *actor.PID) S {
	s, _ := supervisor.Ask[S](ctx, n.trunk.System(), pid, safpart.GetState{})
	return s
}

func storeForwardServer(s safpart.ServerState) *models.StoreForwardServer {
	v := &models.StoreForwardServer{
		Messages: s.Messages, MaxMessages: s.Limits.Messages, Bytes: s.Bytes, MaxBytes: s.Limits.Bytes,
		High: s.High, Low: s.Low, Delivered: s.Delivered, Destinations: s.Destinations, Sources: s.Sources,
		Most: []models.StoreForwardShare{}, Stored: s.Added, Confirmed: s.Confirmed, Expired: s.Expired, Removed: s.Removed,
		MadeWay: s.MadeWay + s.SourceMadeWay + s.DestinationMadeWay + s.PairMadeWay,
		Refused: make(map[string]uint64), Requests: make(map[string]uint64), Full: s.Full, Unwritten: s.Unwritten, Error: sentence(s.Err),
	}
	v.Region = models.StoreForwardRegion{
		Part: s.Region.Part, Bound: s.Region.Bound.String(), Nodes: s.Region.Nodes, Clients: s.Region.Clients, Visits: s.Visits, Text: s.Region.String(),
	}
	if s.Oldest > 0 {
		v.OldestAt = time.Unix(s.Oldest, 0)
	}
	for _, share := range s.Most {
		v.Most = append(v.Most, models.StoreForwardShare{NodeID: share.ID.String(), Messages: share.Messages, Bytes: share.Bytes})
	}
	for why, count := range s.Refused {
		v.Refused[why.String()] = count
	}
	if s.Late > 0 {
		v.Refused["disk slow or failed"] = s.Late
	}
	if s.Dropped > 0 {
		v.Requests["waited for too long"] = s.Dropped
	}
	if s.GaveUp > 0 {
		v.Requests["answers given up"] = s.GaveUp
	}
	if s.Ended > 0 {
		v.Requests["lost at a restart of saf/keeper"] = s.Ended
	}
	for what, count := range s.Requests.Asked {
		v.Requests[what.String()] = count
	}
	return v
}

// storeForwardDegraded returns the reasons why the node is degraded because of what it stores
// for others.
func (n *Node) storeForwardDegraded() (list models.Notices) {
	if n.saf == nil {
		return nil
	}
	t := n.saf.Trouble()
	if t.Err != nil {
		list = append(list, codes.StoredFailed.Notice("messages for other nodes cannot be stored, and are relayed only: "+sentence(t.Err)))
	}
	if t.Full {
		list = append(list, codes.StoredFull.Notice(fmt.Sprintf("the store of messages for other nodes is full, with %s: new ones evict those of the source with most",
			inspect.Count(uint64(t.Messages), "message"))))
	}
	return list
}

func (n *Node) storeForwardClient(s safpart.ClientState) *models.StoreForwardClient {
	v := &models.StoreForwardClient{
		Automatic: s.Automatic, Requests: s.Requests, Answers: s.Answers, Unanswered: s.Unanswered, Messages: s.Messages,
		Delivered: s.Delivered, Duplicates: s.Duplicates, Refused: s.ClientStats.Refused, Ahead: s.Ahead, Peers: []models.StoreForwardPeer{},
	}
	for skip, count := range s.Skipped {
		if saf.Skip(skip) == saf.SkipDuplicate {
			continue // Duplicates has them
		}
		v.Skipped += count
	}
	for _, server := range s.Servers {
		p := models.StoreForwardPeer{
			NodeID: server.Peer.String(), Connected: server.Connected, Unanswered: server.Unanswered,
			SilentUntil: n.wallTime(server.SilentTill), LastAt: n.wallTime(server.LastAt), NextAt: n.wallTime(server.NextAt),
		}
		if server.Running != nil {
			p.Running = server.Running.Stage.String()
		}
		if !server.LastAt.IsZero() {
			last := storeForwardResult(&server.Last)
			p.Last = &last
		}
		v.Peers = append(v.Peers, p)
	}
	return v
}

func storeForwardResult(r *saf.Result) models.StoreForwardResult {
	return models.StoreForwardResult{
		NodeID: r.Server.String(), Answers: r.Answers, Messages: r.Messages, Delivered: r.Delivered,
		Duplicates: r.Duplicates, Refused: r.Refused, Skipped: r.Skipped, Ahead: r.Ahead, Error: sentence(r.Err),
	}
}

// storeForwardSummary returns in one sentence what is stored and what was fetched.
func storeForwardSummary(v *models.StoreForward) string {
	stores := "stores nothing for others"
	if s := v.Server; s != nil {
		stores = fmt.Sprintf("stores %s for %s", inspect.Count(uint64(s.Messages), "message"), inspect.Count(uint64(s.Destinations), "other node"))
		switch {
		case s.NoStore:
			stores += " and no further ones"
		case s.Full:
			stores += ", and is full"
		}
	}
	return strings.Join([]string{stores, inspect.Count(v.Client.Delivered, "stored message") + " received since the start"}, "; ")
}
