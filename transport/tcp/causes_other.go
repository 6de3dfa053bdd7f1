//go:build !windows

package tcp

import (
	"syscall"

	"github.com/gamelan-p2p/gamelan/transport"
)

var causes = []struct{ system, ours error }{
	{syscall.EADDRINUSE, transport.ErrAddressInUse},
	{syscall.EADDRNOTAVAIL, transport.ErrAddressNotAvailable},
	{syscall.EACCES, transport.ErrPermission},
	{syscall.EPERM, transport.ErrPermission},
	{syscall.ECONNREFUSED, transport.ErrRefused},
	{syscall.ETIMEDOUT, transport.ErrTimeout},
}
