package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
)

// whyPeer is the API's action that explains the node's choices.
func whyPeer(n *gamelan.Node) inspect.PeerAction {
	return inspect.PeerAction{Do: func(ctx context.Context, peer string, _ url.Values) (any, error) {
		dials, err := n.Inspection().Dialling(ctx)
		if err != nil {
			return nil, err
		}
		if ip, err := netip.ParseAddr(peer); err == nil {
			return whySource(ctx, n, ip)
		}
		id, err := n.Peers().Given(ctx, peer, true)
		if err != nil {
			var dialled bool
			if id, dialled = amongDialled(peer, dials); !dialled {
				return nil, trunk.NotFound(err, inspect.HintAdd)
			}
		}
		return whyOf(ctx, n, id, dials), nil
	}}
}

// amongDialled finds a peer that is being dialled and of which the node knows nothing else: a
// peer of which a person has given the address.
func amongDialled(peer string, dials []gamelan.DialUnderWay) (id identity.NodeID, ok bool) {
	if key, err := identity.ParsePublicKey(peer); err == nil {
		peer = key.NodeID().String()
	}
	for _, d := range dials {
		if strings.HasPrefix(d.Peer.String(), strings.ToLower(peer)) {
			if ok {
				return id, false // of two
			}
			id, ok = d.Peer, true
		}
	}
	return id, ok
}

func whyOf(ctx context.Context, n *gamelan.Node, id identity.NodeID, dials []gamelan.DialUnderWay) models.Why {
	seen := n.Inspection()
	history := seen.Peer(id)
	ref, connected := n.Connection(id)
	w := models.Why{
		NodeID: id.String(), Connected: connected, Protected: append([]string{}, history.Protected...),
		Candidates: []models.WhyCandidate{}, Dials: []models.WhyDial{},
	}
	w.Pools, w.Asked = poolsOf(n.DHT().Network(), w.NodeID)
	w.Stored = storedOf(ctx, n, w.NodeID)
	w.Kad = kadOf(n, id)
	if p, ok := n.Peers().Get(id); ok {
		w.Addresses = len(p.Addresses)
		for _, a := range p.Addresses {
			w.Known = append(w.Known, models.Address{Addr: a.Addr.String(), Source: a.Source.String(), LastOK: a.LastSeen, LastAttempt: a.LastAttempted, LastError: words.OneLine(a.LastFailure), Attempts: a.Attempts, Failures: a.Attempts})
		}
		if !p.Key.IsZero() {
			w.PublicKey = p.Key.String()
			w.NotAdmitted = n.Peers().Admits(p.Key) != nil
		}
	}
	if until, reason, banned := n.Peers().Banned(id); banned {
		w.BannedUntil, w.BanReason = until, words.OneLine(reason)
	}
	if connected {
		w.Direction, w.Remote, w.Since = ref.Direction.String(), ref.Addr.String(), seen.OnWall(ref.Since)
		asking, cancel := context.WithTimeout(ctx, inspect.AskTimeout)
		w.SilentMS = seen.Silence(asking, ref).Milliseconds()
		cancel()
		if last := history.Before; last != nil {
			if before, moved := movedFrom(last.Ref.Addr, ref.Addr); moved {
				w.MovedFrom, w.MovedAt = before, last.At
			}
		}
	} else {
		w.NextDialAt, w.Tor = history.NextDial, words.OneLine(torOf(n, history))
		if last := history.Ended; last != nil {
			w.Lost, w.LostAt = words.OneLine(last.Reason.String()), last.At
		}
		w.Others, w.NotReached = othersThan(n, id), notReached(ctx, n)
	}
	if i := slices.IndexFunc(dials, func(d gamelan.DialUnderWay) bool { return d.Peer == id }); i >= 0 && !connected {
		w.Dialling = &models.WhyDialling{Since: dials[i].Since, By: dials[i].By}
		if dials[i].Addr != nil {
			w.Dialling.Address = dials[i].Addr.String()
		}
	}
	for _, m := range history.NotTaken {
		w.NotTaken = append(w.NotTaken, words.OneLine(fmt.Sprintf("It takes none of our messages on %s: it ended %s in a row, the last at %s (%v)",
			m.Protocol, inspect.Count(uint64(m.Times), "substream"), m.Last.Local().Format(time.RFC3339), m.Err)))
	}
	for _, d := range history.Attempts {
		x := models.WhyDial{At: d.At, Addr: d.Addr.String(), Stage: d.Stage, TookMS: float64(d.Took.Microseconds()) / 1000, By: d.By}
		if d.Err != nil {
			x.Error = words.OneLine(d.Err.Error())
			c, what, step := trunk.Because(d.Err, address.Short(d.Addr))
			if errors.Is(d.Err, context.Canceled) { // by who wanted it: that says nothing of the peer
				c, what, step = codes.DialNoAnswer, "no answer from "+address.Short(d.Addr)+" before the dial was given up", ""
			}
			x.Code = c.Name
			if !connected && d.At.After(w.LostAt) && (w.Because == nil || !errors.Is(d.Err, context.Canceled)) {
				w.Tried++
				w.Because = new(c.Notice(words.OneLine(what)))
				w.Because.Step = cmp.Or(step, w.Because.Step)
			}
		} else {
			w.Tried, w.Because = 0, nil
		}
		w.Dials = append(w.Dials, x)
	}
	w.Refused = refusedOf(ctx, n, id)
	choice := history.Choice
	if choice == nil {
		return w
	}
	w.At, w.Purpose, w.Missing, w.Wanted, w.Considered = choice.At, choice.Purpose, choice.Missing, choice.Wanted, choice.Considered
	for i, r := range choice.Ranked {
		x := models.WhyCandidate{
			Rank: i + 1, NodeID: r.Peer.String(), Score: r.Score, Parts: make(map[string]float64, len(r.Parts)),
			Chosen: r.Chosen, Verdict: r.Verdict,
		}
		for _, p := range r.Parts {
			x.Parts[p.Name] = p.Value
		}
		w.Candidates = append(w.Candidates, x)
	}
	return w
}

