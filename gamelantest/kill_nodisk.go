//go:build nodisk

package gamelantest

// disks are none in a program without the disk store.
type disks struct{}
