//go:build !linux

package tcp

import (
	"net"

	"github.com/gamelan-p2p/gamelan/transport"
)

// Flight knows nothing: this system does not tell it.
func (c *Conn) Flight() (transport.Flight, bool) { return transport.Flight{}, false }

func retransmitSoon(*net.TCPConn) {}
