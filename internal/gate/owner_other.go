//go:build !linux

package gate

import "net"

// ownOnly is a listener as it is: the system does not tell whose a connection is.
type ownOnly struct{ net.Listener }
