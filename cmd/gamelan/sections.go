package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// sectionsOf are the node's own sections: node, peers and connections.
func sectionsOf(n *gamelan.Node) *inspect.Sections {
	s := new(inspect.Sections)
	s.Section("node", func(ctx context.Context) any { return nodeSection(ctx, n) })
	s.Section("peers", func(context.Context) any { return peersSection(n, time.Now()) })
	s.Section("connections", func(ctx context.Context) any { return connectionsSection(ctx, n, time.Now()) })
	return s
}

func nodeSection(ctx context.Context, n *gamelan.Node) inspect.Node {
	inUsed, inLimit, outUsed, outLimit := n.Actors().Credit()
	v := inspect.Node{
		NodeID: n.ID().String(), PublicKey: n.PublicKey().String(),
		Network: n.Profile().Network.String(), Profile: n.Profile().Name,
		Addresses: []string{}, Warnings: []string{}, Held: len(n.Connections()),
		Credit:    inspect.Credit{Used: inUsed + outUsed, Limit: inLimit + outLimit},
		StartedAt: n.StartedAt(), Version: gamelan.Version, PID: os.Getpid(), Peers: n.Peers().Len(),
	}
	for _, c := range n.Connections() {
		if c.Direction == protocol.Inbound {
			v.Inbound++
		} else {
			v.Outbound++
		}
	}
	now := time.Now()
	for p := range n.Peers().All() {
		if p.Banned(now) {
			v.Banned++
		}
	}
	for _, a := range n.Addresses() {
		v.Addresses = append(v.Addresses, a.String())
	}
	if d := n.Actors().Store.Damaged(); d > 0 {
		v.Warnings = append(v.Warnings, plural(uint64(d), "record")+" of the peer store could not be read and were left as they are")
	}
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
		v.Warnings = append(v.Warnings, "the wire profile sends this node's key in clear when it dials")
	}
	return v
}

func peerOf(n *gamelan.Node, p peerstore.Peer, now time.Time) inspect.Peer {
	v := inspect.Peer{
		NodeID: p.ID.String(), Features: p.Features.String(), UserAgent: p.UserAgent,
		Protocols: []string{}, Addresses: []inspect.Address{},
		BanReason: p.BanReason, OfflineSince: p.OfflineSince(), AddedAt: p.AddedAt,
	}
	if p.Banned(now) {
		v.BannedUntil = p.BannedUntil
	}
	if !p.Key.IsZero() {
		v.PublicKey = p.Key.String()
	}
	if ref, ok := n.Connection(p.ID); ok {
		v.Connection = new(connectionID(ref))
		v.UserAgent = ref.UserAgent
	}
	for _, id := range p.Protocols {
		v.Protocols = append(v.Protocols, string(id))
	}
	for _, a := range p.Addresses {
		score, _ := a.Score(now)
		v.Addresses = append(v.Addresses, inspect.Address{
			Addr: a.Addr.String(), Source: a.Source.String(), LastOK: a.LastSeen, LastAttempt: a.LastAttempted,
			LastError: a.LastFailure, Failures: a.Attempts, Attempts: a.Attempts,
			LatencyMS: milliseconds(a.Latency.Mean), Score: float64(score),
		})
	}
	return v
}

// connectionsSection lists the live connections and those that ended last.
// What only the connection's actor knows is asked of it, all of them within
// the time for one; one that does not answer is shown without.
func connectionsSection(ctx context.Context, n *gamelan.Node, now time.Time) []inspect.Connection {
	ctx, cancel := context.WithTimeout(ctx, inspect.AskTimeout)
	defer cancel()
	var all []inspect.Connection
	for _, ref := range n.Connections() {
		v := connectionOf(ref)
		v.Handles = append(v.Handles, n.Owners(ref.Peer)...)
		v.AgeMS = now.Sub(ref.Since).Milliseconds()
		if d, err := n.Tree().Inspect(ctx, ref.PID.Id); err == nil {
			if s, ok := d.Value.(actors.ConnStats); ok {
				v.RTTMS, v.LastPongAt = milliseconds(s.RTT), s.LastPong
				v.BytesIn, v.BytesOut = s.BytesIn, s.BytesOut
			}
		}
		all = append(all, v)
	}
	for _, c := range n.Actors().Closed.Last() {
		v := connectionOf(c.Ref)
		v.AgeMS = c.At.Sub(c.Ref.Since).Milliseconds()
		v.ClosedAt, v.CloseReason, v.ClosedBy = c.At, c.Reason.Code, c.Reason.By
		if c.Reason.Err != nil {
			v.CloseReason += ": " + c.Reason.Err.Error()
		}
		all = append(all, v)
	}
	return all
}

func connectionID(ref *gamelan.Connection) string { return fmt.Sprintf("%s-%d", ref.Peer, ref.ID) }

func connectionOf(ref *gamelan.Connection) inspect.Connection {
	return inspect.Connection{
		ID: connectionID(ref), Peer: ref.Peer.String(), Direction: ref.Direction.String(), Transport: ref.Transport,
		Remote: ref.Addr.String(), OpenedAt: ref.Since,
		Handshake: inspect.Handshake{
			Wire: milliseconds(ref.Timings.Wire), Noise: milliseconds(ref.Timings.Noise), Identity: milliseconds(ref.Timings.Identity),
		},
		Substreams: []inspect.Substream{}, Handles: []string{},
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
