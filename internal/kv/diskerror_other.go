//go:build !unix

package kv

// diskError reports whether err is one of the disk rather than of a lock that
// somebody else holds. Here the two cannot be told apart.
func diskError(error) bool { return false }

// readOnly reports whether err says that the file system cannot be written to.
// Here it says that permission is denied.
func readOnly(error) bool { return false }
