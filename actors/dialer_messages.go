package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
)

// DialAttempt is one try of one address.
type DialAttempt struct {
	At    time.Time
	Addr  ma.Multiaddr
	Stage string // how far it came: "tcp", "noise", …; "" when it succeeded
	Err   error
	Took  time.Duration

	Handshake time.Duration // of Took, what the handshake and identity exchange took

	By string // who asked for the dial
}

// DialPeer asks the dialer for a connection. Reply: PeerDialed, with the
// connection that survived.
type DialPeer struct {
	Token     uint64
	Peer      identity.NodeID
	Automatic bool // the node's own idea: shares a budget, respects a busy peer
	Reply     *actor.PID
	By        string // who asks, for the list of attempts; "" is the API

	system *actor.ActorSystem
	again  bool // the connection that an earlier dial brought was lost at once
}

// NewDialPeer makes the request; reply is who hears the answer, by who asks.
func NewDialPeer(sys *actor.ActorSystem, token uint64, peer identity.NodeID, reply *actor.PID, by string) DialPeer {
	return DialPeer{Token: token, Peer: peer, Reply: reply, By: by, system: sys}
}

// Discard answers in the place of a dialer that is gone.
func (m DialPeer) Discard() {
	if m.system != nil && m.Reply != nil {
		m.system.Root.Send(m.Reply, PeerDialed{Token: m.Token, Peer: m.Peer, Err: ErrClosing})
	}
}

// PeerDialed replies to DialPeer.
type PeerDialed struct {
	Token uint64
	Peer  identity.NodeID
	Conn  *ConnRef // nil if Err is not
	Err   error
}

// CancelDial takes back the DialPeer with this token and reply, which is
// answered with ErrDialCancelled. The dial goes on if others want the peer.
type CancelDial struct {
	Peer  identity.NodeID
	Token uint64
	Reply *actor.PID // nil: whoever sent it; for tokens of [Trunk.NewID]
}

// DialFailed is published when a dial came to nothing.
type DialFailed struct {
	Peer     identity.NodeID
	Attempts []DialAttempt
	Err      error
}
