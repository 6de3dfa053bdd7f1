package address

import (
	"bytes"
	"crypto/sha3"
	"encoding/binary"
	"fmt"
	"slices"

	ma "github.com/multiformats/go-multiaddr"
)

// Check reports whether a claim may hold the address, by its structure alone
// (spec: comms 2.6, V4, V6). The error is [ErrMalformed]. Well-formed addresses are
//
//   - /ip4, /ip6, /dns4, /dns6 or /dnsaddr, then /tcp with a port other than
//     0, and nothing more; a DNS name holds no slash;
//   - /onion3 with version 3, the right checksum and a port other than 0,
//     and nothing more;
//   - /memory with a port other than 0, and nothing more.
func Check(a ma.Multiaddr) error { return check(parts(a)) }

// CheckBytes is [Check] for an address in binary form, as claims carry it.
// The error is [ErrUnparsable] for bytes that are no multiaddr, otherwise
// [ErrMalformed].
func CheckBytes(b []byte) error {
	p, err := split(b)
	if err != nil {
		return err
	}
	return check(p)
}

// Parses reports whether b is a multiaddr of any structure. The error is
// [ErrUnparsable].
func Parses(b []byte) error {
	_, err := split(b)
	return err
}

func check(p []component) error {
	if len(p) == 0 {
		return fmt.Errorf("%w: it is empty", ErrMalformed)
	}
	first, rest := p[0], p[1:]
	switch first.code {
	case ma.P_IP4, ma.P_IP6:
		return checkTCP(rest)
	case ma.P_DNS4, ma.P_DNS6, ma.P_DNSADDR:
		if bytes.IndexByte(first.value, '/') >= 0 {
			return fmt.Errorf("%w: a name with a slash", ErrMalformed)
		}
		return checkTCP(rest)
	case ma.P_ONION3:
		if err := checkOnion3(first.value); err != nil {
			return err
		}
		return checkEnd(rest)
	case ma.P_MEMORY:
		if binary.BigEndian.Uint64(first.value) == 0 {
			return fmt.Errorf("%w: memory port 0", ErrMalformed)
		}
		return checkEnd(rest)
	case ma.P_DNS:
		return fmt.Errorf("%w: it begins with dns; use dns4 or dns6", ErrMalformed)
	case ma.P_ONION:
		return fmt.Errorf("%w: it begins with onion; use onion3", ErrMalformed)
	}
	return fmt.Errorf("%w: it begins with protocol code %d", ErrMalformed, first.code)
}

func checkTCP(p []component) error {
	if len(p) == 0 || p[0].code != ma.P_TCP {
		return fmt.Errorf("%w: no tcp port after the host", ErrMalformed)
	}
	if binary.BigEndian.Uint16(p[0].value) == 0 {
		return fmt.Errorf("%w: tcp port 0", ErrMalformed)
	}
	return checkEnd(p[1:])
}

func checkEnd(p []component) error {
	if len(p) != 0 {
		return fmt.Errorf("%w: protocol code %d after its end", ErrMalformed, p[0].code)
	}
	return nil
}

// checkOnion3 checks the 37 bytes of an onion3 component: 32 of key, 2 of
// checksum, 1 of version, 2 of port.
func checkOnion3(v []byte) error {
	key, sum, version, port := v[:32], v[32:34], v[34], v[35:37]
	if version != 3 {
		return fmt.Errorf("%w: onion version %d, want 3", ErrMalformed, version)
	}
	if !bytes.Equal(onionSum(key), sum) {
		return fmt.Errorf("%w: onion3 checksum", ErrMalformed)
	}
	if binary.BigEndian.Uint16(port) == 0 {
		return fmt.Errorf("%w: onion3 port 0", ErrMalformed)
	}
	return nil
}

// onionSum returns the checksum of an onion3 address, which has version 3, with this public
// key.
func onionSum(key []byte) []byte {
	h := sha3.New256()
	h.Write([]byte(".onion checksum"))
	h.Write(key)
	h.Write([]byte{3})
	return h.Sum(nil)[:2]
}

// Onion3 returns the address of the onion service with this ed25519 key, at a port other
// than 0.
func Onion3(key [32]byte, port uint16) (ma.Multiaddr, error) {
	v := append(append(append(key[:], onionSum(key[:])...), 3), byte(port>>8), byte(port))
	return FromBytes(append(slices.Clone(ma.ProtocolWithCode(ma.P_ONION3).VCode), v...))
}
