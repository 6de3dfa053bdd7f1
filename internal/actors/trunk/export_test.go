package trunk

import (
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// Accounts is how many peers have an account for what is sent to them.
func (e *env) Accounts() int {
	e.Plain.accounts.mu.Lock()
	defer e.Plain.accounts.mu.Unlock()
	return len(e.Plain.accounts.byPeer)
}

// From is the ban of an offence that came from there.
func (m BanPeer) From(o peerstore.Origin) BanPeer {
	m.origin = o
	return m
}

// Env is what the tests of single actors run them with.
type Env = env

var (
	NewEnv          = newEnv
	NewPeers        = newPeers
	NewConns        = newConns
	NewDialer       = newDialer
	NewConnectivity = newConnectivity
	NewServices     = newServices
	NewExtensions   = newExtensions
)

// Preregister is [Node.Preregister].
func (e *env) Preregister(m Register) error { return e.preregister(m) }
