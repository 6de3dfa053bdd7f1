// Package freeport finds ports of loopback for listeners that come later, or go away for a
// while.
package freeport

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports returns TCP ports of 127.0.0.1 on which nobody listens, below those that the system
// gives to outgoing connections, which could take a port before its listener comes.
func Ports(count int) ([]int, error) {
	const lowest, highest = 20_000, 31_000
	var ports []int
	for _, i := range rand.Perm(highest - lowest) {
		if len(ports) == count {
			return ports, nil
		}
		l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(lowest+i)))
		if err != nil {
			continue
		}
		_ = l.Close()
		ports = append(ports, lowest+i)
	}
	return nil, errors.New("freeport: too few free ports")
}
