//go:build unix

package signals

import "syscall"

// Stop makes a process stand still, and Resume lets it go on.
const Stop, Resume = syscall.SIGSTOP, syscall.SIGCONT
