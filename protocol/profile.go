package protocol

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// ErrBadProfile reports a profile with which no connection can be made.
var ErrBadProfile = errors.New("protocol: bad profile")

// Pattern is a Noise handshake pattern.
type Pattern uint8

const (
	XX     Pattern = iota // three messages, both static keys encrypted
	IX                    // two messages, the dialer's static key in clear
	XXpsk0                // XX of a private network: only who has its secret can begin one
)

// String returns "XX", "IX" or "XXpsk0".
func (p Pattern) String() string {
	switch p {
	case XX:
		return "XX"
	case IX:
		return "IX"
	case XXpsk0:
		return "XXpsk0"
	}
	return fmt.Sprintf("pattern %d", uint8(p))
}

// Step is one step by which a raw connection becomes a usable one.
type Step uint8

const (
	StepWireByte          Step = iota // the dialer's first byte
	StepNoise                         // handshake
	StepIdentity                      // identity frames on the Noise stream
	StepMux                           // yamux starts
	StepIdentitySubstream             // identity frames on a first substream
)

// String returns a short name: "wire byte", "noise" and so on.
func (s Step) String() string {
	switch s {
	case StepWireByte:
		return "wire byte"
	case StepNoise:
		return "noise"
	case StepIdentity:
		return "identity"
	case StepMux:
		return "mux"
	case StepIdentitySubstream:
		return "identity substream"
	}
	return fmt.Sprintf("step %d", uint8(s))
}

// The bytes of the profiles, spec: comms 4.1, 6.7, 14.2.
const (
	Prologue          = "com.tari.comms.noise.prologue"
	MessagingID    ID = "t/msg/0.1"
	LessonMessages ID = "/tari/messaging/0.1.0"
	LessonIdentity ID = "/tari/identity/1.0.0"
)

// Ids that only nodes of this library use (spec: comms 8.1).
const (
	// PlainID is the protocol of plain messages, unless a node sets another.
	PlainID ID = "gamelan/msg/1"
	// DHTMarker in the protocol list of an identity message says that the node
	// accepts DHT messages on its profile's messaging protocol. It is never the
	// protocol of a substream: a node refuses one as unsupported.
	DHTMarker ID = "gamelan/dht/1"

	// TakenMarker in the protocol list of an identity message says that the node accepts
	// a messaging substream only when its session has taken it, and answers an opener
	// that asks for this. It is never the protocol of a substream. A node whose list is full
	// leaves it out.
	TakenMarker ID = "gamelan/taken/1"

	// FullMarker in a list of all protocols (spec: V 41) says that the node cannot keep what it
	// receives now, as when its disk is full: messages to it wait. It is never the protocol of a
	// substream.
	FullMarker ID = "gamelan/full/1"

	// PeersID is the protocol of the service by which nodes with the DHT hand out the
	// peers that they know (spec: dht 9). Calls of it keep the network together; they
	// say nothing about what a connection is worth to the node.
	PeersID ID = "t/dht/1"
)

// Profile describes the wire protocol: the values on which two nodes must agree to
// connect, and the limits that each enforces.
type Profile struct {
	Name     string
	Network  Network
	WireByte byte // first byte of a connection, never [LivenessByte]
	Pattern  Pattern
	Prologue string
	Steps    []Step // in order
	// IdentityVersion is the version in the header of the identity frame;
	// a received one above it is refused.
	IdentityVersion uint8
	IdentityID      ID // only with [StepIdentitySubstream]
	MessagingID     ID
	// PlainMessages makes MessagingID the protocol of plain messages: a network
	// without a DHT. There a node uses the DHT only if its configuration says so.
	PlainMessages bool
	// TestAddresses accepts and advertises addresses that are not external.
	TestAddresses bool
	// Private is the name of the private network, with the pattern [XXpsk0]; else empty.
	Private string
	// Secret is the secret of the private network; a dialer uses it. Accept is a second one, which a
	// listener takes as well while the secret is being changed; nil: none.
	Secret, Accept *NetworkSecret
	Limits         Limits
}

// Limits bound the time and memory that a peer can cost a node. Every limit must be
// positive; peers expect those of [DefaultLimits].
type Limits struct {
	FirstByte    time.Duration // wire byte of an inbound connection
	NoiseMessage time.Duration // each message of the handshake
	Identity     time.Duration // the peer's identity frame, after ours
	Negotiation  time.Duration // of one substream
	Setup        time.Duration // a whole inbound set-up (V8)
	Dial         time.Duration // one outbound attempt

	IdentityBody int // bytes of an identity message
	Addresses    int // of one claim
	Protocols    int // ids of one identity message
	ProtocolID   int // bytes of one id in an identity message
	UserAgent    int // bytes
	MessageBody  int // bytes of one message

	NegotiationRounds int           // proposals that a responder answers
	ClaimSkew         time.Duration // how far ahead a claim may be dated

	Streams        int // live substreams of a connection, both directions (V12)
	InboundStreams int // of these, substreams that the peer opened
}

