package protocol

import (
	"errors"
	"fmt"
	"strings"
)

// ErrUnknownNetwork reports a name that is none of the networks.
var ErrUnknownNetwork = errors.New("protocol: unknown network")

// ErrUnknownRelease reports a name that is none of the releases.
var ErrUnknownRelease = errors.New("protocol: unknown release")

// LivenessByte is the first byte of a dialer that wants a liveness check instead of a
// connection. It is never a wire byte (spec: comms 3.1).
const LivenessByte = 0xA7

// OldLivenessByte is the byte that nodes of 1.0.0-rc.5 send instead. On a network
// where it is the wire byte, it is no liveness check (spec: V 2).
const OldLivenessByte = 0xA6

// Network is one of the networks of nodes; its value is the network byte
// (spec: comms 3.2). Nodes of different networks do not connect. The zero value
// is MainNet, so a configuration must not leave it unset by accident.
type Network uint8

const (
	MainNet   Network = 0x00
	StageNet  Network = 0x01
	NextNet   Network = 0x02
	LocalNet  Network = 0x10 // the default: your own machines
	Igor      Network = 0x24
	Esmeralda Network = 0x26
)

var networkNames = []struct {
	network Network
	name    string
}{
	{MainNet, "mainnet"},
	{StageNet, "stagenet"},
	{NextNet, "nextnet"},
	{LocalNet, "localnet"},
	{Igor, "igor"},
	{Esmeralda, "esmeralda"},
}

// ParseNetwork returns the network with the name s, in upper or lower case. "esme" is
// short for esmeralda. It fails with [ErrUnknownNetwork].
func ParseNetwork(s string) (Network, error) {
	lower := strings.ToLower(s)
	if lower == "esme" {
		return Esmeralda, nil
	}
	for _, n := range networkNames {
		if n.name == lower {
			return n.network, nil
		}
	}
	return 0, fmt.Errorf("%w %q: use localnet, mainnet, stagenet, nextnet, igor or esmeralda", ErrUnknownNetwork, s)
}

// String returns the name in lower case.
func (n Network) String() string {
	for _, known := range networkNames {
		if known.network == n {
			return known.name
		}
	}
	if n == PrivateNet {
		return "private"
	}
	return fmt.Sprintf("network %#02x", uint8(n))
}

// TestAddresses reports whether addresses that cannot be dialled from outside
// (loopback, private, memory) are advertised and kept by default: on LocalNet and in private
// networks only (V3, V43).
func (n Network) TestAddresses() bool { return n == LocalNet || n == PrivateNet }

// Release is the generation of peers whose wire bytes a network uses. Only
// NextNet and Esmeralda differ between releases (V1).
type Release uint8

const (
	Release6   Release = iota // 6.2, the present release
	Release17                 // 1.7
	ReleaseRC5                // 1.0.0-rc.5
)

// ParseRelease returns the release of "6.2", "1.7" or "rc5". It fails with
// [ErrUnknownRelease].
func ParseRelease(s string) (Release, error) {
	for _, r := range []Release{Release6, Release17, ReleaseRC5} {
		if r.String() == s {
			return r, nil
		}
	}
	return 0, fmt.Errorf("%w %q: use 6.2, 1.7 or rc5", ErrUnknownRelease, s)
}

// String returns "6.2", "1.7" or "rc5".
func (r Release) String() string {
	switch r {
	case Release6:
		return "6.2"
	case Release17:
		return "1.7"
	case ReleaseRC5:
		return "rc5"
	}
	return fmt.Sprintf("release %d", uint8(r))
}

// WireByte returns the first byte of a connection on network n (V1).
func (n Network) WireByte(r Release) byte {
	switch {
	case n == NextNet && r == Release6:
		return 0x52
	case n == NextNet && r == Release17:
		return 0x50
	case n == Esmeralda && r == Release6:
		return 0xCA
	case n == Esmeralda && r == Release17:
		return 0xC9
	}
	return byte(n)
}

// NetworkOf returns the network and release whose connections begin with this wire byte.
// Where the releases of a network share one, it returns [Release6]. ok is false if no
// network begins so.
func NetworkOf(wire byte) (n Network, r Release, ok bool) {
	for _, known := range networkNames {
		for _, r := range []Release{Release6, Release17, ReleaseRC5} {
			if known.network.WireByte(r) == wire {
				return known.network, r, true
			}
		}
	}
	if wire == byte(PrivateNet) {
		return PrivateNet, Release6, true
	}
	return 0, 0, false
}
