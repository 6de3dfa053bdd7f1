// Package link has what the actors of a node share about a connection beside what programs see
// of it.
package link

import (
	"net/netip"
	"sync/atomic"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Link belongs to one connection. Its fields never change but for those of Live.
type Link struct {
	Told    []protocol.ID           // what this node's identity message has listed
	NoDHT   bool                    // the peer is a node of this library that runs without the DHT
	Answers bool                    // the peer accepts a messaging substream when its session has taken it
	Place   string                  // where the peer seems to be
	Claim   *identity.Claim         // the peer's, of its identity message
	Other   *Other                  // of the connection whose place this one has taken; nil: its claim was the same
	Origin  peerstore.Origin        // where an inbound connection comes from; 0 for an outbound one
	Local   netip.Addr              // this machine's end; not valid if it has no IP address
	Remote  ma.Multiaddr            // where the other end is, names resolved
	Secret  *protocol.NetworkSecret // of the private network, with which it was set up; nil: the network is none
	Wall    time.Time               // when it was made, of the system's clock
	Live    *Live                   // nil in the history of closed connections
}

// Other is a claim of the same peer by which another connection was set up.
type Other struct {
	Claim *identity.Claim
	Since time.Time // when that connection was made
	Wall  time.Time // the same on the system's clock, as it was set then
}

// Live is the state of a connection that any goroutine may read without asking the actor of
// the connection.
type Live struct {
	Received atomic.Uint64                 // messages, in readers' batches; apart from Sent, which others count
	Session  atomic.Pointer[mux.Session]   // set when the actor starts, nil after the end; nobody writes on it
	Calls    atomic.Int32                  // RPC calls under way, of both sides
	Retired  atomic.Bool                   // another connection has taken its place
	Lists    atomic.Int32                  // lists of protocols that the peer has sent
	Useful   atomic.Bool                   // it was of use: a message or a call
	Used     atomic.Bool                   // it was of use since somebody looked
	Asked    *atomic.Bool                  // somebody has asked for it; shared with the connections whose place this one has taken
	Leaving  atomic.Bool                   // it is being closed to make room for another peer's connection
	Closing  atomic.Pointer[Closing]       // why this node closes it, before it does so
	Listed   atomic.Pointer[[]protocol.ID] // the last list that the peer has sent; nil: what its identity message lists
	Sent     atomic.Uint64                 // messages written, in writers' batches
}

// SuspectLimit is how long a peer has to answer when a cable or network of this machine has gone.
const SuspectLimit = 5 * time.Second

// Closing is why this node closes a connection: an *actors.CloseReason.
type Closing struct{ Reason any }

// New returns the state of a new connection.
func New() *Live { return &Live{Asked: new(atomic.Bool)} }

// Use notes that the connection is of use.
func (l *Live) Use() {
	if l == nil {
		return
	}
	if !l.Useful.Load() {
		l.Useful.Store(true)
	}
	l.UseNow()
}

// UseNow notes a use that does not make the connection useful.
func (l *Live) UseNow() {
	if l != nil && !l.Used.Load() { // a write for each message would cost more
		l.Used.Store(true)
	}
}

// Succeed takes over from the connection whose place this one takes that somebody has asked for it.
// Only the actor conns calls it, before the directory has the new connection.
func (l *Live) Succeed(old *Live) {
	if l != nil && old != nil && l.Asked != old.Asked {
		l.Asked = old.Asked
	}
}

// Retire notes that another connection has taken the place of this one.
func (l *Live) Retire() {
	if l != nil {
		l.Retired.Store(true)
	}
}

// CallBegins notes that an RPC call of a service begins. The connection is in use until
// the matching CallEnds. It counts as useful from now on, unless the service is that of
// the network itself.
func (l *Live) CallBegins(service protocol.ID) {
	if l == nil {
		return
	}
	l.Calls.Add(1)
	if service != protocol.PeersID {
		l.Use()
	}
}

// CallEnds notes the end of a call that CallBegins has noted.
func (l *Live) CallEnds() {
	if l != nil {
		l.Calls.Add(-1)
	}
}

// SetListed notes the last list of protocols that the peer has sent.
func (l *Live) SetListed(list []protocol.ID) {
	if l != nil {
		l.Listed.Store(&list)
	}
}

// TakeList counts a list of protocols that the peer sends, unless there were so many already. Only
// one actor may call it.
func (l *Live) TakeList(most int) bool {
	if l == nil || int(l.Lists.Load()) >= most {
		return false
	}
	l.Lists.Add(1)
	return true
}

// TakeUse reports whether the connection was of use since the last TakeUse: useful, or by a
// message of this node for the peer over the DHT. Only one actor may call it.
func (l *Live) TakeUse() bool { return l != nil && l.Used.Swap(false) }
