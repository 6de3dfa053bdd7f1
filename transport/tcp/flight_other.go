//go:build !linux

package tcp

import (
	"net"

	"github.com/gamelan-p2p/gamelan/internal/transport/keepalive"
)

// Flight knows nothing: this system does not tell it.
func (c *Conn) Flight() (keepalive.Flight, bool) { return keepalive.Flight{}, false }

func retransmitSoon(*net.TCPConn) {}
