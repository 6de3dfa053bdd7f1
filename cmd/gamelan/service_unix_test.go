//go:build unix

package main

import "syscall"

func init() { signalsByName["STOP"] = syscall.SIGSTOP }
