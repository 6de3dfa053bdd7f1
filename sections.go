package gamelan

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	dhtpart "github.com/gamelan-p2p/gamelan/actors/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/connpool"
)

// trunkSections are the names of the node's own sections, which no part may use.
var trunkSections = []string{"node", "peers", "connections", "dht", "network", "saf", "kad", "kad-peers", "kad-own", "ledger", "tor"}

// options returns the node's data for [inspect.Handler].
func (n *Node) options() inspect.Options {
	s := new(inspect.Sections)
	s.Section("node", func(ctx context.Context) any { return nodeSection(ctx, n) })
	s.Section("peers", func(context.Context) any { return peersSection(n, n.trunk.Wall()) })
	s.Section("connections", func(ctx context.Context) any { return connectionsSection(ctx, n, n.trunk.Now()) })
	s.Section("dht", func(ctx context.Context) any { return dhtSection(ctx, n) })
	s.Section("network", func(context.Context) any { return networkSection(n) })
	s.Section("saf", func(ctx context.Context) any { return storeForwardSection(ctx, n) })
	s.Section("kad", func(ctx context.Context) any { return kadSection(ctx, n) })
	s.Section("kad-peers", func(context.Context) any { return kadContacts(n) })
	s.Section("kad-own", func(ctx context.Context) any { return kadPublications(ctx, n) })
	s.Section("ledger", func(context.Context) any { return ledgerSection(n) })
	s.Section("tor", func(context.Context) any { return torSection(n) })
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
		Health: n.unhealthy, Ready: n.unhealthy, Degraded: func(context.Context) []string {
			return append(n.storeDegraded(), n.degraded(n.trunk.Now())...)
		},
	}
}

