//go:build !windows

package transport

import "syscall"

// outOfFiles are the errors of a process, or a system, without a free file descriptor.
var outOfFiles = []error{syscall.EMFILE, syscall.ENFILE}

var resetErrors = []error{syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED}
