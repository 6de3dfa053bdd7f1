package gamelan

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	dhtpart "github.com/gamelan-p2p/gamelan/actors/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/connpool"
)

// trunkSections are the names of the node's own sections, which no part may use.
var trunkSections = []string{"node", "peers", "connections", "dht", "ledger", "tor"}

// options returns the node's data for [inspect.Handler].
func (n *Node) options() inspect.Options {
	s := new(inspect.Sections)
	s.Section("node", func(ctx context.Context) any { return nodeSection(ctx, n) })
	s.Section("peers", func(context.Context) any { return peersSection(n, n.trunk.Wall()) })
	s.Section("connections", func(ctx context.Context) any { return connectionsSection(ctx, n, n.trunk.Now()) })
	s.Section("dht", func(ctx context.Context) any { return dhtSection(ctx, n) })
	s.Section("ledger", func(context.Context) any { return ledgerSection(n) })
	s.Section("tor", func(context.Context) any { return torSection(n) })
	if n.discovery == nil { // the parts of the DHT are not there to say so
		s.Section("network", func(context.Context) any { return n.discovery.Section(n.Peers().Len()) })
		s.Section("saf", func(ctx context.Context) any { return n.saf.Section(ctx) })
	}
	for _, p := range n.parts {
		for name, show := range p.Sections {
			s.Section(name, show)
		}
	}
	return inspect.Options{
		Source: inspect.FromRoot(n.tree(), n.trunk.System()), Sections: s,
		ExportPeers: func(_ context.Context, w io.Writer) error {
			_, err := n.Peers().Export(w)
			return err
		},
		Health: n.unhealthy, Ready: n.unhealthy, Degraded: func(context.Context) models.Notices {
			return append(n.storeDegraded(), n.degraded(n.trunk.Now())...)
		},
	}
}

