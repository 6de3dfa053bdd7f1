package tornet

import "syscall"

// The signals of Pause and Resume, which Windows does not have: a process cannot be sent them,
// and goes on.
const pauseSignal, resumeSignal = syscall.Signal(0x13), syscall.Signal(0x12)
