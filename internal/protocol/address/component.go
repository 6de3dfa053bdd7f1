package address

import (
	"errors"
	"fmt"
	"unicode/utf8"

	ma "github.com/multiformats/go-multiaddr"
)

var (
	// ErrUnparsable reports bytes or text that are no multiaddr at all.
	ErrUnparsable = errors.New("address: not a multiaddr")
	// ErrMalformed reports a multiaddr whose structure no claim may have.
	ErrMalformed = errors.New("address: malformed")
)

// component is one part of a multiaddr: a code and its value.
type component struct {
	code  int
	value []byte
}

// fixedSize is the length in bytes of the values of fixed length, by code.
var fixedSize = map[int]int{
	ma.P_IP4:    4,
	ma.P_TCP:    2,
	ma.P_IP6:    16,
	ma.P_ONION:  12,
	ma.P_ONION3: 37,
	ma.P_MEMORY: 8,
}

func isDNS(code int) bool {
	switch code {
	case ma.P_DNS, ma.P_DNS4, ma.P_DNS6, ma.P_DNSADDR:
		return true
	}
	return false
}

// split returns the components of a binary multiaddr. It parses the components of
// spec: comms 2.5 itself, because go-multiaddr also refuses values that other nodes
// can parse: a name with a slash, an empty name, port 0 of an onion. Such a value
// must be malformed, with a ban, and not unparsable, without one. Any other component
// goes to go-multiaddr with the bytes after it, and is the last one that split
// returns: no address with such a component is well formed.
func split(b []byte) ([]component, error) {
	var parts []component
	for len(b) > 0 {
		code, n, err := ma.ReadVarintCode(b)
		if err != nil {
			return nil, fmt.Errorf("%w: protocol code: %w", ErrUnparsable, err)
		}
		rest := b[n:]
		size, fixed := fixedSize[code]
		switch {
		case fixed:
		case isDNS(code):
			size, n, err = ma.ReadVarintCode(rest)
			if err != nil {
				return nil, fmt.Errorf("%w: length of a name: %w", ErrUnparsable, err)
			}
			rest = rest[n:]
		default:
			if _, err := ma.NewMultiaddrBytes(b); err != nil {
				return nil, fmt.Errorf("%w: protocol code %d", ErrUnparsable, code)
			}
			return append(parts, component{code, nil}), nil
		}
		if len(rest) < size {
			return nil, fmt.Errorf("%w: %d bytes of %d", ErrUnparsable, len(rest), size)
		}
		if isDNS(code) && !utf8.Valid(rest[:size]) {
			return nil, fmt.Errorf("%w: a name that is not UTF-8", ErrUnparsable)
		}
		parts = append(parts, component{code, rest[:size]})
		b = rest[size:]
	}
	return parts, nil
}

// parts returns the components of an address.
func parts(a ma.Multiaddr) []component {
	p := make([]component, len(a))
	for i := range a {
		p[i] = component{a[i].Code(), a[i].RawValue()}
	}
	return p
}

// Parse returns the address that the text s describes, such as
// /ip4/203.0.113.7/tcp/18189. It fails with [ErrUnparsable]. [Check] reports
// whether a claim may hold the address.
func Parse(s string) (ma.Multiaddr, error) {
	a, err := ma.NewMultiaddr(s)
	if err != nil {
		if advice := Advice(s); advice != "" {
			return nil, fmt.Errorf("%w: %q; %s", ErrUnparsable, s, advice)
		}
		return nil, fmt.Errorf("%w: %w; write it as /ip4/203.0.113.7/tcp/18189 or /dns4/name/tcp/18189", ErrUnparsable, err)
	}
	if len(a) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrUnparsable)
	}
	return a, nil
}

// FromBytes returns the address of the binary form b. It fails with
// [ErrUnparsable], or with [ErrMalformed] for the malformed addresses that a
// [ma.Multiaddr] cannot hold.
func FromBytes(b []byte) (ma.Multiaddr, error) {
	if _, err := split(b); err != nil {
		return nil, err
	}
	a, err := ma.NewMultiaddrBytes(b)
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot be written as text", ErrMalformed)
	}
	return a, nil
}
