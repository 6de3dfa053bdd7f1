//go:build !unix

package tcp

import "net"

// tryWriter does nothing: only on Unix can a write to a socket of package net return
// without waiting.
type tryWriter struct{}

func (tryWriter) init(*net.TCPConn)       {}
func (tryWriter) can() bool               { return false }
func (tryWriter) try([]byte) (int, error) { return 0, nil }
