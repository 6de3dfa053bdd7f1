package socks

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"strings"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
)

const (
	version     = 5
	authVersion = 1 // RFC 1929

	methodNone     = 0x00
	methodPassword = 0x02
	methodNoMatch  = 0xFF

	commandConnect = 0x01
	commandResolve = 0xF0 // Tor's

	typeIPv4 = 1
	typeName = 3
	typeIPv6 = 4

	maxName = 255 // bytes of a name, user name or password: their length is one byte
)

// Credentials are the user name and password for the proxy. Both are empty, or both have 1
// to 255 bytes.
type Credentials struct{ User, Password string }

// IsZero reports whether there are none.
func (c Credentials) IsZero() bool { return c == Credentials{} }

// String hides the password.
func (c Credentials) String() string {
	if c.IsZero() {
		return "none"
	}
	return c.User + ":…"
}

func (c Credentials) check() error {
	if c.IsZero() {
		return nil
	}
	for _, s := range []string{c.User, c.Password} {
		if len(s) < 1 || len(s) > maxName {
			return ErrCredentialsLength
		}
	}
	return nil
}

// destination is what a request asks for: an IP address or a name, and a port.
type destination struct {
	ip    netip.Addr // invalid for a name
	name  string
	port  uint16
	onion bool
}

var onionText = base32.StdEncoding.WithPadding(base32.NoPadding)

// destinationOf returns the destination of an address. It looks at the first two components
// only. After an error no proxy can dial the address.
func destinationOf(a ma.Multiaddr) (d destination, err error) {
	if len(a) == 0 {
		return d, fmt.Errorf("it is empty")
	}
	first := a[0]
	if first.Code() == ma.P_ONION3 {
		if err := address.Check(a[:1]); err != nil {
			return d, err
		}
		v := first.RawValue()
		return destination{
			name: strings.ToLower(onionText.EncodeToString(v[:35])) + ".onion", port: binary.BigEndian.Uint16(v[35:]), onion: true,
		}, nil
	}
	if first.Code() == ma.P_ONION {
		return d, fmt.Errorf("onion services of version 2 have ended; use onion3")
	}
	if len(a) < 2 || a[1].Code() != ma.P_TCP {
		return d, fmt.Errorf("no tcp port after the host")
	}
	d.port = binary.BigEndian.Uint16(a[1].RawValue())
	if d.port == 0 {
		return d, fmt.Errorf("port 0 cannot be dialled")
	}
	switch first.Code() {
	case ma.P_IP4, ma.P_IP6:
		d.ip, _ = netip.AddrFromSlice(first.RawValue())
		return d, nil
	case ma.P_DNS, ma.P_DNS4:
		d.ip, d.name, err = nameOf(first.Value())
		return d, err
	case ma.P_DNS6, ma.P_DNSADDR:
		return d, fmt.Errorf("a proxy cannot look up %s; use dns4 or an IP address", first.Protocol().Name)
	}
	return d, fmt.Errorf("a proxy cannot dial %s", first.Protocol().Name)
}

// nameOf checks a host name. For the text of an IP address it returns that address, so that
// no rule for addresses is passed by.
func nameOf(name string) (ip netip.Addr, host string, err error) {
	if ip, err := netip.ParseAddr(name); err == nil && ip.Zone() == "" {
		return ip, "", nil
	}
	if len(name) < 1 || len(name) > maxName {
		return ip, "", fmt.Errorf("a name of %d bytes; the most is %d", len(name), maxName)
	}
	for _, r := range name {
		if r <= ' ' || r == 0x7f {
			return ip, "", fmt.Errorf("a name with the character %q", r)
		}
	}
	// Tor does not take "….onion." for an onion address: it would ask a name server for it.
	last := strings.ToLower(strings.TrimRight(name, "."))
	if last == "onion" || strings.HasSuffix(last, ".onion") {
		return ip, "", fmt.Errorf("an onion service as a name; write /onion3/<56 characters>:<port>")
	}
	return ip, name, nil
}

// appendGreeting appends the first bytes to the proxy: which ways to authenticate we offer.
func appendGreeting(b []byte, c Credentials) []byte {
	if c.IsZero() {
		return append(b, version, 1, methodNone)
	}
	return append(b, version, 2, methodNone, methodPassword)
}

// appendCredentials appends user name and password (RFC 1929).
func appendCredentials(b []byte, c Credentials) []byte {
	b = append(b, authVersion, byte(len(c.User)))
	b = append(b, c.User...)
	b = append(b, byte(len(c.Password)))
	return append(b, c.Password...)
}

// appendRequest appends a request.
func appendRequest(b []byte, command byte, d destination) []byte {
	b = append(b, version, command, 0)
	switch {
	case d.ip.Is4():
		b = append(b, typeIPv4)
		b = append(b, d.ip.AsSlice()...)
	case d.ip.Is6():
		b = append(b, typeIPv6)
		b = append(b, d.ip.AsSlice()...)
	default:
		b = append(b, typeName, byte(len(d.name)))
		b = append(b, d.name...)
	}
	return binary.BigEndian.AppendUint16(b, d.port)
}

// readMethod reads the proxy's choice of how to authenticate, which has to be one that was
// offered.
func readMethod(r io.Reader, c Credentials) (method byte, err error) {
	var b [2]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, err
	}
	if b[0] != version {
		return 0, fmt.Errorf("%w: version %d", ErrVersion, b[0])
	}
	switch method := b[1]; {
	case method == methodNone, method == methodPassword && !c.IsZero():
		return method, nil
	case method == methodNoMatch && c.IsZero():
		return 0, fmt.Errorf("%w: the proxy wants a user name and password", ErrMethod)
	case method == methodNoMatch:
		return 0, fmt.Errorf("%w: the proxy takes no user name and password", ErrMethod)
	default:
		return 0, fmt.Errorf("%w: the proxy chose method 0x%02X, which was not offered", ErrMethod, method)
	}
}

// readStatus reads the answer to user name and password.
func readStatus(r io.Reader) error {
	var b [2]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return err
	}
	if b[0] != authVersion {
		return fmt.Errorf("%w: version %d of the authentication", ErrVersion, b[0])
	}
	if b[1] != 0 {
		return fmt.Errorf("%w (status %d)", ErrCredentials, b[1])
	}
	return nil
}

// reply is the proxy's answer to a request.
type reply struct {
	code Code
	ip   netip.Addr // of the answer; invalid for a name
}

// readReply reads the answer to a request. It reads no byte beyond. The code comes first: a
// failed RESOLVE has no valid address behind it, so of a failure nothing more is read.
func readReply(r io.Reader) (a reply, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return a, err
	}
	if head[0] != version {
		return a, fmt.Errorf("%w: version %d", ErrVersion, head[0])
	}
	if head[2] != 0 {
		return a, fmt.Errorf("%w: reserved byte 0x%02X, want 0", ErrReply, head[2])
	}
	if a.code = Code(head[1]); a.code != Succeeded {
		return a, nil
	}
	var size int
	switch head[3] {
	case typeIPv4:
		size = 4
	case typeIPv6:
		size = 16
	case typeName:
		var n [1]byte
		if _, err := io.ReadFull(r, n[:]); err != nil {
			return a, err
		}
		size = int(n[0])
	default:
		return a, fmt.Errorf("%w: type of address %d", ErrReply, head[3])
	}
	var rest [maxName + 2]byte
	bound := rest[:size+2] // and the port
	if _, err := io.ReadFull(r, bound); err != nil {
		return a, err
	}
	if head[3] != typeName {
		a.ip, _ = netip.AddrFromSlice(bound[:size])
	}
	return a, nil
}
