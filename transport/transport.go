package transport

import (
	"context"
	"net"
	"net/netip"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

// Conn is one connection of a transport: an ordered byte stream in each direction, with
// deadlines, and with the addresses of its ends as multiaddrs.
//
// Read may return fewer bytes than asked for. A Write that fails may have written a part
// of its bytes. Data written before Close still reaches a peer that reads it. Close
// unblocks every present call.
type Conn interface {
	net.Conn
	// LocalMultiaddr returns the address of this end.
	LocalMultiaddr() ma.Multiaddr
	// RemoteMultiaddr returns the address of the other end: for a dialled connection
	// the dialled address with names resolved; for an accepted one the address from
	// which it came, which can rarely be dialled.
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
	// Multiaddr returns the bound address, with the real port where port 0 was
	// requested.
	Multiaddr() ma.Multiaddr
}

// Transport dials and listens on the kinds of multiaddr that it handles. Its methods may
// be called from any goroutine.
type Transport interface {
	// Name returns a short constant name such as "tcp", for logs and metrics.
	Name() string
	// Handles reports whether this transport can dial an address of this kind.
	Handles(a ma.Multiaddr) bool
	// Dial connects to a. It returns when ctx ends at the latest. The error is a
	// *[DialError].
	Dial(ctx context.Context, a ma.Multiaddr) (Conn, error)
	// Listen binds a. The error is a *[ListenError]. The end of ctx cancels only the
	// binding, not the listener.
	Listen(ctx context.Context, a ma.Multiaddr) (Listener, error)
}

// PermitDialer is a [Transport] that asks for permission before it connects. A node uses
// it for addresses that peers claim. The IP addresses of a name are known only when it is
// resolved, so the transport asks then, for each IP address, just before it connects.
//
// A transport that connects to IP addresses should implement this interface. With any
// other transport the node checks the remote address of the finished connection, and
// closes a forbidden one before it sends anything; but the listener there has seen the
// connection.
type PermitDialer interface {
	// DialPermitted is Dial, but sends nothing to an IP address for which permit
	// returns an error. It may try another address of the same name. When none is
	// left, the *[DialError] wraps that error.
	DialPermitted(ctx context.Context, a ma.Multiaddr, permit func(netip.Addr) error) (Conn, error)
}

// DialLimiter is a [Transport] some of whose dials need more time than a node gives them
// otherwise.
type DialLimiter interface {
	// DialLimit returns how long a dial of a may take; 0 says nothing.
	DialLimit(a ma.Multiaddr) time.Duration
}
