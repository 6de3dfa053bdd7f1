package transport

import (
	"syscall"
)

// Numbers of winsock that package syscall does not name.
const (
	wsaeAddrInUse    = syscall.Errno(10048)
	wsaeAddrNotAvail = syscall.Errno(10049)
	wsaeTimedOut     = syscall.Errno(10060)
	wsaeConnRefused  = syscall.Errno(10061)
)

var causes = []struct{ system, ours error }{
	{wsaeAddrInUse, ErrAddressInUse},
	{wsaeAddrNotAvail, ErrAddressNotAvailable},
	{syscall.WSAEACCES, ErrPermission},
	{wsaeConnRefused, ErrRefused},
	{wsaeTimedOut, ErrTimeout},
}
