package gamelan

import (
	"context"
	"io"

	"github.com/gamelan-p2p/gamelan/internal/assemble"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// TorIdentityFile is the name of the file in a data directory with the key of the node's
// onion service. It has the form of Tari's, so that an onion address can be moved over.
const TorIdentityFile = assemble.TorIdentityFile

// ErrTorIdentityOpen reports a key of an onion service that others can read.
var ErrTorIdentityOpen = assemble.ErrTorIdentityOpen

// TorStatus is what a node with [TransportTor] knows of Tor and of its onion service. Its
// times are of the node's clock; [Inspection.OnWall] converts them.
type TorStatus = tor.State

// Tor returns the state of Tor and of the onion service, and false for a node that does not
// use Tor's control port.
func (n *Node) Tor() (TorStatus, bool) {
	if n.e.Tor == nil {
		return TorStatus{}, false
	}
	return n.e.Tor.State(), true
}

// WithTorControl replaces how the node connects to the control port of Tor, for a program
// that runs a Tor of its own. The stream is closed when the node ends or connects again. The
// node authenticates over it as Config.Tor.ControlAuth says.
func WithTorControl(connect func(ctx context.Context) (io.ReadWriteCloser, error)) Option {
	return func(o *options) error {
		o.TorControl = connect
		return nil
	}
}
