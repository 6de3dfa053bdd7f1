//go:build !unix

package gamelan

// maxFiles returns how many files this process may have open; 0 is unknown.
func maxFiles() uint64 { return 0 }
