package upgrade

import (
	"errors"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/transport/liveness"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// Stage is a part of the set-up.
type Stage string

// Stages in the order of profile tari.
const (
	StageWire     Stage = "wire byte" // the first byte
	StageNoise    Stage = "noise"     // the handshake
	StageKey      Stage = "key"       // the check of the peer's key
	StageIdentity Stage = "identity"  // the exchange of identity frames
	StageMux      Stage = "mux"       // the start of yamux
)

// Causes of a failed set-up.
var (
	// ErrWrongWireByte reports a first byte of another network, or of no node. Every
	// [WireByteError] matches it.
	ErrWrongWireByte = errors.New("wrong wire byte")
	// ErrProbe reports a connection that asks for liveness; it stays open.
	ErrProbe = errors.New("the connection asks for liveness")
	// ErrSilent reports a peer that did not send its next message in time.
	ErrSilent = errors.New("peer is silent")
	// ErrStalled reports a peer that did not read this side's message in time.
	ErrStalled = errors.New("peer takes nothing")
	// ErrWrongKey reports a dialled peer that holds another key than expected.
	ErrWrongKey = errors.New("peer has another key")
	// ErrSelf reports a connection of the node to itself.
	ErrSelf = errors.New("the peer is this node itself")
	// ErrBanned reports a key that [Config.Check] refused.
	ErrBanned = errors.New("peer is refused")
	// ErrHungUp reports that the peer closed the connection during the set-up.
	// It is no offence: a node that refuses a connection gives no reason.
	// spec: comms 148
	ErrHungUp = errors.New("peer hung up")
	// ErrRefused is [ErrHungUp] before Noise message 2: the peer is on another
	// network, is busy, or has too many connections. Try again later, with
	// jitter, not at once. spec: V 9
	ErrRefused = fmt.Errorf("peer ends the connection before the handshake: %w", ErrHungUp)
	// ErrSetupTimeout reports an inbound set-up that took too long as a whole.
	// spec: V 8
	ErrSetupTimeout = errors.New("set-up not finished in time")
)

// silence is [ErrSilent] with its limit. The error of the read is left out of the text: it
// says no more than that time was up.
type silence struct {
	limit time.Duration
	err   error
}

func (s *silence) Error() string   { return fmt.Sprintf("%v: nothing within %v", ErrSilent, s.limit) }
func (s *silence) Unwrap() []error { return []error{ErrSilent, s.err} }

// RefusedError is [ErrRefused] with its likely causes. The error of the read is left out of the
// text: it says only that the connection has ended.
type RefusedError struct {
	network protocol.Network
	private string // name of this node's private network; empty: it is none
	wire    byte
	waited  time.Duration // zero: the peer closed at once
	err     error
}

// Error says what has happened, and why it may have.
func (r *RefusedError) Error() string {
	if r.waited > 0 {
		return fmt.Sprintf("the connection ended before the handshake, after %v: %s", r.waited, r.Why())
	}
	return "the peer closed the connection before the handshake and gave no reason: " + r.Why()
}

// Why names the likely causes.
func (r *RefusedError) Why() string {
	if r.waited > 0 {
		return "perhaps the peer has not heard us"
	}
	if r.private != "" {
		return "its secret of " + r.private + " differs from this node's, or it is busy, refuses this node, or is of another network"
	}
	return fmt.Sprintf("it is busy, has its greatest number of connections (there: max_inbound, or max_inbound_per_source for those of this node's address), refuses this node, or is of another network (this node: %v, wire byte 0x%02x)", r.network, r.wire)
}

// Unwrap returns ErrRefused, and why.
func (r *RefusedError) Unwrap() []error {
	if r.private != "" && r.waited == 0 { // else nobody may have heard this node
		return []error{ErrRefused, protocol.ErrSecretMayDiffer, r.err}
	}
	return []error{ErrRefused, r.err}
}

// WrongKeyError is [ErrWrongKey] with the key that was found.
type WrongKeyError struct{ Found, Want identity.PublicKey }

// Error names both keys.
func (e *WrongKeyError) Error() string {
	return fmt.Sprintf("%v: %s, want %s", ErrWrongKey, e.Found, e.Want)
}

// Unwrap returns ErrWrongKey.
func (*WrongKeyError) Unwrap() error { return ErrWrongKey }

// WireByteError reports an inbound connection whose first byte is not the wire byte of
// this node's network.
type WireByteError struct {
	Got, Want byte
	Network   protocol.Network // this node's
	Private   string           // the name of it, if it is a private one
}

// Error names both bytes and, where they are known, their networks.
func (e *WireByteError) Error() string {
	from := "of no known network"
	if n, r, ok := protocol.NetworkOf(e.Got); ok {
		from = n.String()
		if n == protocol.PrivateNet {
			from = "a private network"
		}
		if n.WireByte(protocol.Release6) != n.WireByte(protocol.ReleaseRC5) {
			from += " " + r.String()
		}
	} else if e.Probe() {
		from = "a liveness check"
	}
	want := e.Network.String()
	if e.Private != "" {
		want = "the private network " + e.Private
	}
	return fmt.Sprintf("wire byte 0x%02x (%s), expected 0x%02x (%s)", e.Got, from, e.Want, want)
}

// Is makes every WireByteError match [ErrWrongWireByte].
func (e *WireByteError) Is(target error) bool { return target == ErrWrongWireByte }

// Probe reports whether the connection asks for a liveness check, which this node does
// not grant it.
func (e *WireByteError) Probe() bool { return liveness.Is(e.Got, e.Want) }

// Error reports a failed set-up.
type Error struct {
	Stage Stage
	// Peer is the peer's key, zero if it was not yet known. With Noise IX a
	// listener learns it before the peer has proved that it holds it.
	Peer identity.PublicKey
	Err  error
}

// Error names the stage, the peer and the cause, and a remedy if there is one.
func (e *Error) Error() string {
	who := ""
	if !e.Peer.IsZero() {
		who = " with " + e.Peer.Short()
	}
	s := fmt.Sprintf("set-up%s failed at %s: %v", who, e.Stage, e.Err)
	if h := e.hint(); h != "" {
		s += "; " + h
	}
	return s
}

// hint returns what to do about the error, or what may be its cause.
func (e *Error) hint() string {
	err := e.Err
	switch {
	case errors.Is(err, ErrWrongWireByte):
		return "both nodes must be on the same network and use the same wire release"
	case errors.Is(err, protocol.ErrNoSecret):
		return "give that node the network's present file, or keep it out"
	case errors.Is(err, protocol.ErrSecretMayDiffer):
		return "compare the files of the network on both nodes, look at the log of the other one, which says whose secret differs, or try again later"
	case errors.Is(err, ErrWrongKey):
		return "check the peer's key, or whether another node has taken its address"
	case errors.Is(err, ErrSelf):
		return "use the address of another node"
	case errors.Is(err, noise.ErrPayload), errors.Is(err, noise.ErrLength):
		return "this looks like another protocol: the program that listens there may be no Gamelan or Tari node"
	case errors.Is(err, ErrRefused):
		return "the status and the log of the other node say which it is; try again later, or compare the networks of both"
	case e.Stage == StageIdentity && errors.Is(err, ErrHungUp):
		return "the peer may have banned this node, admit only others, be full, or run another release"
	case e.Stage == StageNoise && errors.Is(err, ErrSilent):
		return "it may be overloaded, or be no Gamelan or Tari node"
	}
	return ""
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether a time limit ended the set-up.
func (e *Error) Timeout() bool {
	return errors.Is(e.Err, ErrSilent) || errors.Is(e.Err, ErrStalled) ||
		errors.Is(e.Err, ErrSetupTimeout) || transport.IsTimeout(e.Err)
}

// Violation returns the peer's offence, or nil if there was none.
func (e *Error) Violation() *protocol.Violation {
	v, _ := errors.AsType[*protocol.Violation](e.Err)
	return v
}