// refusedOf returns what the node has refused of a peer, and from its addresses.
func refusedOf(ctx context.Context, n *gamelan.Node, id identity.NodeID) []models.WhyRefused {
	var from []ma.Multiaddr
	if last := n.Inspection().Peer(id).Ended; last != nil {
		from = append(from, last.Ref.Addr)
	}
	if ref, connected := n.Connection(id); connected {
		from = append(from, ref.Addr)
	}
	if p, ok := n.Peers().Get(id); ok {
		for _, a := range p.Addresses {
			from = append(from, a.Addr)
		}
	}
	asking, cancel := context.WithTimeout(ctx, inspect.AskTimeout)
	defer cancel()
	list, err := n.Inspection().Refused(asking, id, from...)
	if err != nil {
		return nil // the node ends
	}
	return list
}

// mostThere is how many peers with an address are told.
const mostThere = 100

// whySource returns what the node has refused from an IP address, and who is known there.
func whySource(ctx context.Context, n *gamelan.Node, ip netip.Addr) (any, error) {
	w := models.Why{Source: ip.String(), Protected: []string{}, Pools: []string{}, Candidates: []models.WhyCandidate{}, Dials: []models.WhyDial{}}
	var err error
	if w.Refused, err = n.Inspection().Refused(ctx, identity.NodeID{}, transport.FromAddrPort(netip.AddrPortFrom(ip.Unmap(), 1))); err != nil {
		return nil, err
	}
	looked := 0
	for p := range n.Peers().All() {
		if looked++; looked > othersLooked || len(w.Peers) == mostThere {
			break
		}
		there := slices.ContainsFunc(p.Addresses, func(a peerstore.Address) bool {
			at, ok := transport.IP(a.Addr)
			return ok && at.Unmap() == ip.Unmap()
		})
		if ref, connected := n.Connection(p.ID); connected && !there {
			at, ok := transport.IP(ref.Addr)
			there = ok && at.Unmap() == ip.Unmap()
		}
		if there {
			w.Peers = append(w.Peers, p.ID.String())
		}
	}
	return w, nil
}

const (
	// othersFor is how long a failed dial of another peer counts.
	othersFor = 10 * time.Minute
	// othersLooked is how many known peers are looked at.
	othersLooked = 10_000
)

// othersThan returns how it stands with the other peers.
func othersThan(n *gamelan.Node, id identity.NodeID) *models.WhyOthers {
	o, looked, now := new(models.WhyOthers), 0, time.Now()
	for p := range n.Peers().All() {
		if looked++; looked > othersLooked {
			break
		}
		if p.ID == id || p.ID == n.ID() {
			continue
		}
		if _, ok := n.Connection(p.ID); ok {
			o.Reached++
			continue
		}
		if slices.ContainsFunc(p.Addresses, func(a peerstore.Address) bool { return a.LastFailure != "" && now.Sub(a.LastAttempted) < othersFor }) {
			o.Away, o.Who = o.Away+1, p.ID.String()
		}
	}
	if o.Away != 1 {
		o.Who = ""
	}
	return o
}

// unreached are the codes that say why others cannot connect to a node.
var unreached = []string{codes.NotReached.Name, codes.WrongPublicAddress.Name, codes.ListenGone.Name, codes.LoopbackOnly.Name}

