//go:build unix

package gamelan

import "syscall"

// maxFiles returns how many files this process may have open; 0 is unknown.
func maxFiles() uint64 {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return uint64(l.Cur) //nolint:unconvert // an int64 on some systems
}
