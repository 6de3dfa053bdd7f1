//go:build unix

package openfiles

import "syscall"

// Most returns how many files this process may have open; 0 is unknown.
func Most() uint64 {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return uint64(l.Cur) //nolint:unconvert // an int64 on some systems
}
