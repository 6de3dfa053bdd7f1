package gamelan

import (
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/internal/actors/admitpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/dhtpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/discoverypart"
	"github.com/gamelan-p2p/gamelan/internal/actors/inboxpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/outcomepart"
	"github.com/gamelan-p2p/gamelan/internal/actors/rpcpart"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// These types are arguments and results of this package. They have names here, so that
// no program has to import the packages of the node's actors.
type (
	// Status is how the node is connected: see [Node.Status].
	Status = actors.Status
	// Reachability is whether others can connect to an address of the node: see [Node.Reachability].
	Reachability = protocol.Reachability
	// DialError lists what was tried to reach a peer.
	DialError = actors.DialError
	// DialAttempt is one attempt to reach a peer.
	DialAttempt = actors.DialAttempt
	// DialUnderWay is a dial that has not ended.
	DialUnderWay = actors.DialUnderWay
	// ClosedConn is a connection that has ended, and why.
	ClosedConn = actors.ClosedConn
	// ProtocolNotTaken is a protocol on which a peer takes no messages of this node.
	ProtocolNotTaken = actors.NotTaken
	// Imported counts the peers that were imported: see [Peers.Import].
	Imported = actors.Imported
	// Synced is the result of [DHT.Sync].
	Synced = dht.Synced
	// ListenOptions are the settings of [Inbox.Listen].
	ListenOptions = actors.ListenOptions
	// OverDHT holds the fields that only a message over the DHT has.
	OverDHT = actors.OverDHT
	// InboxStatus is the state of the inbox: see [Inbox.Status].
	InboxStatus = actors.InboxStatus
	// InboxReport is what [CheckStore] says of the inbox.
	InboxReport = actors.InboxReport
	// StoredReport is what [CheckStore] says of the messages that are stored for others.
	StoredReport = dht.StoredReport
	// KVConfig are the settings of a client of the key-value DHT: see [KV.Open].
	KVConfig = kad.Config
	// KVReport is what [CheckStore] says of the key-value DHT.
	KVReport = kad.StoreReport
	// KVClient is a client of the key-value DHT.
	KVClient = kad.Client
)

// These are the values of an [Event].
type (
	PeerConnected    = actors.PeerConnected
	PeerDisconnected = actors.PeerDisconnected
	PeerRefused      = actors.PeerRefused
	// PeerDialFailed reports a dial that has failed at every address.
	PeerDialFailed  = actors.DialFailed
	PeersGiven      = actors.PeersGiven
	InboundRejected = actors.InboundRejected
	// AcceptFailed reports that a listener could not accept connections.
	AcceptFailed   = actors.AcceptFailed
	PeerBanned     = actors.PeerBanned
	PeerUnbanned   = actors.PeerUnbanned
	StatusChanged  = actors.StatusChanged
	StoreTroubled  = actors.StoreTroubled
	StoreHealed    = actors.StoreHealed
	ClockSet       = actors.ClockSet
	MachineSlept   = actors.MachineSlept
	ProtocolFailed = actors.ProtocolFailed
	ListenerBound  = actors.ListenerBound
	// AddressesChanged reports that the node tells others other addresses.
	AddressesChanged = actors.AddressesChanged
	// ReachChanged reports at which addresses others can connect to the node: see [Node.Reachability].
	ReachChanged = actors.ReachChanged
	// TroubleBegan and TroubleOver report what is wrong with the node: see [Node.Health].
	TroubleBegan = actors.TroubleBegan
	TroubleOver  = actors.TroubleOver

	// PeersLearned and the next four report how the node finds its network: see docs/network.md.
	PeersLearned      = dht.PeersLearned
	NeighboursChanged = dht.NeighboursChanged
	PoolStarved       = dht.PoolStarved
	Rebootstrapped    = dht.Rebootstrapped
	Joined            = dht.Joined

	StoredMessagesReceived = dht.StoredMessagesReceived
	StorageTroubled        = dht.StorageTroubled
	StorageHealed          = dht.StorageHealed

	TorConnected          = tor.ControlConnected
	TorDisconnected       = tor.ControlDisconnected
	TorServicePublished   = tor.ServicePublished
	TorServiceUnpublished = tor.ServiceUnpublished
)

// Errors of this package's methods, for [errors.Is]. ErrClosed, ErrNoActor and others
// stand where they are used.
var (
	ErrUnknownPeer      = actors.ErrUnknownPeer
	ErrBanned           = actors.ErrBanned
	ErrNotAdmitted      = actors.ErrNotAdmitted
	ErrSelf             = actors.ErrSelf
	ErrNoAddress        = actors.ErrNoAddress
	ErrExcluded         = actors.ErrExcluded
	ErrSpared           = actors.ErrSpared
	ErrBansFull         = actors.ErrBansFull
	ErrConnectionClosed = actors.ErrConnectionClosed
	ErrDialCancelled    = actors.ErrDialCancelled
	ErrDraining         = actors.ErrDraining
	ErrNotAdopted       = actors.ErrNotAdopted
	ErrOverloaded       = actors.ErrOverloaded
	ErrNameTaken        = actors.ErrNameTaken
	ErrBadName          = actors.ErrBadName
	ErrProtocolTaken    = actors.ErrProtocolTaken
	ErrNotTaken         = actors.ErrNotTaken
	ErrTypeTaken        = actors.ErrTypeTaken
	ErrTooManyProtocols = actors.ErrTooManyProtocols
	ErrNotRegistered    = actors.ErrNotRegistered
	ErrStoreFailed      = actors.ErrStoreFailed
	ErrNotDurable       = actors.ErrNotDurable
	ErrNotDiscovered    = actors.ErrNotDiscovered
	ErrNotAnnounced     = actors.ErrNotAnnounced
	ErrNoAnswer         = actors.ErrNoAnswer
	ErrNoInbox          = inboxpart.ErrNone
	ErrInboxClosed      = inboxpart.ErrClosed
	ErrTooManyListeners = inboxpart.ErrTooManyListeners
	// ErrNotKept, ErrDropped and ErrForgotten are of messages that were sent with [Kept] or [Handled].
	ErrNotKept   = outcomepart.ErrNotKept
	ErrDropped   = outcomepart.ErrDropped
	ErrForgotten = outcomepart.ErrForgotten
	// ErrNoSecret is in [InboundRejected] for a dialer that has not the secret of the private network, and
	// ErrSecretMayDiffer in a [DialError] for a node of one that closed the connection and gave no reason.
	ErrNoSecret        = protocol.ErrNoSecret
	ErrSecretMayDiffer = protocol.ErrSecretMayDiffer
	// ErrNotListed reports a peer that [Peers.Unadmit] does not find on the list.
	ErrNotListed = admitpart.ErrNotListed
	// ErrListedSeed reports a peer that [Peers.Unadmit] leaves on the list: it is a seed of the settings.
	ErrListedSeed = admitpart.ErrListedSeed
	// ErrUnsupported reports a peer that does not accept the protocol of a substream.
	ErrUnsupported = negotiate.ErrUnsupported
	// ErrNoPong reports a peer whose application did not answer a ping of the DHT, and
	// ErrPingLost that the node has lost count: try again.
	ErrNoPong   = dhtpart.ErrNoPong
	ErrPingLost = dhtpart.ErrPingLost
	// ErrNothingToAnnounce and ErrNobodyConnected are why [DHT.Join] and [DHT.Sync] did nothing.
	ErrNothingToAnnounce = discoverypart.ErrNothingToAnnounce
	ErrNobodyConnected   = discoverypart.ErrNobodyToAsk
	// ErrRequestTooLarge reports a call whose request has no room at this node.
	ErrRequestTooLarge = rpcpart.ErrRequestTooLarge
	// ErrStreamReset, ErrStreamStalled and ErrSessionEnded end reads and writes of a [Stream].
	ErrStreamReset   = mux.ErrReset
	ErrStreamStalled = mux.ErrStalled
	ErrSessionEnded  = mux.ErrSessionEnded
)
