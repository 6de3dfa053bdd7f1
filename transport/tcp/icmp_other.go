//go:build !linux

package tcp

import "github.com/gamelan-p2p/gamelan/transport"

// icmp reads the ICMP messages that have refused a dial, where the system tells them.
type icmp struct{}

func (*icmp) watch(before control) control { return before }

func (*icmp) end() *transport.Refusal { return nil }
