//go:build unix

package datadir

import (
	"io/fs"
	"syscall"
)

// NoFollow is the flag of open that refuses a symbolic link.
const NoFollow = syscall.O_NOFOLLOW

// NonBlock is the flag of open that does not wait for the writer of a pipe.
const NonBlock = syscall.O_NONBLOCK

// OwnerOf returns the user and the group that a file belongs to.
func OwnerOf(info fs.FileInfo) (uid, gid int, ok bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(s.Uid), int(s.Gid), true
}