// DefaultLimits returns the limits of spec: comms 3.4, 6, 7, 8.1 and V8, V12.
func DefaultLimits() Limits {
	return Limits{
		FirstByte:         6 * time.Second,
		NoiseMessage:      6 * time.Second,
		Identity:          10 * time.Second,
		Negotiation:       10 * time.Second,
		Setup:             15 * time.Second,
		Dial:              30 * time.Second,
		IdentityBody:      1024,
		Addresses:         5,
		Protocols:         20,
		ProtocolID:        MaxID,
		UserAgent:         50,
		MessageBody:       8 << 20,
		NegotiationRounds: 5,
		ClaimSkew:         24 * time.Hour,
		Streams:           100,
		InboundStreams:    80,
	}
}

// Tari returns the default profile on a network: Noise XX, identity frames
// before yamux, and the wire byte of [Release6].
func Tari(n Network) Profile {
	return Profile{
		Name:          "tari",
		Network:       n,
		WireByte:      n.WireByte(Release6),
		Pattern:       XX,
		Prologue:      Prologue,
		Steps:         []Step{StepWireByte, StepNoise, StepIdentity, StepMux},
		MessagingID:   MessagingID,
		TestAddresses: n.TestAddresses(),
		Limits:        DefaultLimits(),
	}
}

// Lesson2020 returns the profile of the 2020 lesson, on LocalNet: Noise IX, which
// sends the dialer's static key in clear, and the identity exchange on a first
// substream. Its nodes connect only with nodes of the same profile. It is never a
// default; a program that uses it should warn (spec: comms 14.2).
func Lesson2020() Profile {
	p := Tari(LocalNet)
	p.Name = "lesson"
	p.Pattern = IX
	p.Steps = []Step{StepWireByte, StepNoise, StepMux, StepIdentitySubstream}
	p.IdentityID = LessonIdentity
	p.MessagingID = LessonMessages
	p.PlainMessages = true
	return p
}

// The two orders of steps that exist.
var (
	identityFirst = []Step{StepWireByte, StepNoise, StepIdentity, StepMux}
	muxFirst      = []Step{StepWireByte, StepNoise, StepMux, StepIdentitySubstream}
)

// Validate reports whether connections can be made with the profile. The
// error is [ErrBadProfile] and says what to change.
func (p Profile) Validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w %s: %w", ErrBadProfile, p.Name, fmt.Errorf(format, args...))
	}
	if p.WireByte == LivenessByte {
		return bad("wire byte %#x is the first byte of liveness checks; choose another", p.WireByte)
	}
	if p.Pattern != XX && p.Pattern != IX && p.Pattern != XXpsk0 {
		return bad("unknown Noise %v; use XX, IX or XXpsk0", p.Pattern)
	}
	if err := p.validatePrivate(); err != nil {
		return bad("%w", err)
	}
	onSubstream := slices.Equal(p.Steps, muxFirst)
	if !onSubstream && !slices.Equal(p.Steps, identityFirst) {
		return bad("steps %v; use %v or %v", p.Steps, identityFirst, muxFirst)
	}
	if onSubstream {
		if err := p.IdentityID.Validate(); err != nil {
			return bad("identity id: %w", err)
		}
	}
	if !onSubstream && p.IdentityID != "" {
		return bad("identity id %v without the step that uses it; remove it", p.IdentityID)
	}
	if err := p.MessagingID.Validate(); err != nil {
		return bad("messaging id: %w", err)
	}
	if p.MessagingID == p.IdentityID {
		return bad("messaging and identity share the id %v; use two", p.MessagingID)
	}
	if err := p.Limits.validate(); err != nil {
		return bad("%w", err)
	}
	return nil
}

func (l Limits) validate() error {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"first byte", l.FirstByte},
		{"noise message", l.NoiseMessage},
		{"identity", l.Identity},
		{"negotiation", l.Negotiation},
		{"setup", l.Setup},
		{"dial", l.Dial},
		{"claim skew", l.ClaimSkew},
	} {
		if d.value <= 0 {
			return fmt.Errorf("limit %s is %v; it must be positive", d.name, d.value)
		}
	}
	for _, n := range []struct {
		name       string
		value, max int
	}{
		{"identity body", l.IdentityBody, math.MaxUint16}, // the length field has 16 bits
		{"addresses", l.Addresses, math.MaxInt32},
		{"protocols", l.Protocols, math.MaxInt32},
		{"protocol id", l.ProtocolID, math.MaxUint8}, // the length field of a negotiation frame has 8 bits
		{"user agent", l.UserAgent, math.MaxInt32},
		{"message body", l.MessageBody, math.MaxInt32},
		{"negotiation rounds", l.NegotiationRounds, math.MaxInt32},
		{"streams", l.Streams, math.MaxInt32},
		{"inbound streams", l.InboundStreams, l.Streams},
	} {
		if n.value <= 0 || n.value > n.max {
			return fmt.Errorf("limit %s is %d; it must be from 1 to %d", n.name, n.value, n.max)
		}
	}
	return nil
}
