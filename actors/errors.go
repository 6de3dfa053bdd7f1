package actors

import (
	"errors"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/link"
	"github.com/gamelan-p2p/gamelan/internal/transport/keepalive"
)

// MaxProtocols is how many protocols a node accepts before no more of users are taken. Those of
// the node itself have some room beyond.
const MaxProtocols = 100

// The errors of requests to the node.
var (
	ErrUnknownPeer      = errors.New("actors: unknown peer; add it first, with an address")
	ErrBanned           = errors.New("actors: the peer is banned")
	ErrNotAdmitted      = errors.New("actors: the peer is not admitted")
	ErrSecretGivenUp    = errors.New("actors: the connection was set up with a secret that the network has given up")
	ErrSelf             = errors.New("actors: that is this node itself")
	ErrNoAddress        = errors.New("actors: no address of the peer can be dialled; add one")
	ErrAimed            = errors.New("actors: 4 dials of the last minute that other nodes have caused went to the address of the peer; wait a minute, or dial it yourself")
	ErrExcluded         = errors.New("actors: all addresses of the peer are excluded from dialling; change what is excluded, or add an address")
	ErrSpared           = errors.New("actors: the peer is on the allow list; take it off first")
	ErrBansFull         = errors.New("actors: not banned, because too many peers are that were never reached; its source is refused instead")
	ErrConnectionClosed = errors.New("actors: the connection has ended; try again on another")
	ErrDialCancelled    = errors.New("actors: the dial was cancelled; dial again")
	ErrDraining         = errors.New("actors: the node is draining, and makes no new connections")
	ErrNotAdopted       = errors.New("actors: the finished connection was not taken over in time; dial again")
	ErrOverloaded       = errors.New("actors: too many requests are waiting; try again later")
	ErrNameTaken        = errors.New("actors: another actor has this name; choose another one")
	ErrBadName          = errors.New("actors: the name of an actor is 1 to 50 characters a-z 0-9 . _ -")
	ErrProtocolTaken    = errors.New("actors: another actor is registered for this protocol; unregister it first")
	ErrNotTaken         = errors.New("actors: the peer does not take such messages")
	ErrNoDHT            = errors.New("actors: the node runs without the DHT; start it without Config.NoDHT")
	ErrTypeTaken        = errors.New("actors: this message type is taken")
	ErrTooManyProtocols = fmt.Errorf("actors: %d protocols are registered, and peers accept no more; unregister one first", MaxProtocols)
	ErrNotRegistered    = errors.New("actors: no actor is registered for this")
	ErrStoreFailed      = errors.New("actors: peer store cannot be written")
	ErrNotDurable       = errors.New("actors: the change holds, but may not be on the disk yet; make it again")
	ErrNotDiscovered    = errors.New("actors: nobody knows the peer, or it was not found in time; add it with an address")
	ErrNotAnnounced     = errors.New("actors: this node has no address to show to peers before its onion service is published; wait for that, or set a public address")
	ErrClosing          = errors.New("actors: the node is closing")
)

// Errors of a connection that has ended because it was dead, as [CloseReason.Err].
var (
	ErrUnacknowledged = fmt.Errorf("nothing that was sent was acknowledged for %v; the cable, the way or the other machine is gone", keepalive.Unacknowledged)
	ErrUnplugged      = fmt.Errorf("a cable or network of this machine has gone, and the peer did not answer within %v", link.SuspectLimit)
	ErrElsewhere      = errors.New("the peer has connected again, and does not answer here")
	ErrAddressGone    = errors.New("its address at this machine is gone")
	ErrSilent         = fmt.Errorf("nothing came for %v, not even the answer to a ping; the peer or the way to it is gone, or stands still", keepalive.Silent)
)

// ErrPeerStops reports that the peer's node stops: it has read, and confirmed, the last messages.
var ErrPeerStops = errors.New("actors: the peer is stopping, and confirms nothing more")

// ErrNoAnswer reports that the dialer did not answer within two minutes, or a connection
// not within 15 seconds.
var ErrNoAnswer = errors.New("actors: no answer in time")

// BannedError reports that a peer is banned, until when, and why.
type BannedError struct {
	Peer   identity.NodeID
	Until  time.Time
	Reason string
}

// Error returns the ban in one sentence, with the remedy.
func (e *BannedError) Error() string {
	return fmt.Sprintf("actors: peer %s is banned until %s: %s; unban it first", e.Peer, e.Until.UTC().Format(time.RFC3339), e.Reason)
}

// Is makes every BannedError match ErrBanned.
func (e *BannedError) Is(target error) bool { return target == ErrBanned }

// NotAdmittedError reports a peer with which the node has no connections, and why.
type NotAdmittedError struct {
	Key identity.PublicKey
	Err error // of the program's Config.Admit; nil: the key is not listed
}

// Error names the key, with the remedy.
func (e *NotAdmittedError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("actors: peer %s is not admitted by the program: %v", e.Key, e.Err)
	}
	return fmt.Sprintf("actors: peer %s is not admitted: this node has connections only with listed peers; admit its key first", e.Key)
}

// Is makes every NotAdmittedError match ErrNotAdmitted.
func (e *NotAdmittedError) Is(target error) bool { return target == ErrNotAdmitted }

// Unwrap returns the error of the program.
func (e *NotAdmittedError) Unwrap() error { return e.Err }

// TypeTakenError is ErrTypeTaken with the message type.
type TypeTakenError struct{ Type int32 }

// Error names the type.
func (e *TypeTakenError) Error() string {
	return fmt.Sprintf("%v: another actor handles type %d; unregister it first", ErrTypeTaken, e.Type)
}

// Unwrap returns [ErrTypeTaken].
func (e *TypeTakenError) Unwrap() error { return ErrTypeTaken }
