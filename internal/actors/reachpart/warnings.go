package reachpart

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/protocol/reach"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// warnings returns why others cannot connect to the node.
func (r *Reach) warnings() models.Notices {
	list := slices.Concat(r.listenGone(), r.notReached(), r.clockOff(), r.ownIdentity(reach.Hinted))
	if r.LoopbackOnly {
		list = append(list, codes.LoopbackOnly.Notice("only programs on this machine can connect to this node, and it knows peers on other machines"))
	}
	return list
}

// notReached returns a warning if others cannot connect to the node: nodes have tried, or all
// the addresses that it tells others are of a private network.
func (r *Reach) notReached() models.Notices {
	own := r.Claimed()
	if len(r.Listening()) == 0 || len(own) == 0 {
		return nil
	}
	var refused, elsewhere *protocol.Reachability
	var untrue []netip.AddrPort
	unknown, reached := false, false
	for _, j := range r.Verdicts() {
		told := slices.ContainsFunc(own, transport.FromAddrPort(j.Addr).Equal)
		beyond := r.Private || address.Public(j.Addr.Addr()) == nil
		if !told && !j.Ours || !beyond {
			continue
		}
		if told && (j.Verdict == protocol.Unreachable || j.Unseen) {
			untrue = append(untrue, j.Addr)
		}
		switch {
		case j.Verdict == protocol.Unreachable:
			refused = &j
		case j.Verdict == protocol.ReachNotKnown:
			unknown = true
		case told:
			reached = true
		default:
			elsewhere = &j
		}
	}
	switch {
	case reached:
		return nil
	case r.Given() && elsewhere != nil:
		if i := slices.IndexFunc(untrue, func(a netip.AddrPort) bool { return a.Addr().Is4() == elsewhere.Addr.Addr().Is4() }); i >= 0 {
			return models.Notices{codes.WrongPublicAddress.Notice(fmt.Sprintf("others are told %s, where nobody has reached this node; they can reach it at %s", untrue[i], elsewhere.Addr), untrue[i].String(), elsewhere.Addr.String())}
		}
		return nil
	case elsewhere != nil, refused != nil && unknown: // the other address may do
		return nil
	case refused != nil:
		return models.Notices{codes.NotReached.Notice(fmt.Sprintf("others cannot connect to this node: %s could not at %s",
			inspect.Count(uint64(refused.By), "node"), refused.Addr), strconv.Itoa(int(refused.Addr.Port())))}
	case !r.Private && !slices.ContainsFunc(own, address.External):
		return models.Notices{codes.PrivateOnly.Notice(fmt.Sprintf("others cannot connect to this node, it can only connect to them: %s is an address of a private network", own[0]), own[0].String())}
	}
	return nil
}

// listenGone returns a notice for each address of the settings on which the node listens, and which
// the machine does not have any more.
func (r *Reach) listenGone() (list models.Notices) {
	present := r.Addresses()
	if len(present) == 0 || r.Home != nil { // not known, or the node follows the machine
		return nil
	}
	for _, at := range r.Listening() {
		ip, ok := transport.IP(at)
		if !ok || ip.IsUnspecified() || ip.IsLoopback() || slices.Contains(present, ip.WithZone("")) || slices.Contains(present, ip) {
			continue
		}
		port, _ := transport.TCPPort(at)
		list = append(list, codes.ListenGone.Notice(fmt.Sprintf("the node listens on %s, which is no address of this machine now", at), at.String(), strconv.Itoa(int(port))))
	}
	return list
}
