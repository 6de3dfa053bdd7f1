package gamelan

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol/address"
	"github.com/gamelan-p2p/gamelan/protocol/reach"
	"github.com/gamelan-p2p/gamelan/transport"
)

// reachSection returns whether others can connect to the node's addresses.
func reachSection(n *Node) (list []models.Reach) {
	own := n.Addresses()
	for _, r := range n.Reachability() {
		v := models.Reach{
			Addr: r.Addr.String(), Verdict: r.Verdict.String(), Nodes: r.By, Again: r.Again, Why: r.Why,
			Told: slices.ContainsFunc(own, transport.FromAddrPort(r.Addr).Equal),
		}
		if !r.Since.IsZero() {
			v.Since = n.trunk.OnWall(r.Since)
		}
		if !r.At.IsZero() {
			v.At = n.trunk.OnWall(r.At)
		}
		list = append(list, v)
	}
	return list
}

// reachWarnings returns a warning if others cannot connect to the node: nodes have tried, or all
// the addresses that it tells others are of a private network.
func reachWarnings(n *Node) models.Notices {
	own := n.Addresses()
	if len(n.listen) == 0 || len(own) == 0 {
		return nil
	}
	var refused, elsewhere *Reachability
	var untrue []netip.AddrPort
	unknown, reached := false, false
	for _, r := range n.Reachability() {
		told := slices.ContainsFunc(own, transport.FromAddrPort(r.Addr).Equal)
		beyond := n.trunk.Profile().TestAddresses || address.Public(r.Addr.Addr()) == nil
		if !told && !r.Ours || !beyond {
			continue
		}
		if told && (r.Verdict == reach.Unreachable || r.Unseen) {
			untrue = append(untrue, r.Addr)
		}
		switch {
		case r.Verdict == reach.Unreachable:
			refused = &r
		case r.Verdict == reach.NotKnown:
			unknown = true
		case told:
			reached = true
		default:
			elsewhere = &r
		}
	}
	switch set := n.public || n.given.Load(); {
	case reached:
		return nil
	case set && elsewhere != nil:
		if i := slices.IndexFunc(untrue, func(a netip.AddrPort) bool { return a.Addr().Is4() == elsewhere.Addr.Addr().Is4() }); i >= 0 {
			return models.Notices{codes.WrongPublicAddress.Notice(fmt.Sprintf("others are told %s, where nobody has reached this node; they can reach it at %s", untrue[i], elsewhere.Addr), untrue[i].String(), elsewhere.Addr.String())}
		}
		return nil
	case elsewhere != nil, refused != nil && unknown: // the other address may do
		return nil
	case refused != nil:
		return models.Notices{codes.NotReached.Notice(fmt.Sprintf("others cannot connect to this node: %s could not at %s",
			inspect.Count(uint64(refused.By), "node"), refused.Addr), strconv.Itoa(int(refused.Addr.Port())))}
	case !n.trunk.Profile().TestAddresses && !slices.ContainsFunc(own, address.External):
		return models.Notices{codes.PrivateOnly.Notice(fmt.Sprintf("others cannot connect to this node, it can only connect to them: %s is an address of a private network", own[0]), own[0].String())}
	}
	return nil
}

// listenGone returns a notice for each address of the settings on which the node listens, and which
// the machine does not have any more.
func listenGone(n *Node) (list models.Notices) {
	if n.reach == nil || n.reach.Home != nil { // it follows the machine
		return nil
	}
	present := n.reach.Addresses()
	for _, l := range n.listen {
		ip, ok := transport.IP(l.Where())
		if !ok || len(present) == 0 || ip.IsUnspecified() || ip.IsLoopback() || slices.Contains(present, ip.WithZone("")) || slices.Contains(present, ip) {
			continue
		}
		port, _ := transport.TCPPort(l.Where())
		list = append(list, codes.ListenGone.Notice(fmt.Sprintf("the node listens on %s, which is no address of this machine now", l.Where()), l.Where().String(), strconv.Itoa(int(port))))
	}
	return list
}

// movedSection returns the last change of the addresses that the node tells others, or nil.
func movedSection(n *Node) *models.Moved {
	if n.reach == nil {
		return nil
	}
	m, ok := n.reach.Moved()
	if !ok {
		return nil
	}
	v := models.Moved{At: n.trunk.OnWall(m.At)}
	for _, a := range m.Before {
		v.Before = append(v.Before, a.String())
	}
	return &v
}
