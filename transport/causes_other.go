//go:build !windows

package transport

import "syscall"

var causes = []struct{ system, ours error }{
	{syscall.EADDRINUSE, ErrAddressInUse},
	{syscall.EADDRNOTAVAIL, ErrAddressNotAvailable},
	{syscall.EACCES, ErrPermission},
	{syscall.EPERM, ErrPermission},
	{syscall.ECONNREFUSED, ErrRefused},
	{syscall.ETIMEDOUT, ErrTimeout},
}