// unhealthy returns the reasons why the node does not work, as sentences, or none if it
// works. To be offline is no such reason, because a restart of the node would not help.
// unhealthy takes at most 2 s.
func (n *Node) unhealthy(ctx context.Context) models.Notices {
	switch {
	case n.ended():
		return models.Notices{codes.Ended.Notice("the node has ended")}
	case n.stopping():
		return models.Notices{codes.Stopping.Notice("the node is stopping")}
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if _, err := n.Status(ctx); err != nil {
		return models.Notices{codes.ConnectivitySilent.Notice(connectivitySilent)}
	}
	return nil
}

// storeDegraded returns why the peer store cannot be written, if it cannot. The cause of the
// node's status says it, too, so that it is not one of the warnings.
func (n *Node) storeDegraded() models.Notices {
	trouble, ok := n.trunk.StoreTrouble()
	if !ok {
		return nil
	}
	return models.Notices{codes.PeersUnwritten.Notice("the " + strings.TrimPrefix(trouble.Err.Error(), "actors: "))}
}

// degraded returns the other reasons why a working node is degraded, as sentences: an inbox, or a
// store of messages for others, that is full or cannot be written or read, a Tor that does not work, a client of
// the key-value DHT that cannot write records down, connections that could not be accepted, actors and
// services that panicked in the last ten minutes, and the user's actors and services that a
// panic has stopped. If messages of
// peers are the cause, a restart of the node would not help.
func (n *Node) degraded(now time.Time) (reasons models.Notices) {
	reasons = inboxDegraded(inboxSection(n))
	for _, p := range n.parts {
		if p.Degraded != nil {
			reasons = append(reasons, p.Degraded()...)
		}
	}
	reasons = append(reasons, n.torDegraded()...)
	if t := n.trunk.InboundTrouble(); t.Err != nil && now.Sub(t.FailedAt) < deafTold {
		reasons = append(reasons, deaf(t, now))
	}
	for _, p := range n.trunk.Panicking() {
		reasons = append(reasons, panicking(p, now))
	}
	return reasons
}

const (
	// deafTold is how long the node is degraded after an accept that failed.
	deafTold = 10 * time.Minute
	// limitTold is how long the node warns of a limit for connections of one source.
	limitTold = 10 * time.Minute
)

// deaf returns why a node accepts no connections.
func deaf(t actors.InboundTrouble, now time.Time) models.Notice {
	v := codes.Deaf.Notice(fmt.Sprintf("connections could not be accepted, the last %s ago: %v", now.Sub(t.FailedAt).Round(time.Second), t.Err))
	if transport.OutOfFiles(t.Err) {
		v.Step = codes.FewFiles.Step
	}
	return v
}

// limitWarning returns the warning about a limit for connections of one source or subnet, which
// may be those of a user's own nodes, or none.
func limitWarning(t actors.InboundTrouble, now time.Time) models.Notices {
	if t.LimitedAt.IsZero() || now.Sub(t.LimitedAt) >= limitTold || !t.Limit.Scope.IsValid() {
		return nil
	}
	return models.Notices{codes.SourceLimited.Notice(fmt.Sprintf("connections from %s were refused, the last %s ago: %s is %d",
		t.Limit.Scope, now.Sub(t.LimitedAt).Round(time.Second), t.Limit.Key(), t.Limit.Limit), t.Limit.Scope.String(), t.Limit.Key())}
}

// healthTimeout is how long an actor of a healthy node may take to answer.
const healthTimeout = 2 * time.Second

func (n *Node) ended() bool {
	select {
	case <-n.closed:
		return true
	default:
		return false
	}
}

const connectivitySilent = "the connectivity actor does not answer"

// nodeSection returns the section "node": the node's identity and its state.
func nodeSection(ctx context.Context, n *Node) models.Node {
	now := n.trunk.Now() // the section describes this moment
	wall := n.trunk.OnWall(now)
	inUsed, inLimit, outUsed, outLimit := n.trunk.Credit()
	v := models.Node{
		NodeID: n.ID().String(), PublicKey: n.PublicKey().String(),
		Network: n.Profile().Network.String(), Profile: n.Profile().Name,
		Addresses: []string{}, Warnings: models.Notices{}, Held: len(n.Connections()),
		Credit:    models.Credit{Used: inUsed + outUsed, Limit: inLimit + outLimit},
		StartedAt: n.trunk.OnWall(n.start), Version: Version, PID: os.Getpid(), Peers: n.Peers().Len(),
		Places: places(n.trunk.Inbounds()),
	}
	for _, c := range n.Connections() {
		if c.Direction == protocol.Inbound {
			v.Inbound++
		} else {
			v.Outbound++
		}
	}
	for p := range n.Peers().All() {
		if p.Banned(wall) {
			v.Banned++
		}
	}
	if !n.onlyDials() {
		for _, a := range n.Addresses() {
			v.Addresses = append(v.Addresses, a.String())
		}
	}
	v.Reach, v.Moved = reachSection(n), movedSection(n)
	if d := n.trunk.PeerStore().Damaged(); d > 0 {
		v.Warnings = append(v.Warnings, codes.PeersDamaged.Notice(inspect.Count(uint64(d), "record")+" of the peer store could not be read and were left as they are"))
	}
	for _, shared := range n.sharedIdentities(now) {
		v.Warnings = append(v.Warnings, codes.SharedIdentity.Notice(fmt.Sprintf("two nodes may use the identity of %s: its connections, last from %s and %s, keep replacing each other",
			shared.Peer, shared.Then, shared.Here), shared.Peer.String()))
	}
	v.Warnings = noticeEach(v.Warnings, n.trunk.RefusedSources(), now, refusedSource, codes.SourceRefused, "sources are refused because of their offences")
	v.Warnings = append(v.Warnings, limitWarning(n.trunk.InboundTrouble(), now)...)
	v.Warnings = append(v.Warnings, n.files...)
	v.Warnings = append(v.Warnings, append(listenGone(n), reachWarnings(n)...)...)
	if n.loopbackOnly {
		v.Warnings = append(v.Warnings, codes.LoopbackOnly.Notice("only programs on this machine can connect to this node, and it knows peers on other machines"))
	}
	v.Inbox = inboxSection(n)
	if n.tor != nil {
		v.Tor = new(torSection(n))
	}
	v.Warnings = append(v.Warnings, inboxWarnings(v.Inbox)...)
	v.Warnings = append(v.Warnings, n.degraded(now)...)
	for _, p := range n.parts {
		if p.Warnings != nil {
			v.Warnings = append(v.Warnings, p.Warnings()...)
		}
	}
	if n.dht != nil {
		v.Warnings = noticeEach(v.Warnings, n.dht.Undecodable(), now, undecodable, codes.Undecodable, "peers sent messages that cannot be decoded")
	}
	v.Warnings = noticeEach(v.Warnings, n.trunk.NotTaken(), now, notTaken, codes.TakesNothing, "peers take none of our messages")
	ctx, cancel := context.WithTimeout(ctx, inspect.AskTimeout)
	defer cancel()
	status, err := n.Status(ctx)
	if err != nil {
		v.Status, v.Cause = "unknown", "the connectivity actor did not say in time"
		v.Warnings = append(v.Warnings, codes.ConnectivitySilent.Notice(connectivitySilent))
		return v
	}
	v.Status, v.Cause, v.Wanted = status.State, status.Cause, status.Wanted
	if v.Profile != "tari" && n.Profile().Pattern == protocol.IX {
		v.Warnings = append(v.Warnings, codes.KeyInClear.Notice("the wire profile sends this node's key unencrypted when it dials"))
	}
	return v
}

func places(g connpool.GateStats) models.Places {
	return models.Places{
		Inbound: g.Conns, MaxInbound: g.MaxInbound, Setups: g.Setups, MaxSetups: g.MaxSetups,
		MaxSetupRate: g.MaxSetupRate, GaveWay: g.GaveWay, Replaced: g.Replaced, Refused: g.Refused, TooFast: g.TooFast, Waited: g.Waited,
		OtherNetwork: g.OtherNetwork,
	}
}

// panicking returns the notice of an actor or a service that panicked.
func panicking(p actors.Panicking, now time.Time) models.Notice {
	ago := now.Sub(p.Last).Round(time.Second)
	if !p.Yours {
		return codes.ActorPanicked.Notice(fmt.Sprintf("actor %s panicked on %s of peers, last %s ago", p.Path, inspect.Count(p.Count, "message"), ago), p.Path)
	}
	what, args := "your actor "+p.Path, []string{p.Path}
	switch {
	case p.Service != "":
		what, args = fmt.Sprintf("your service %q", string(p.Service)), nil
	case p.Layer != "":
		what, args = "your layer "+p.Layer, nil
	}
	on := p.Message
	if p.Where != "" {
		on += " at " + p.Where
	}
	last := fmt.Sprintf("%s ago on %s: %s", ago, on, p.Value)
	if p.Stopped {
		return codes.OwnStopped.Notice(fmt.Sprintf("%s has stopped after a panic %s", what, last), args...)
	}
	v := codes.OwnPanicked.Notice(fmt.Sprintf("%s panicked %s in the last 10 minutes, last %s", what, inspect.Count(p.Count, "time"), last), args...)
	if args == nil {
		v.Step = "" // nothing shows more
	}
	return v
}

// undecodable returns the notice of a peer whose messages could not be decoded.
func undecodable(p dhtpart.Undecodable, now time.Time) models.Notice {
	return codes.Undecodable.Notice(fmt.Sprintf("peer %s sent %s on %s that cannot be decoded, the last %s ago; this node expects messages of the DHT there",
		p.Peer, inspect.Count(p.Count, "message"), p.Protocol, now.Sub(p.Last).Round(time.Second)), p.Peer.String(), string(p.Protocol))
}

// refusedSource returns the notice of a source that has committed too many offences.
func refusedSource(r connpool.Refused, now time.Time) models.Notice {
	return codes.SourceRefused.Notice(fmt.Sprintf("connections from %s are refused for another %s because of offences from there",
		r.Source, r.Until.Sub(now).Round(time.Second)), r.Source.String())
}

// notTaken returns the notice of a peer that takes no messages of this node.
func notTaken(p actors.NotTaken, now time.Time) models.Notice {
	return codes.TakesNothing.Notice(fmt.Sprintf("peer %s takes none of our messages on %s: it ended %s substreams in a row, the last %s ago",
		p.Peer, p.Protocol, inspect.Number(uint64(p.Times)), now.Sub(p.Last).Round(time.Second)), p.Peer.String(), string(p.Protocol))
}

// maxNamed is how many peers or sources with the same problem get a warning each.
const maxNamed = 5

// noticeEach appends a notice for each of the first maxNamed entries, and one of the same code
// with the number of the others.
func noticeEach[T any](list models.Notices, all []T, now time.Time, notice func(T, time.Time) models.Notice, code *codes.Code, others string) models.Notices {
	for _, one := range all[:min(len(all), maxNamed)] {
		list = append(list, notice(one, now))
	}
	if more := len(all) - maxNamed; more > 0 {
		v := code.Notice(fmt.Sprintf("%s more %s", inspect.Number(uint64(more)), others))
		v.Step = "" // said above
		list = append(list, v)
	}
	return list
}

// sharedWarned is how long the node warns that two nodes may use one identity.
const sharedWarned = 10 * time.Minute

func (n *Node) sharedIdentities(now time.Time) (all []actors.SharedIdentity) {
	for _, shared := range n.trunk.SharedIdentities().All() {
		if now.Sub(shared.At) < sharedWarned {
			all = append(all, shared)
		}
	}
	slices.SortFunc(all, func(a, b actors.SharedIdentity) int { return a.Peer.Compare(b.Peer) })
	return all
}

func peerOf(n *Node, p peerstore.Peer, ended actors.ClosedConn, now time.Time) models.Peer {
	v := models.Peer{
		NodeID: p.ID.String(), Features: p.Features.String(), UserAgent: p.UserAgent,
		Protocols: []string{}, Addresses: []models.Address{},
		BanReason: p.BanReason, OfflineSince: p.OfflineSince(), AddedAt: p.AddedAt,
	}
	if p.Banned(now) {
		v.BannedUntil = p.BannedUntil
	}
	if !p.Key.IsZero() {
		v.PublicKey = p.Key.String()
	}
	if !ended.At.IsZero() {
		v.EndedAt, v.EndedWhy = n.trunk.OnWall(ended.At), ended.Reason.String()
	}
	if ref, ok := n.Connection(p.ID); ok {
		v.Connection = new(connectionID(ref))
		v.UserAgent = ref.UserAgent
	} else if due, ok := n.trunk.Redials().Get(p.ID); ok {
		v.NextDialAt = n.trunk.OnWall(due)
	}
	protocols := p.Protocols
	if ref, ok := n.Connection(p.ID); ok {
		protocols = ref.Listed()
	}
	for _, id := range protocols {
		v.Protocols = append(v.Protocols, string(id))
	}
	for _, a := range p.Addresses {
		score, _ := a.Score(now)
		v.Addresses = append(v.Addresses, models.Address{
			Addr: a.Addr.String(), Source: a.Source.String(), LastOK: a.LastSeen, LastAttempt: a.LastAttempted,
			LastError: a.LastFailure, Failures: a.Attempts, Attempts: a.Attempts,
			LatencyMS: milliseconds(a.Latency.Mean), Score: float64(score),
		})
	}
	return v
}

// askedAtOnce is how many connections are asked for their statistics at a time: one that does not
// answer does not keep the others from it.
const askedAtOnce = 32

func openConnection(ctx context.Context, n *Node, ref *Connection, now time.Time) models.Connection {
	v := connectionOf(n, ref)
	v.Protected = append(v.Protected, n.protectors(ref.Peer)...)
	v.AgeMS = now.Sub(ref.Since).Milliseconds()
	if d, err := n.tree().Inspect(ctx, ref.PID.Id); err == nil {
		if s, ok := d.Value.(actors.ConnStats); ok {
			v.RTTMS, v.LastPongAt, v.SilentMS = milliseconds(s.RTT), n.trunk.OnWall(s.LastPong), s.Silent.Milliseconds()
			v.BytesIn, v.BytesOut = s.BytesIn, s.BytesOut
		}
	}
	return v
}

// connectionsSection lists the live connections and those that ended last. It asks each
// connection's actor for its statistics, all within the time limit for one question, and
// omits the statistics of an actor that does not answer.
func connectionsSection(ctx context.Context, n *Node, now time.Time) []models.Connection {
	ctx, cancel := context.WithTimeout(ctx, inspect.AskTimeout)
	defer cancel()
	open := n.Connections()
	live := make([]models.Connection, len(open))
	var asking sync.WaitGroup
	places := make(chan struct{}, askedAtOnce)
	for i, ref := range open {
		places <- struct{}{}
		asking.Go(func() {
			defer func() { <-places }()
			live[i] = openConnection(ctx, n, ref, now)
		})
	}
	asking.Wait()
	var ended []models.Connection
	for _, c := range n.trunk.Closed() {
		v := connectionOf(n, c.Ref)
		v.AgeMS = c.At.Sub(c.Ref.Since).Milliseconds()
		v.ClosedAt, v.CloseReason, v.ClosedBy = n.trunk.OnWall(c.At), c.Reason.Code, c.Reason.By
		if c.Reason.Err != nil {
			v.CloseReason += ": " + c.Reason.Err.Error()
		}
		ended = append(ended, v)
	}
	return slices.Concat(live, ended)
}

func connectionID(ref *Connection) string { return fmt.Sprintf("%s-%d", ref.Peer, ref.ID) }

func connectionOf(n *Node, ref *Connection) models.Connection {
	return models.Connection{
		ID: connectionID(ref), Peer: ref.Peer.String(), Direction: ref.Direction.String(), Transport: ref.Transport,
		Remote: ref.Addr.String(), OpenedAt: n.trunk.OnWall(ref.Since),
		Handshake: models.Handshake{
			Wire: milliseconds(ref.Timings.Wire), Noise: milliseconds(ref.Timings.Noise), Identity: milliseconds(ref.Timings.Identity),
		},
		Substreams: []models.Substream{}, Protected: []string{},
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
