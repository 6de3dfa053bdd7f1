//go:build !windows

package transport

import "syscall"

// outOfFiles are the errors of a process, or a system, without a free file descriptor.
var outOfFiles = []error{syscall.EMFILE, syscall.ENFILE}

var resetErrors = []error{syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED}

// noNetwork and noHost are the errors of a machine without a way to an address.
var (
	noNetwork = []error{syscall.ENETUNREACH, syscall.ENETDOWN}
	noHost    = []error{syscall.EHOSTUNREACH, syscall.EHOSTDOWN}
)
