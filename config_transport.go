package gamelan

import (
	"errors"
	"fmt"
	"strings"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
	"github.com/gamelan-p2p/gamelan/transport/tor"
	"github.com/gamelan-p2p/gamelan/transport/torconn"
)

// Values of Config.Transport. Config.Tor and Config.SOCKS have no effect with others than
// they name.
const (
	// TransportTCP connects over TCP.
	TransportTCP = "tcp"
	// TransportTor connects through Tor alone, and is reached through an onion service: the
	// node shows its IP address to nobody. It needs a running Tor with a control port.
	TransportTor = "tor"
	// TransportTCPWithTor connects over TCP, and to onion services through Tor. The node has
	// no onion service itself.
	TransportTCPWithTor = "tcp+tor"
	// TransportSOCKS connects through a SOCKS5 proxy alone.
	TransportSOCKS = "socks"
)

// TorConfig says how a node with [TransportTor] uses Tor.
type TorConfig struct {
	// ControlAddress is the multiaddr of Tor's control port: /ip4/…/tcp/…, /ip6/…/tcp/… or
	// /unix/…. Default: /ip4/127.0.0.1/tcp/9051.
	ControlAddress string

	// ControlAuth is how the node authenticates there: "auto", "safecookie=@<file>", "none",
	// "password=…", "cookie=<64 hex digits>", "cookie=@<file>", or "cookie=@" for Debian's
	// cookie file. With auto and safecookie the control port has to prove that it knows a
	// cookie, which is in /run/tor/control.authcookie, /var/lib/tor/control_auth_cookie, or
	// the file. With the others the node gives the key of its onion service to whatever
	// program listens there. Default: auto.
	ControlAuth string

	// User is the account that runs Tor, by its name or number. A cookie counts only in a
	// file that this account, root and the node's own account alone can change, or replace
	// in a folder of its path. Default: the first that exists of debian-tor, tor, _tor and
	// toranon.
	User string

	// OnionPort is the port of the onion service. Default: the port in the file
	// tor_identity.json of DataDir, else 18141.
	OnionPort int

	// ForwardAddress is where Tor delivers connections to the onion service, as a multiaddr
	// on this machine: of another program that passes them on to the node. Port 0 stands
	// for the port that the node listens on. Default: the first address of Listen.
	ForwardAddress string

	// NewCircuits lets the node ask Tor for new circuits, with the signal NEWNYM, when dials
	// of an onion service keep failing. It concerns all programs that use this Tor, so
	// permit it for a Tor that only the node uses.
	NewCircuits bool

	// PublishGrace is how long a node without another address waits for its onion service
	// to be published before it connects to peers all the same. Default 1 min.
	PublishGrace time.Duration
}

// SOCKSConfig describes the proxy of [TransportTor], [TransportTCPWithTor] and
// [TransportSOCKS].
type SOCKSConfig struct {
	// Address is the proxy's multiaddr: /ip4/…/tcp/…, /ip6/…/tcp/… or /unix/…. Default with
	// TransportTor: what Tor says; with TransportTCPWithTor: /ip4/127.0.0.1/tcp/9050;
	// TransportSOCKS has none. With TransportTCP it must be empty: a proxy that is set and not
	// used would show the IP address of a node that is meant to hide it.
	Address string

	// Tor says that the proxy of TransportSOCKS is a Tor. Names that peers claim are dialled
	// through a Tor alone: another proxy could look them up inside its own network. Names that
	// the user has given are always dialled. The proxy of the other transports is a Tor.
	Tor bool

	// Auth is "none" or "username_password=<user>:<password>". Default: none.
	Auth string

	// Isolation chooses which dials share circuits of Tor: "peer" (those of one peer),
	// "dial" (none) or "none" (all). It has no effect with Auth. Default: peer.
	Isolation string

	// BypassTCP makes the node dial IP addresses and names directly and not through Tor, and
	// BypassAddresses these addresses. Each such dial shows the node's IP address to the
	// peer, and names to a name server. They are for TransportTor. Onion services are
	// always dialled through Tor.
	BypassTCP       bool
	BypassAddresses []string
}

// Addresses of a Tor with Debian's settings.
const (
	defaultControl = "/ip4/127.0.0.1/tcp/9051"
	defaultSOCKS   = "/ip4/127.0.0.1/tcp/9050"
)

// withTransportDefaults fills in what does not depend on anything but Transport.
func (c *Config) withTransportDefaults() {
	def(&c.Transport, TransportTCP)
	def(&c.SOCKS.Auth, "none")
	def(&c.SOCKS.Isolation, "peer")
	def(&c.Tor.ControlAddress, defaultControl)
	def(&c.Tor.ControlAuth, string(tor.AuthAuto))
	def(&c.Tor.PublishGrace, tor.DefaultGrace)
	if c.Transport == TransportTCPWithTor {
		def(&c.SOCKS.Address, defaultSOCKS)
	}
}

// proxied is what of a Config concerns Tor and the proxy, parsed.
type proxied struct {
	control ma.Multiaddr
	auth    tor.Auth
	forward ma.Multiaddr // nil: the first listener
	proxy   ma.Multiaddr // nil: Tor says it
	socks   socks.Options
	direct  []ma.Multiaddr
}

