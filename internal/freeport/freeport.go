// Package freeport finds ports of loopback for listeners that come later, or go away for a
// while.
package freeport

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// held keeps the ports from all others that ask, until the process ends: the same port of UDP.
var (
	mu   sync.Mutex
	held []net.PacketConn
)

// Ports returns TCP ports of 127.0.0.1 on which nobody listens, below those that the system
// gives to outgoing connections, which could take a port before its listener comes. No other
// call gets them while this process runs.
func Ports(count int) ([]int, error) {
	const lowest, highest = 20_000, 31_000
	var ports []int
	for _, i := range rand.Perm(highest - lowest) {
		if len(ports) == count {
			return ports, nil
		}
		if free(net.JoinHostPort("127.0.0.1", strconv.Itoa(lowest+i))) {
			ports = append(ports, lowest+i)
		}
	}
	return nil, errors.New("freeport: too few free ports")
}

// free takes an address, and reports whether it was free.
func free(address string) bool {
	hold, err := net.ListenPacket("udp4", address)
	if err != nil {
		return false
	}
	l, err := net.Listen("tcp4", address)
	if err != nil {
		_ = hold.Close()
		return false
	}
	_ = l.Close()
	mu.Lock()
	defer mu.Unlock()
	held = append(held, hold)
	return true
}
