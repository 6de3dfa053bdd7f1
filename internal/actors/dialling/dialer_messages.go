package dialling

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
)

// DialPeer asks the dialer for a connection to a peer. Reply: PeerDialed, with the
// connection that survived the tie-break.
type DialPeer struct {
	Token     uint64
	Peer      identity.NodeID
	Automatic bool // the node itself wants it: such dials have limits, and wait for a peer that is busy
	Stranger  bool // another node has caused it: see [dial.Aims]; so has, perhaps, each automatic dial
	Reply     *actor.PID
	By        string // the asker's name in the list of attempts; "" stands for the API

	system *actor.ActorSystem
	again  bool // it was asked once more: the first connection was lost at once
}

// NewDialPeer returns a request whose answer goes to reply. by is the asker's name.
func NewDialPeer(sys *actor.ActorSystem, token uint64, peer identity.NodeID, reply *actor.PID, by string) DialPeer {
	return DialPeer{Token: token, Peer: peer, Reply: reply, By: by, system: sys}
}

// strange reports whether a stranger may have caused the request.
func (m *DialPeer) strange() bool { return m.Automatic || m.Stranger }

// Discard replies PeerDialed if no dialer handles the request: the node is closing.
func (m DialPeer) Discard() {
	if m.system != nil && m.Reply != nil {
		m.system.Root.Send(m.Reply, PeerDialed{Token: m.Token, Peer: m.Peer, Err: actors.ErrClosing})
	}
}

// PeerDialed replies to DialPeer.
type PeerDialed struct {
	Token uint64
	Peer  identity.NodeID
	Conn  *actors.ConnRef // nil if Err is not
	Err   error
}

// CancelDial takes back the DialPeer with this token and reply. The dialer answers that
// request with ErrDialCancelled. The dial goes on if others want the peer.
type CancelDial struct {
	Peer  identity.NodeID
	Token uint64
	Reply *actor.PID // nil: any; only for tokens of trunk.Trunk.NewID, which are unique
}

// GetDials asks the dialer for the dials under way. Reply: Dials.
type GetDials struct{}

// Dials replies to GetDials, in the order of the peers' ids.
type Dials struct{ UnderWay []actors.DialUnderWay }

// DialLimit is how long an asker waits for the dialer's answer.
const DialLimit = 2 * time.Minute
