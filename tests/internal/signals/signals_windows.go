package signals

import "syscall"

// Stop and Resume are signals that Windows does not have: a process cannot be sent them, and goes on.
const Stop, Resume = syscall.Signal(0x13), syscall.Signal(0x12)
