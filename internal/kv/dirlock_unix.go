//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd || solaris

package kv

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// lockedElsewhere reports whether another process has locked the file. It closes
// the file, which would drop a lock of this process: there must be none.
func lockedElsewhere(name string) (bool, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	asked := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart} // all of it, as Pebble does
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &asked); err != nil {
		return false, os.NewSyscallError("fcntl", err)
	}
	return asked.Type != unix.F_UNLCK, nil
}
