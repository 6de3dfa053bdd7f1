package gamelan

import (
	"context"
	"fmt"
	"slices"
	"strings"

	dhtpart "github.com/gamelan-p2p/gamelan/actors/dht"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// dhtSection returns the section "dht". It asks the outbound actor for its state; the field
// Outbound is nil if that actor does not answer in time.
func dhtSection(ctx context.Context, n *Node) models.DHT {
	v := models.DHT{Types: []int32{}, Inbound: []models.DHTCount{}}
	if n.dht == nil {
		return v
	}
	v.On, v.Forwarding = true, !n.dht.NoForwarding
	v.Protocol = string(n.trunk.Frames().ID)
	v.PlainProtocol = string(n.trunk.Plain().ID)
	for t := range n.dht.Types.All() {
		v.Types = append(v.Types, t)
	}
	slices.Sort(v.Types)
	for _, c := range n.dht.Counts() {
		x := models.DHTCount{Reason: c.Reason.String(), Count: c.Count}
		if c.Last != nil {
			x.LastAt, x.LastPeer, x.LastError = n.trunk.OnWall(c.Last.At), c.Last.Peer.String(), words.WithoutPackage(c.Last.Err)
		}
		v.Inbound = append(v.Inbound, x)
	}
	if in := inboxSection(n); in != nil && in.Dropped > 0 { // these messages were delivered to the inbox, which had no room
		for i := range v.Inbound {
			if x := &v.Inbound[i]; x.Reason == dht.Delivered.String() {
				x.Count -= min(x.Count, in.Dropped)
			}
		}
		v.Inbound = append(v.Inbound, models.DHTCount{Reason: models.ReasonInboxFull, Count: in.Dropped})
	}
	limits := n.dht.Limits()
	v.Flood = &models.DHTFlood{Limit: limits.Flood.Limit, Held: limits.Flood.Held, Unread: limits.Flood.Unread}
	v.Relayed = &models.DHTRelayed{Limit: limits.Relay.Limit, Sources: limits.Relay.Sources, Refused: limits.Relay.Refused}
	seen := n.dht.Dedup.Stats()
	v.Dedup = models.DHTDedup{Messages: seen.Hashes, Capacity: seen.Capacity, Repeats: seen.Copies, Fingerprints: seen.Fingerprints, Early: seen.Early}
	ctx, cancel := context.WithTimeout(ctx, inspect.AskTimeout)
	defer cancel()
	if d, err := n.tree().Inspect(ctx, n.dht.Outbound.Id); err == nil {
		if s, ok := d.Value.(dhtpart.Sending); ok {
			v.Outbound = outboundOf(&s)
		}
	}
	return v
}

func outboundOf(s *dhtpart.Sending) *models.DHTOutbound {
	c := &s.Counts
	var lost []models.DHTLost
	for why, n := range c.RelayFailed {
		if n > 0 {
			lost = append(lost, models.DHTLost{Reason: dht.RelayFailure(why).String(), Count: n})
		}
	}
	return &models.DHTOutbound{
		Lost: lost, Unreached: s.Unreached,
		Sends: c.Sends, Copies: c.Copies, Confirmed: c.Confirmed, InDoubt: c.InDoubt, Failed: c.Failed,
		OpenSends: s.Sends, OpenCopies: s.Copies, Resent: c.Resent, Paced: c.Paced,
		Passed: c.Relays - c.RelaysNobody - c.RelaysDropped, PassedTo: c.RelayCopies, Dropped: c.RelaysNobody + c.RelaysDropped, Nobody: c.RelaysNobody,
		Credit: models.Credit{Used: s.Credit, Limit: s.Limit}, LastError: words.WithoutPackage(s.LastError),
	}
}

// ledgerSection returns the section "ledger": the messages that were sent over the DHT.
func ledgerSection(n *Node) models.Ledger {
	v := models.Ledger{Reports: []models.Report{}}
	if n.dht == nil {
		return v
	}
	v.Accepted, v.Ended = n.dht.Ledger.Counts()
	for _, r := range n.DHT().Sends() {
		v.Reports = append(v.Reports, n.report(r))
	}
	return v
}

// describeReport converts a report to the form that the API uses. It does not change the
// times.
func describeReport(r dht.Report) models.Report {
	v := models.Report{
		Tag: fmt.Sprintf("%016x", r.Tag), To: r.To, Type: r.Type, Encrypted: r.Encrypted, Size: r.Size, ToStore: r.ToStore,
		Begin: r.Begin, End: r.End, Copies: []models.Copy{},
	}
	if !r.Destination.IsZero() {
		v.Destination, v.DestinationID = r.Destination.String(), r.Destination.NodeID().String()
	}
	if r.Reason != 0 {
		v.Reason, v.Detail = r.Reason.String(), words.Sentence(r.Err)
	}
	for _, c := range r.Copies {
		v.Copies = append(v.Copies, models.Copy{Peer: c.Peer.String(), Outcome: describeOutcome(c.Outcome), Tries: c.Tries, At: c.At})
	}
	v.Summary = summary(&r, &v)
	return v
}

// summary returns the text of [dht.Report.String], with errors as sentences.
func summary(r *dht.Report, v *models.Report) string {
	switch {
	case v.Reason != "":
		return phrase(models.OutcomeFailed, v.Reason, v.Detail)
	case len(v.Copies) == 1 && r.Open() == 0 && !r.ToStore:
		return phrase(r.Copies[0].Outcome.Kind.String(), v.Copies[0].Reason, v.Copies[0].Detail)
	}
	return r.String()
}

func phrase(all ...string) string {
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), ": ")
}

func describeOutcome(o protocol.Outcome) models.Outcome {
	v := models.Outcome{Outcome: models.OutcomeOpen, Reason: o.Reason.String(), Detail: words.Sentence(o.Err)}
	if c := codes.Of(o.Err); c != nil {
		v.Code = c.Name
	}
	switch o.Kind {
	case protocol.Confirmed:
		v.Outcome = models.OutcomeConfirmed
	case protocol.InDoubt:
		v.Outcome = models.OutcomeInDoubt
	case protocol.Failed:
		v.Outcome = models.OutcomeFailed
	}
	return v
}
