//go:build !windows

package transport

import "syscall"

var resetErrors = []error{syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED}