// parseTransport parses what concerns Tor and the proxy.
func (s *settled) parseTransport() error {
	var wrong []error
	bad := func(field string, err error) { wrong = append(wrong, badConfig(field, err)) }
	p := &s.proxied
	switch s.Transport {
	case TransportTCP, TransportTor, TransportTCPWithTor, TransportSOCKS:
	default:
		bad("Transport", fmt.Errorf("%q is none of tcp, tor, tcp+tor and socks", s.Transport))
	}
	var err error
	if p.control, err = ma.NewMultiaddr(s.Tor.ControlAddress); err == nil {
		err = torconn.CheckAddress(p.control)
	}
	if err != nil {
		bad("Tor.ControlAddress", err)
	}
	if p.auth, err = tor.ParseAuth(s.Tor.ControlAuth); err != nil {
		bad("Tor.ControlAuth", err)
	}
	if s.Tor.OnionPort < 0 || s.Tor.OnionPort > 65535 {
		bad("Tor.OnionPort", fmt.Errorf("%d is no port; choose 1 to 65535", s.Tor.OnionPort))
	}
	if s.Tor.PublishGrace < 0 {
		bad("Tor.PublishGrace", errors.New("is negative; leave it 0 for the default"))
	}
	if s.Tor.ForwardAddress != "" {
		if p.forward, err = ma.NewMultiaddr(s.Tor.ForwardAddress); err == nil {
			_, err = forwardTarget(p.forward)
		}
		if err != nil {
			bad("Tor.ForwardAddress", err)
		}
	}
	if p.socks.Credentials, err = parseSOCKSAuth(s.SOCKS.Auth); err != nil {
		bad("SOCKS.Auth", err)
	}
	switch s.SOCKS.Isolation {
	case "peer":
	case "dial":
		p.socks.Isolation = socks.PerDial
	case "none":
		p.socks.Isolation = socks.NoIsolation
	default:
		bad("SOCKS.Isolation", fmt.Errorf("%q is none of peer, dial and none", s.SOCKS.Isolation))
	}
	switch {
	case s.SOCKS.Address != "":
		if p.proxy, err = ma.NewMultiaddr(s.SOCKS.Address); err == nil {
			_, err = socks.New(socks.Options{Proxy: p.proxy})
		}
		if err == nil && s.Transport == TransportTCP {
			err = errors.New("the transport tcp would not use the proxy; choose tor or socks to connect through it alone, tcp+tor to reach onion services through it, or set no proxy")
		}
		if err != nil {
			bad("SOCKS.Address", err)
		}
	case s.Transport == TransportSOCKS:
		bad("SOCKS.Address", errors.New("there is none; set the proxy's address, such as "+defaultSOCKS))
	}
	p.socks.Proxy, p.socks.Later = p.proxy, p.proxy == nil
	p.socks.Tor = s.SOCKS.Tor || s.Transport != TransportSOCKS
	if p.direct, err = parseAddresses("SOCKS.BypassAddresses", s.SOCKS.BypassAddresses); err != nil {
		wrong = append(wrong, err)
	}
	return errors.Join(wrong...)
}

// checkListen checks what a node may listen on that hides its IP address. It follows parse.
func (s *settled) checkListen() error {
	if s.Transport == TransportTor && len(s.listen) == 0 && s.forward == nil {
		return badConfig("Listen", errors.New("an onion service needs a listener; leave Listen empty"))
	}
	for _, a := range s.listen {
		if ip, ok := transport.IP(a); s.Transport == TransportTor && ok && !ip.IsLoopback() {
			return badConfig("Listen", fmt.Errorf("%s could be reached without Tor; a node behind Tor listens on loopback, such as /ip4/127.0.0.1/tcp/0", a))
		}
	}
	if s.Transport == TransportSOCKS && len(s.public) == 0 && !s.profile.TestAddresses {
		return badConfig("PublicAddresses", errors.New("a node behind a SOCKS proxy does not show this machine's addresses, and peers want one; set the one by which it can be reached, such as that of an onion service"))
	}
	return nil
}

// parseSOCKSAuth reads "none" or "username_password=user:password". An error never repeats
// the text.
func parseSOCKSAuth(text string) (socks.Credentials, error) {
	word, pair, more := strings.Cut(text, "=")
	if !more && strings.EqualFold(strings.TrimSpace(word), "none") {
		return socks.Credentials{}, nil
	}
	user, password, found := strings.Cut(strings.TrimSpace(pair), ":")
	if !more || !found || !strings.EqualFold(strings.TrimSpace(word), "username_password") {
		return socks.Credentials{}, errors.New("it must be none or username_password=<user>:<password>")
	}
	c := socks.Credentials{User: user, Password: password}
	_, err := socks.New(socks.Options{Credentials: c, Later: true})
	return c, err
}

// forwardTarget returns the address in the form that Tor takes, such as 127.0.0.1:4001.
func forwardTarget(a ma.Multiaddr) (string, error) {
	if len(a) > 0 && a[0].Code() == ma.P_UNIX {
		return "unix:" + a[0].Value(), nil
	}
	ip, ok := transport.IP(a)
	if !ok || !ip.IsLoopback() || len(a) != 2 || a[1].Code() != ma.P_TCP {
		return "", fmt.Errorf("%s is not on this machine; it must be /ip4/127.0.0.1/tcp/…, /ip6/::1/tcp/… or /unix/…", a)
	}
	host := "127.0.0.1"
	if ip.Unmap().Is6() {
		host = "[::1]"
	}
	return host + ":" + a[1].Value(), nil
}
