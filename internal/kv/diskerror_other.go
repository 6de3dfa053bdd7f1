//go:build !unix && !nodisk

package kv

// diskError reports whether err comes from the disk rather than from a lock that
// another process holds. On this system the two look the same.
func diskError(error) bool { return false }

// readOnly reports whether err says that the file system cannot be written to.
// On this system such an error is a denied permission.
func readOnly(error) bool { return false }
