package gamelan

import (
	"fmt"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// torSection returns the section "tor": how the node connects, and its onion service.
func torSection(n *Node) models.Tor {
	s, ok := n.Tor()
	if !ok {
		return models.Tor{Transports: n.trunk.TransportNames(), Summary: "this node has no onion service"}
	}
	v := models.Tor{
		On: true, Transports: n.trunk.TransportNames(), Control: string(s.Phase), Since: n.trunk.Shown(s.Since), Error: words.Sentence(s.Err),
		Version: s.Version, Bootstrap: s.Bootstrap, Circuits: s.Circuits, Offline: s.Offline, NewCircuits: s.Signals,
		Onion: s.Onion.String(), State: string(s.Service.State), StateSince: n.trunk.Shown(s.Service.Since),
		Reachable: s.Reachable(), AdvertisedAt: n.trunk.Shown(s.Advertised), Trouble: s.Trouble(),
	}
	if s.Proxy != nil {
		v.Proxy = s.Proxy.String()
	}
	v.Summary = torSummary(s)
	return v
}

// torSummary says in one sentence whether peers can reach the onion service.
func torSummary(s TorStatus) string {
	switch {
	case s.Reachable():
		return fmt.Sprintf("%s is published: peers can find it", s.Onion)
	case s.Phase != tor.Ready:
		return fmt.Sprintf("%s cannot be reached: there is no control connection to Tor", s.Onion)
	case s.Bootstrap < 100 || !s.Circuits || s.Offline:
		return fmt.Sprintf("%s cannot be reached: Tor has no way through its network", s.Onion)
	}
	return fmt.Sprintf("%s is %s: peers cannot find it yet", s.Onion, s.Service.State)
}

// torDegraded returns why the node is degraded because of Tor.
func (n *Node) torDegraded() models.Notices {
	s, ok := n.Tor()
	if !ok || s.Trouble() == "" {
		return nil
	}
	return models.Notices{codes.TorFailed.Notice(strings.TrimSuffix(s.Trouble(), "."))}
}
