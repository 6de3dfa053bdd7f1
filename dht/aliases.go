package dht

import "github.com/gamelan-p2p/gamelan/dht/wire"

// Names of package wire that other packages still take from here.
type (
	Destination  = wire.Destination
	DomainHeader = wire.DomainHeader
	Draft        = wire.Draft
	Envelope     = wire.Envelope
	Hash         = wire.Hash
	Header       = wire.Header
	MessageType  = wire.MessageType
	Ping         = wire.Ping
)

// Constants of package wire.
const (
	Encrypted          = wire.Encrypted
	TypeDiscovery      = wire.TypeDiscovery
	TypeDomain         = wire.TypeDomain
	TypeJoin           = wire.TypeJoin
	TypeStoredMessages = wire.TypeStoredMessages
	TypeStoredRequest  = wire.TypeStoredRequest
	Version            = wire.Version
)

// Functions and errors of package wire.
var (
	AppendBody     = wire.AppendBody
	Compose        = wire.Compose
	DecodeEnvelope = wire.DecodeEnvelope
	DecodePing     = wire.DecodePing
	ErrPing        = wire.ErrPing
	Sign           = wire.Sign
	To             = wire.To
)