// unhealthy returns the reasons why the node does not work, as sentences, or none if it
// works. To be offline is no such reason, because a restart of the node would not help.
// unhealthy takes at most 2 s.
func (n *Node) unhealthy(ctx context.Context) []string {
	switch {
	case n.ended():
		return []string{"the node has ended"}
	case n.stopping():
		return []string{"the node is stopping"}
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if _, err := n.Status(ctx); err != nil {
		return []string{"the connectivity actor does not answer"}
	}
	return nil
}

// storeDegraded returns why the peer store cannot be written, if it cannot. The cause of the
// node's status says it, too, so that it is not one of the warnings.
func (n *Node) storeDegraded() []string {
	trouble, ok := n.trunk.StoreTrouble()
	if !ok {
		return nil
	}
	return []string{"the " + strings.TrimPrefix(trouble.Err.Error(), "actors: ")}
}

// degraded returns the other reasons why a working node is degraded, as sentences: an inbox, or a
// store of messages for others, that is full or cannot be written or read, a Tor that does not work, a client of
// the key-value DHT that cannot write records down, connections that could not be accepted, actors and
// services that panicked in the last ten minutes, and the user's actors and services that a
// panic has stopped. If messages of
// peers are the cause, a restart of the node would not help.
func (n *Node) degraded(now time.Time) (reasons []string) {
	reasons = append(inboxDegraded(inboxSection(n)), n.storeForwardDegraded()...)
	reasons = append(reasons, n.torDegraded()...)
	reasons = append(reasons, n.kadDegraded()...)
	if t := n.trunk.InboundTrouble(); t.Err != nil && now.Sub(t.FailedAt) < deafTold {
		reasons = append(reasons, deafText(t, now))
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

// deafText returns why a node accepts no connections.
func deafText(t actors.InboundTrouble, now time.Time) string {
	text := fmt.Sprintf("connections could not be accepted, the last %s ago: %v", now.Sub(t.FailedAt).Round(time.Second), t.Err)
	if transport.OutOfFiles(t.Err) {
		text += "; " + actors.RaiseFiles
	}
	return text
}

// limitWarning returns the warning about a limit for connections of one source or subnet, which
// may be those of a user's own nodes, or none.
func limitWarning(t actors.InboundTrouble, now time.Time) []string {
	if t.LimitedAt.IsZero() || now.Sub(t.LimitedAt) >= limitTold || !t.Limit.Scope.IsValid() {
		return nil
	}
	return []string{fmt.Sprintf("connections from %s were refused, the last %s ago: %s is %d; raise it, or exempt the source with connections.exempt_sources if it is yours",
		t.Limit.Scope, now.Sub(t.LimitedAt).Round(time.Second), t.Limit.Key(), t.Limit.Limit)}
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

// nodeSection returns the section "node": the node's identity and its state.
func nodeSection(ctx context.Context, n *Node) models.Node {
	now := n.trunk.Now() // the section describes this moment
	wall := n.trunk.OnWall(now)
	inUsed, inLimit, outUsed, outLimit := n.trunk.Credit()
	v := models.Node{
		NodeID: n.ID().String(), PublicKey: n.PublicKey().String(),
		Network: n.Profile().Network.String(), Profile: n.Profile().Name,
		Addresses: []string{}, Warnings: []string{}, Held: len(n.Connections()),
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
	for _, a := range n.Addresses() {
		v.Addresses = append(v.Addresses, a.String())
	}
	v.Reach, v.Moved = reachSection(n), movedSection(n)
	if d := n.trunk.PeerStore().Damaged(); d > 0 {
		v.Warnings = append(v.Warnings, inspect.Count(uint64(d), "record")+" of the peer store could not be read and were left as they are")
	}
	for _, shared := range n.sharedIdentities(now) {
		v.Warnings = append(v.Warnings, fmt.Sprintf("two nodes may use the identity of %s: its connections, last from %s and %s, keep replacing each other; give each node a data directory of its own",
			shared.Peer, shared.Then, shared.Here))
	}
	v.Warnings = warnEach(v.Warnings, n.trunk.RefusedSources(), now, refusedSource, "sources are refused because of their offences")
	v.Warnings = append(v.Warnings, limitWarning(n.trunk.InboundTrouble(), now)...)
	v.Warnings = append(v.Warnings, n.files...)
	v.Warnings = append(v.Warnings, reachWarnings(n)...)
	v.Inbox = inboxSection(n)
	if n.tor != nil {
		v.Tor = new(torSection(n))
	}
	v.Warnings = append(v.Warnings, inboxWarnings(v.Inbox)...)
	v.Warnings = append(v.Warnings, n.degraded(now)...)
	if n.dht != nil {
		v.Warnings = warnEach(v.Warnings, n.dht.Undecodable(), now, undecodable, "peers sent messages that cannot be decoded; gamelan dht shows the last error")
	}
	v.Warnings = warnEach(v.Warnings, n.trunk.NotTaken(), now, notTaken, "peers take none of our messages")
	ctx, cancel := context.WithTimeout(ctx, inspect.AskTimeout)
	defer cancel()
	status, err := n.Status(ctx)
	if err != nil {
		v.Status, v.Cause = "unknown", "the connectivity actor did not say in time"
		v.Warnings = append(v.Warnings, "the connectivity actor does not answer; look at it with gamelan tree")
		return v
	}
	v.Status, v.Cause, v.Wanted = status.State, status.Cause, status.Wanted
	if v.Profile != "tari" && n.Profile().Pattern == protocol.IX {
		v.Warnings = append(v.Warnings, "the wire profile sends this node's key unencrypted when it dials")
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

// panicking returns the warning about an actor or a service that panicked.
func panicking(p actors.Panicking, now time.Time) string {
	ago := now.Sub(p.Last).Round(time.Second)
	if !p.Yours {
		return fmt.Sprintf("actor %s panicked on %s of peers, last %s ago: look at gamelan why %s", p.Path, inspect.Count(p.Count, "message"), ago, p.Path)
	}
	what, look := "your actor "+p.Path, ": look at gamelan why "+p.Path
	if p.Layer != "" {
		what, look = "your layer "+p.Layer, ""
	}
	if p.Service != "" {
		what, look = fmt.Sprintf("your service %q", string(p.Service)), ""
	}
	on := p.Message
	if p.Where != "" {
		on += " at " + p.Where
	}
	last := fmt.Sprintf("%s ago on %s: %s", ago, on, p.Value)
	if p.Stopped {
		return fmt.Sprintf("%s has stopped after a panic %s; register it again or start the node again%s", what, last, look)
	}
	return fmt.Sprintf("%s panicked %s in the last 10 minutes, last %s%s", what, inspect.Count(p.Count, "time"), last, look)
}

// undecodable returns the warning about a peer whose messages could not be decoded.
func undecodable(p dhtpart.Undecodable, now time.Time) string {
	return fmt.Sprintf("peer %s sent %s on %s that cannot be decoded, the last %s ago; this node expects messages of the DHT there: have that node use another protocol, or ban it; gamelan dht shows the last error",
		p.Peer, inspect.Count(p.Count, "message"), p.Protocol, now.Sub(p.Last).Round(time.Second))
}

// refusedSource returns the warning about a source that has committed too many offences.
func refusedSource(r connpool.Refused, now time.Time) string {
	return fmt.Sprintf("connections from %s are refused for another %s because of offences from there; exempt it with connections.exempt_sources if they are yours",
		r.Source, r.Until.Sub(now).Round(time.Second))
}

// notTaken returns the warning about a peer that takes no messages of this node.
func notTaken(p actors.NotTaken, now time.Time) string {
	return fmt.Sprintf("peer %s takes none of our messages on %s: it ended %s substreams in a row, the last %s ago; restart that node if it is yours, else it may take them again later",
		p.Peer, p.Protocol, inspect.Number(uint64(p.Times)), now.Sub(p.Last).Round(time.Second))
}

// maxNamed is how many peers or sources with the same problem get a warning each.
const maxNamed = 5

// warnEach appends a warning for each of the first maxNamed entries, and one warning with
// the number of the others.
func warnEach[T any](warnings []string, all []T, now time.Time, warn func(T, time.Time) string, others string) []string {
	for _, one := range all[:min(len(all), maxNamed)] {
		warnings = append(warnings, warn(one, now))
	}
	if more := len(all) - maxNamed; more > 0 {
		warnings = append(warnings, fmt.Sprintf("%s more %s", inspect.Number(uint64(more)), others))
	}
	return warnings
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

// connectionsSection lists the live connections and those that ended last. It asks each
// connection's actor for its statistics, all within the time limit for one question, and
// omits the statistics of an actor that does not answer.
func connectionsSection(ctx context.Context, n *Node, now time.Time) []models.Connection {
	ctx, cancel := context.WithTimeout(ctx, inspect.AskTimeout)
	defer cancel()
	var all []models.Connection
	for _, ref := range n.Connections() {
		v := connectionOf(n, ref)
		v.Protected = append(v.Protected, n.protectors(ref.Peer)...)
		v.AgeMS = now.Sub(ref.Since).Milliseconds()
		if d, err := n.tree().Inspect(ctx, ref.PID.Id); err == nil {
			if s, ok := d.Value.(actors.ConnStats); ok {
				v.RTTMS, v.LastPongAt, v.SilentMS = milliseconds(s.RTT), n.trunk.OnWall(s.LastPong), s.Silent.Milliseconds()
				v.BytesIn, v.BytesOut = s.BytesIn, s.BytesOut
			}
		}
		all = append(all, v)
	}
	for _, c := range n.trunk.Closed() {
		v := connectionOf(n, c.Ref)
		v.AgeMS = c.At.Sub(c.Ref.Since).Milliseconds()
		v.ClosedAt, v.CloseReason, v.ClosedBy = n.trunk.OnWall(c.At), c.Reason.Code, c.Reason.By
		if c.Reason.Err != nil {
			v.CloseReason += ": " + c.Reason.Err.Error()
		}
		all = append(all, v)
	}
	return all
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
