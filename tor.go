package gamelan

import torpart "github.com/gamelan-p2p/gamelan/actors/tor"

// TorStatus is what a node with [TransportTor] knows of Tor and of its onion service. Its
// times are of the node's clock; [Inspection.OnWall] converts them.
type TorStatus = torpart.State

// Tor returns the state of Tor and of the onion service, and false for a node that does not
// use Tor's control port.
func (n *Node) Tor() (TorStatus, bool) {
	if n.tor == nil {
		return TorStatus{}, false
	}
	return n.tor.State(), true
}