// notReached returns why others cannot connect to the node, nil if nothing is known against it.
func notReached(ctx context.Context, n *gamelan.Node) *models.Notice {
	h := n.Health(ctx)
	all := slices.Concat(h.Reasons, h.Warnings)
	if i := slices.IndexFunc(all, func(n models.Notice) bool { return slices.Contains(unreached, n.Code) }); i >= 0 {
		return &all[i]
	}
	return nil
}

// movedFrom returns the IP address of an earlier connection to a peer, and whether the present
// one is with another address of the same family.
func movedFrom(before, now ma.Multiaddr) (string, bool) {
	was, _ := ma.SplitFirst(before)
	is, _ := ma.SplitFirst(now)
	if was == nil || is == nil || was.Protocol().Code != is.Protocol().Code || was.Value() == is.Value() {
		return "", false
	}
	code := is.Protocol().Code
	return was.Value(), code == ma.P_IP4 || code == ma.P_IP6
}

// storedOf returns how a peer has answered requests for stored messages, nil if it was not
// asked.
func storedOf(ctx context.Context, n *gamelan.Node, id string) *models.StoreForwardPeer {
	s := n.DHT().StoreForward(ctx)
	if s.Client == nil {
		return nil
	}
	for _, p := range s.Client.Peers {
		if p.NodeID == id && (p.Last != nil || p.Unanswered > 0 || p.Running != "") {
			return &p
		}
	}
	return nil
}

// poolsOf returns why the node wants a peer, and how that has answered when it was asked for
// peers.
func poolsOf(network models.Network, id string) (pools []string, asked *models.WhyAsked) {
	pools = []string{}
	is := func(m models.NetworkMember) bool { return m.NodeID == id }
	if slices.ContainsFunc(network.Neighbour.Members, is) {
		pools = append(pools, "neighbour")
	}
	if slices.ContainsFunc(network.Random.Members, is) {
		pools = append(pools, "random")
	}
	for _, s := range network.Seeds {
		if s.NodeID == id {
			pools = append(pools, "seed")
			asked = &models.WhyAsked{At: s.AskedAt, Answered: s.Answered, Peers: s.Peers, Error: s.Error}
		}
	}
	for _, x := range network.Sync.Answers {
		if x.NodeID == id && (asked == nil || !asked.At.After(network.Sync.LastAt)) {
			asked = &models.WhyAsked{At: network.Sync.LastAt, Answered: x.Answered, Peers: x.Peers, New: new(x.New), Error: x.Error}
		}
	}
	return pools, asked
}

// kadOf returns sentences on what a peer is to the clients of the key-value DHT.
func kadOf(n *gamelan.Node, peer identity.NodeID) (lines []string) {
	for _, c := range n.KV().Clients() {
		for _, k := range c.Known() {
			if k.Contact.PublicKey.NodeID() != peer {
				continue
			}
			line := fmt.Sprintf("It is a contact of client %s of the key-value DHT: bucket %d, answered at %s", c.Name(), k.Bucket, k.Answered.Local().Format(time.RFC3339))
			if k.Failures > 0 {
				line += fmt.Sprintf(", and not to the last %s", inspect.Count(uint64(k.Failures), "request"))
			}
			lines = append(lines, line+".")
		}
	}
	return lines
}

// torOf says on which side of Tor the last dial of a peer has failed; "" if it has not, or did
// not go through a proxy.
func torOf(n *gamelan.Node, history gamelan.PeerHistory) string {
	if len(history.Attempts) == 0 {
		return ""
	}
	s, _ := n.Tor()
	return torSentence(history.Attempts[len(history.Attempts)-1].Err, s.Trouble())
}

// torSentence tells a Tor of this machine that is broken from an onion service that is away.
// trouble is what is known to be wrong with this machine's Tor, in a sentence; "" is nothing.
func torSentence(err error, trouble string) string {
	failed, proxied := errors.AsType[*socks.Error](err)
	dial, _ := errors.AsType[*transport.DialError](err)
	switch {
	case !proxied || dial == nil:
		return ""
	case dial.Stage == transport.StageProxy:
		return strings.TrimSpace("The last dial did not get beyond this machine: it is the Tor or the proxy here that does not work, not the peer. " + trouble)
	case failed.Cause == socks.CauseNotPublished, failed.Cause == socks.CauseIntroduction, failed.Cause == socks.CauseRefused:
		return "Tor works here: it was asked, and could not reach the peer. It is the peer, or the peer's Tor, that is away."
	case failed.Cause == socks.CauseTimeout && trouble != "":
		return "Tor gave no answer, and it is the one here that has a trouble, whatever the peer has. " + trouble
	case failed.Cause == socks.CauseTimeout:
		return "Tor runs here and gave no answer in time: the peer's Tor may have ended without a word, or the network is slow."
	}
	return ""
}
