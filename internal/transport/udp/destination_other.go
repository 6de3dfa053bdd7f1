//go:build !linux

package udp

import (
	"errors"
	"net"
	"net/netip"
)

const controlSize = 1

func wantDestinations(*net.UDPConn, bool) error { return errors.ErrUnsupported }

func destination([]byte) (netip.Addr, bool) { return netip.Addr{}, false }

func sendFrom(netip.Addr) []byte { return nil }
