package tcp

import (
	"syscall"

	"github.com/gamelan-p2p/gamelan/transport"
)

// Numbers of winsock that package syscall does not name.
const (
	wsaeAddrInUse    = syscall.Errno(10048)
	wsaeAddrNotAvail = syscall.Errno(10049)
	wsaeTimedOut     = syscall.Errno(10060)
	wsaeConnRefused  = syscall.Errno(10061)
)

var causes = []struct{ system, ours error }{
	{wsaeAddrInUse, transport.ErrAddressInUse},
	{wsaeAddrNotAvail, transport.ErrAddressNotAvailable},
	{syscall.WSAEACCES, transport.ErrPermission},
	{wsaeConnRefused, transport.ErrRefused},
	{wsaeTimedOut, transport.ErrTimeout},
}
