package transport

// TryWriter is a connection that can write without waiting. A goroutine that many others
// wait for uses it.
type TryWriter interface {
	// CanTry reports whether TryWrite ever writes: a wrapper may stand on a connection
	// that cannot.
	CanTry() bool
	// TryWrite writes as many of the first bytes of b as the connection takes without
	// waiting, which may be none, and returns their number. An error is final, as that of
	// Write is.
	TryWrite(b []byte) (n int, err error)
}
