package outlet

import (
	"os"

	"golang.org/x/sys/unix"
)

// unread returns how many bytes lie in a pipe or socket, and whether its reader is gone. What
// a reader left in a pipe still lies there. A socket forgets it, so that the number of a
// closed one is not exact. The number of a Unix socket counts memory: it is too high until it
// is 0.
func unread(f *os.File, kind os.FileMode) (n int64, exact, gone bool) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, false, false
	}
	control := raw.Control(func(fd uintptr) {
		if kind == os.ModeNamedPipe { // a reader that is gone takes no more
			gone = hungUp(fd)
			n, exact = ask(fd, unix.TIOCINQ)
			return
		}
		n, exact = ask(fd, unix.TIOCOUTQ)
		gone = hungUp(fd)
		exact = exact && !gone
	})
	return n, exact && control == nil, gone
}

func ask(fd uintptr, request uint) (int64, bool) {
	n, err := unix.IoctlGetInt(int(fd), request)
	return int64(n), err == nil
}

// hungUp reports whether the other side of a pipe or socket is closed.
func hungUp(fd uintptr) bool {
	p := []unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(p, 0)
	return err == nil && n == 1 && p[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
}
