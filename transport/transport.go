package transport

import (
	"context"
	"net"
	"net/netip"

	ma "github.com/multiformats/go-multiaddr"
)

// Conn is one connection of a transport: an ordered byte stream in each
// direction, with deadlines, that knows its ends as multiaddrs.
//
// Read may return fewer bytes than asked for, a Write that fails may have
// written a part, and data written before Close still reaches a peer that
// reads it. Close unblocks every call under way.
type Conn interface {
	net.Conn
	// LocalMultiaddr is the address of this end.
	LocalMultiaddr() ma.Multiaddr
	// RemoteMultiaddr is the address of the other end: for a dialled
	// connection the address dialled (with names resolved), for an accepted
	// one where it came from, which is rarely an address one could dial.
	RemoteMultiaddr() ma.Multiaddr
}

// Listener accepts connections on one address.
type Listener interface {
	// Accept waits for the next connection. After Close the error matches
	// [ErrClosed]; any other error is temporary and Accept may be called again.
	Accept() (Conn, error)
	// Close stops listening and unblocks Accept. Connections already accepted
	// stay open.
	Close() error
	// Multiaddr is the bound address, with the real port where port 0 was
	// asked for.
	Multiaddr() ma.Multiaddr
}

// Transport dials and listens on the kinds of multiaddr it handles. Its
// methods may be called from any number of goroutines.
type Transport interface {
	// Name is a short constant name such as "tcp", for logs and metrics.
	Name() string
	// Handles reports whether this transport can dial an address of this kind.
	Handles(a ma.Multiaddr) bool
	// Dial connects to a. It ends with ctx at the latest; the error is a
	// *[DialError].
	Dial(ctx context.Context, a ma.Multiaddr) (Conn, error)
	// Listen binds a. The error is a *[ListenError]. The end of ctx ends only
	// the binding, not the listener.
	Listen(ctx context.Context, a ma.Multiaddr) (Listener, error)
}

// PermitDialer is a [Transport] that asks for leave before it connects. A node
// uses it for addresses that peers claim themselves: what a name stands for is
// known only when it is resolved, so the transport asks then, for each IP address
// and at the moment of connecting.
//
// A transport that connects to IP addresses should be one. Of any other the node
// looks at the remote address of the finished connection, and closes it before
// anything is sent when it may not be used; that it was opened, its listener has seen.
type PermitDialer interface {
	// DialPermitted is Dial, but nothing is sent to an IP address for which
	// permit returns an error. Another address of the same name may be tried.
	// When none is left, the *[DialError] wraps that error.
	DialPermitted(ctx context.Context, a ma.Multiaddr, permit func(netip.Addr) error) (Conn, error)
}
