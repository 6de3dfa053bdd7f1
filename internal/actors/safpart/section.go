package safpart

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// sectionTimeout is how long the actors may take to answer for the section.
const sectionTimeout = 2 * time.Second

// Off returns the part of a node without the DHT.
func Off() actors.Part {
	return actors.Part{Name: "saf", Verbs: (*Saf)(nil).Verbs(), Metrics: func(context.Context) any { return (*models.StoreForward)(nil) }, Sections: sections(func(context.Context) models.StoreForward {
		return models.StoreForward{Summary: "this node runs without the DHT, so it neither stores messages for others nor asks for its own"}
	})}
}

// sections returns the sections of the part.
func sections(show func(context.Context) models.StoreForward) map[string]func(ctx context.Context) any {
	return map[string]func(ctx context.Context) any{"saf": func(ctx context.Context) any { return show(ctx) }}
}

// section returns the section "saf". It takes at most 2 s.
func (f *Saf) section(ctx context.Context) models.StoreForward {
	ctx, cancel := context.WithTimeout(ctx, sectionTimeout)
	defer cancel()
	v := models.StoreForward{On: true}
	if f.Keeper != nil {
		s, _ := state[ServerState](ctx, f, f.Keeper)
		v.Server = server(s)
		v.Server.NoStore = f.NoStore
	}
	s, _ := state[ClientState](ctx, f, f.Client)
	v.Client = f.clientSection(s)
	v.Summary = summary(&v)
	return v
}

// metrics are those of the section "saf". An actor that does not answer has none.
func (f *Saf) metrics(ctx context.Context) any {
	v := new(models.StoreForward)
	if f.Keeper != nil {
		if s, ok := state[ServerState](ctx, f, f.Keeper); ok {
			v.Server = server(s)
		}
	}
	if s, ok := state[ClientState](ctx, f, f.Client); ok {
		v.Client = f.clientSection(s)
	}
	return v
}

// state returns the state of an actor, and the zero state if it does not answer.
func state[S any](ctx context.Context, f *Saf, pid *actor.PID) (s S, ok bool) {
	s, err := supervisor.Ask[S](ctx, f.trunk.System(), pid, GetState{})
	return s, err == nil
}

func server(s ServerState) *models.StoreForwardServer {
	v := &models.StoreForwardServer{
		Messages: s.Messages, MaxMessages: s.Limits.Messages, Bytes: s.Bytes, MaxBytes: s.Limits.Bytes,
		High: s.High, Low: s.Low, Delivered: s.Delivered, Destinations: s.Destinations, Sources: s.Sources,
		Most: []models.StoreForwardShare{}, Stored: s.Added, Confirmed: s.Confirmed, Expired: s.Expired, Removed: s.Removed,
		Evicted: s.Evicted + s.SourceEvicted + s.DestinationEvicted + s.PairEvicted,
		Refused: make(map[string]uint64), Requests: make(map[string]uint64), Full: s.Full, Unwritten: s.Unwritten, Error: words.Sentence(s.Err),
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

func (f *Saf) clientSection(s ClientState) *models.StoreForwardClient {
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
			SilentUntil: f.trunk.Shown(server.SilentTill), LastAt: f.trunk.Shown(server.LastAt), NextAt: f.trunk.Shown(server.NextAt),
		}
		if server.Running != nil {
			p.Running = server.Running.Stage.String()
		}
		if !server.LastAt.IsZero() {
			last := result(&server.Last)
			p.Last = &last
		}
		v.Peers = append(v.Peers, p)
	}
	return v
}

func result(r *dht.FetchResult) models.StoreForwardResult {
	return models.StoreForwardResult{
		NodeID: r.Server.String(), Answers: r.Answers, Messages: r.Messages, Delivered: r.Delivered,
		Duplicates: r.Duplicates, Refused: r.Refused, Skipped: r.Skipped, Ahead: r.Ahead, Error: words.Sentence(r.Err),
	}
}

// summary returns in one sentence what is stored and what was fetched.
func summary(v *models.StoreForward) string {
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
