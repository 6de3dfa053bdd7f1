//go:build unix

package tornet

import "syscall"

// The signals of Pause and Resume.
const pauseSignal, resumeSignal = syscall.SIGSTOP, syscall.SIGCONT
