//go:build !linux

package tcp

import "net"

// quickAck does nothing: only Linux delays acknowledgements in a way that can
// be switched off for one connection.
type quickAck struct{}

func (quickAck) init(*net.TCPConn) {}
func (quickAck) now()              {}
