//go:build unix

package datadir

import (
	"io/fs"
	"syscall"
)

// NoFollow is the flag of open that refuses a symbolic link.
const NoFollow = syscall.O_NOFOLLOW

const nonBlock = syscall.O_NONBLOCK

// ownerOf returns the user that a file belongs to.
func ownerOf(info fs.FileInfo) (uid int, ok bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(s.Uid), true
}
