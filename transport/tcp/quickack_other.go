//go:build !linux

package tcp

import "net"

// quickAck does nothing: only Linux can switch delayed acknowledgements off for one
// connection.
type quickAck struct{}

func (quickAck) init(*net.TCPConn) {}
func (quickAck) can() bool         { return false }
func (quickAck) now()              {}
