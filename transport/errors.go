package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
)

// Errors that the typed errors of this package wrap.
var (
	// ErrUnreachable reports a dial that failed in the network, and may succeed
	// after a back-off. Every *[DialError] matches it, except one for an address that
	// can never be dialled, and one whose context was cancelled.
	ErrUnreachable = errors.New("transport: unreachable")
	// ErrUnsupported reports an address of a kind the transport does not handle.
	ErrUnsupported = errors.New("address not supported by this transport")
	// ErrResolve reports a DNS name without a usable address.
	ErrResolve = errors.New("name not resolved")
	// ErrRefused reports that no program listens on the address.
	ErrRefused = errors.New("connection refused")
	// ErrTimeout reports a dial that was not answered in time.
	ErrTimeout = errors.New("no answer in time")
	// ErrAddressInUse reports a port that is already bound.
	ErrAddressInUse = errors.New("address already in use")
	// ErrAddressNotAvailable reports an address that does not exist: for Listen, an
	// address that is not of this host; for Dial, an unknown port of a memory network.
	ErrAddressNotAvailable = errors.New("address not available")
	// ErrNoLocalPort reports a dial for which this host has no free port, or no address from
	// which the other one can be reached. It says nothing about the peer.
	ErrNoLocalPort = errors.New("no free port or address here to dial from")
	// ErrPermission reports that the system does not permit the address.
	ErrPermission = errors.New("permission denied")
	// ErrClosed reports the use of a closed listener or connection. It matches
	// net.ErrClosed.
	ErrClosed = fmt.Errorf("transport: %w", net.ErrClosed)
)

// Stage is the step of a dial that failed.
type Stage string

// Stages of a dial.
const (
	StageAddress Stage = "address" // the address cannot be dialled by this transport
	StageResolve Stage = "resolve" // looking a name up
	StageProxy   Stage = "proxy"   // reaching or using the proxy, before it tries the address
	StageConnect Stage = "connect" // connecting
)

// DialError reports a failed dial.
type DialError struct {
	Addr  ma.Multiaddr // as given to Dial
	Stage Stage
	Err   error // wraps one of the sentinels above where the cause is known
}

// Error names the address, the cause and a remedy.
func (e *DialError) Error() string {
	s := fmt.Sprintf("dial %s: %v", e.Addr, e.Err)
	if h := dialHint(e); h != "" {
		s += "; " + h
	}
	return s
}

func dialHint(e *DialError) string {
	var own interface {
		error
		Hint() string
	}
	switch {
	case errors.Is(e.Err, context.Canceled):
		return ""
	case errors.As(e.Err, &own):
		return own.Hint()
	case e.Stage == StageAddress:
		return "use an address of a kind this node's transport can dial"
	case isSpecial(e.Err):
		return "if this peer is meant to be there, give its address yourself"
	case errors.Is(e.Err, ErrResolve):
		return "check the name and this machine's name server, or use an IP address"
	case errors.Is(e.Err, ErrNoLocalPort):
		return "close connections of this machine, or widen net.ipv4.ip_local_port_range; \"ss -s\" counts them"
	case errors.Is(e.Err, ErrPermission):
		return "allow this program to connect there, in the firewall of this machine"
	case OutOfFiles(e.Err):
		return "let the process open more files"
	case errors.Is(e.Err, ErrProhibited):
		return "open the port of this address in that firewall"
	case errors.Is(e.Err, ErrRefused):
		return "check that the peer is running and listens on this address, and that no firewall refuses it"
	case errors.Is(e.Err, ErrAddressNotAvailable):
		return "check that the peer is running and listens on this address"
	case !saysNoWay(e.Err) && (e.Timeout() || NoHost(e.Err)):
		return "check that the address is right and that no firewall is in between"
	default:
		return "check the address and this machine's network"
	}
}

// saysNoWay reports whether a machine on the way has said that it knows none to the address.
func saysNoWay(err error) bool {
	_, ok := errors.AsType[*Refusal](err)
	return ok
}

func isSpecial(err error) bool {
	_, ok := errors.AsType[*address.SpecialError](err)
	return ok
}

// Unwrap returns the cause and, where a later try may succeed, [ErrUnreachable].
func (e *DialError) Unwrap() []error {
	if e.Stage == StageAddress || errors.Is(e.Err, context.Canceled) {
		return []error{e.Err}
	}
	return []error{ErrUnreachable, e.Err}
}

// Timeout reports whether the dial ended because a time limit passed.
func (e *DialError) Timeout() bool {
	return errors.Is(e.Err, ErrTimeout) || errors.Is(e.Err, context.DeadlineExceeded) || IsTimeout(e.Err)
}

// ListenError reports an address that could not be bound.
type ListenError struct {
	Addr ma.Multiaddr // as given to Listen
	Err  error        // wraps one of the sentinels above where the cause is known
}

// Error names the address, the cause and a remedy.
func (e *ListenError) Error() string {
	s := fmt.Sprintf("listen on %s: %v", e.Addr, e.Err)
	switch {
	case errors.Is(e.Err, ErrAddressInUse):
		s += "; stop the program that uses this port, or choose another port (0 lets the system choose)"
	case errors.Is(e.Err, ErrPermission):
		s += "; choose a port of 1024 or above, or give the program the right to bind this one"
	case errors.Is(e.Err, ErrAddressNotAvailable):
		s += "; use an address of this machine, or 0.0.0.0 (::) for all of them"
	case errors.Is(e.Err, ErrUnsupported):
		s += "; use an address of a kind this transport can bind"
	}
	return s
}

// Unwrap returns the cause.
func (e *ListenError) Unwrap() error { return e.Err }

// IsTimeout reports whether err means that a deadline of a connection has passed, as
// opposed to that of a context.
func IsTimeout(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// IsHangUp reports whether err means that the other end closed or reset the
// connection: io.EOF, an end inside a frame, or the system's "connection
// reset" and "broken pipe".
func IsHangUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || IsReset(err)
}

// IsReset reports whether err means that the other side or the network reset the
// connection: bytes that had not arrived are lost.
func IsReset(err error) bool {
	for _, e := range resetErrors {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
