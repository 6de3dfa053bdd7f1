//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// endAtBrokenPipe ends the process as a write to a pipe without a reader does. The write goes
// to a pipe of its own, as the output may have a new reader.
func endAtBrokenPipe() {
	r, w, err := os.Pipe()
	if err != nil {
		return
	}
	r.Close()
	if unix.Dup2(int(w.Fd()), int(os.Stdout.Fd())) == nil {
		signal.Reset(syscall.SIGPIPE)
		os.Stdout.Write([]byte{'\n'})
	}
}
