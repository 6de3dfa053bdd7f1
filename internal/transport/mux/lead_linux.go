package mux

import "syscall"

// leadsPay says that a Read may lead: the lookout can wake often enough. A timer of the runtime's is up to a millisecond late.
const leadsPay = true

// nap sleeps for as long as the kernel takes for a moment, about 0.1 ms.
func nap() { _ = syscall.Nanosleep(&syscall.Timespec{Nsec: 30_000}, nil) }
