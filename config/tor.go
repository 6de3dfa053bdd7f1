package config

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/settings"
	"github.com/gamelan-p2p/gamelan/internal/transport/torconn"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
	"github.com/gamelan-p2p/gamelan/transport/tor"
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
	// Multiaddr of Tor's control port, for the transport "tor". In torrc, "ControlPort 9051" or
	// "ControlSocket" opens one.
	//
	// It is /ip4/…/tcp/…, /ip6/…/tcp/… or /unix/…. Default: /ip4/127.0.0.1/tcp/9051.
	ControlAddress string

	// How the node authenticates at the control port. With auto and safecookie=@FILE the port must
	// prove that it knows Tor's cookie; auto reads it where Debian's Tor and Tor itself put it. With
	// password=PASSWORD, cookie=@FILE, cookie=DIGITS and none any program that listens there is taken
	// for Tor, and gets the key of the onion service. A password on the command line can be seen by
	// all users of the machine.
	//
	// DIGITS are 64 hex digits; "cookie=@" stands for Debian's cookie file. The cookie is in
	// /run/tor/control.authcookie, /var/lib/tor/control_auth_cookie, or the file. Default: auto.
	ControlAuth string

	// The account that runs Tor, by its name or number. A cookie counts only if this account, root and the
	// node's own alone can change its file and the folders above. Default: the first that exists of
	// debian-tor, tor, _tor and toranon.
	User string

	// Port of the onion service. Default: the port in the file tor_identity.json of DataDir, else 18141.
	OnionPort int

	// Multiaddr on this machine to which Tor delivers connections, if another program passes them on to the
	// node. Port 0 stands for the node's own. Default: the first address of Listen.
	ForwardAddress string

	// Lets the node ask Tor for new circuits when connections to an onion service keep failing, at
	// most every 10 s. All programs that use this Tor get new circuits then.
	//
	// The signal is NEWNYM. Permit it for a Tor that only the node uses.
	NewCircuits bool

	// How long the node waits for its onion service to be published before it connects to peers all
	// the same.
	//
	// A node with another address does not wait. Default 1 min.
	PublishGrace time.Duration
}

// SOCKSConfig describes the proxy of [TransportTor], [TransportTCPWithTor] and
// [TransportSOCKS].
type SOCKSConfig struct {
	// Multiaddr of the SOCKS5 proxy. It must be set for the transport "socks", and is refused with
	// "tcp", which would not use it.
	//
	// It is /ip4/…/tcp/…, /ip6/…/tcp/… or /unix/…. Default with TransportTor: what Tor says; with
	// TransportTCPWithTor: /ip4/127.0.0.1/tcp/9050; TransportSOCKS has none. A proxy that is set and
	// not used would show the IP address of a node that is meant to hide it.
	Address string

	// Says that the proxy of the transport "socks" is a Tor. Names that peers claim are connected to
	// through a Tor alone, since another proxy could look them up inside its own network.
	//
	// Names that the user has given are always dialled. The proxy of the other transports is a Tor.
	Tor bool

	// User name and password for the proxy, as username_password=USER:PASSWORD, or none. Default: none.
	Auth string

	// Which connections may share circuits of Tor: those to one peer, none, or all. It has no effect
	// with [SOCKSConfig.Auth].
	//
	// These are "peer", "dial" and "none". Default: peer.
	Isolation string

	// Connects to IP addresses and names directly and not through Tor, which shows this machine's IP
	// address to them. It is for the transport "tor".
	//
	// Names are shown to a name server. Onion services are always dialled through Tor.
	BypassTCP bool

	// Addresses that are connected to directly and not through Tor, exactly as written.
	BypassAddresses []string
}

// transports are the values of Config.Transport.
var transports = []string{TransportTCP, TransportTor, TransportTCPWithTor, TransportSOCKS}

func torRows() []*settings.Row {
	type (
		opt  = settings.Options
		onto = TorConfig
		via  = SOCKSConfig
	)
	return append(settings.In("Tor", func(c *Config) *TorConfig { return &c.Tor },
		settings.Words("tor.control_address", func(c *onto) *string { return &c.ControlAddress }, defaultControl, 200, `"/unix/run/tor/control"`),
		settings.Words("tor.control_auth", func(c *onto) *string { return &c.ControlAuth }, string(tor.AuthAuto), 400, `"safecookie=@/home/me/tor/control_auth_cookie"`).
			With(opt{Secret: true}),
		settings.Words("tor.user", func(c *onto) *string { return &c.User }, "", 64, `"tor"`).
			With(opt{Dynamic: "the first that exists of debian-tor, tor, _tor and toranon"}),
		settings.Number("tor.onion_port", func(c *onto) *int { return &c.OnionPort }, 0, 1, 65535, `18189`).
			With(opt{Dynamic: "that of tor_identity.json in the data directory, else 18141"}),
		settings.Words("tor.forward_address", func(c *onto) *string { return &c.ForwardAddress }, "", 200, `"/ip4/127.0.0.1/tcp/4001"`).
			With(opt{Dynamic: "where the node listens"}),
		settings.On("tor.new_circuits", func(c *onto) *bool { return &c.NewCircuits }),
		settings.Number("tor.publish_grace", func(c *onto) *time.Duration { return &c.PublishGrace }, tor.DefaultGrace, time.Millisecond, time.Hour, `"3m"`),
	), settings.In("SOCKS", func(c *Config) *SOCKSConfig { return &c.SOCKS },
		settings.Words("proxy.address", func(c *via) *string { return &c.Address }, "", 200, `"/ip4/127.0.0.1/tcp/9050"`).
			With(opt{Dynamic: "with tor what Tor says, with tcp+tor /ip4/127.0.0.1/tcp/9050"}),
		settings.On("proxy.tor", func(c *via) *bool { return &c.Tor }),
		settings.Words("proxy.auth", func(c *via) *string { return &c.Auth }, "none", 600, `"username_password=me:secret"`).
			With(opt{Secret: true}),
		settings.OneOf("proxy.isolation", func(c *via) *string { return &c.Isolation }, "peer", []string{"peer", "dial", "none"}, `"dial"`),
		settings.On("proxy.bypass_tcp", func(c *via) *bool { return &c.BypassTCP }),
		settings.List("proxy.bypass_addresses", settings.Addrs, func(c *via) *[]string { return &c.BypassAddresses }, 100, `["/ip4/192.0.2.7/tcp/18189"]`),
	)...)
}

// Addresses of a Tor with Debian's settings.
const (
	defaultControl = "/ip4/127.0.0.1/tcp/9051"
	defaultSOCKS   = "/ip4/127.0.0.1/tcp/9050"
)

// Proxied is what of a Config concerns Tor and the proxy, parsed.
type Proxied struct {
	Control ma.Multiaddr
	Auth    tor.Auth
	Forward ma.Multiaddr // nil: the first listener
	Proxy   ma.Multiaddr // nil: Tor says it
	Proxies socks.Options
	Direct  []ma.Multiaddr
}

// parseTransport parses what concerns Tor and the proxy.
func (s *Settled) parseTransport() error {
	var wrong []error
	add := func(field string, err error) {
		if err != nil {
			wrong = append(wrong, bad(field, err))
		}
	}
	p := &s.Proxied
	var err error
	if p.Control, err = ma.NewMultiaddr(s.Tor.ControlAddress); err == nil {
		err = torconn.CheckAddress(p.Control)
	}
	add("Tor.ControlAddress", err)
	p.Auth, err = tor.ParseAuth(s.Tor.ControlAuth)
	add("Tor.ControlAuth", err)
	if s.Tor.ForwardAddress != "" {
		if p.Forward, err = ma.NewMultiaddr(s.Tor.ForwardAddress); err == nil {
			_, err = ForwardTarget(p.Forward)
		}
		add("Tor.ForwardAddress", err)
	}
	p.Proxies.Credentials, err = parseSOCKSAuth(s.SOCKS.Auth)
	add("SOCKS.Auth", err)
	switch s.SOCKS.Isolation {
	case "dial":
		p.Proxies.Isolation = socks.PerDial
	case "none":
		p.Proxies.Isolation = socks.NoIsolation
	}
	if s.Transport == TransportTCPWithTor {
		s.SOCKS.Address = cmp.Or(s.SOCKS.Address, defaultSOCKS)
	}
	switch {
	case s.SOCKS.Address != "":
		if p.Proxy, err = ma.NewMultiaddr(s.SOCKS.Address); err == nil {
			_, err = socks.New(socks.Options{Proxy: p.Proxy})
		}
		if err == nil && s.Transport == TransportTCP {
			err = errors.New("the transport tcp would not use the proxy; choose tor or socks to connect through it alone, tcp+tor to reach onion services through it, or set no proxy")
		}
		add("SOCKS.Address", err)
	case s.Transport == TransportSOCKS:
		add("SOCKS.Address", errors.New("there is none; set the proxy's address, such as "+defaultSOCKS))
	}
	p.Proxies.Proxy, p.Proxies.Later = p.Proxy, p.Proxy == nil
	p.Proxies.Tor = s.SOCKS.Tor || s.Transport != TransportSOCKS
	return errors.Join(append(wrong, parseEach("SOCKS.BypassAddresses", s.SOCKS.BypassAddresses, address.Parse, &p.Direct))...)
}

// checkListen checks what a node may listen on that hides its IP address. It follows parse.
func (s *Settled) checkListen() error {
	if s.Transport == TransportTor && len(s.ListenOn) == 0 && s.Forward == nil {
		return bad("Listen", errors.New("an onion service needs a listener; leave Listen empty"))
	}
	for _, a := range s.ListenOn {
		if ip, ok := transport.IP(a); s.Transport == TransportTor && ok && !ip.IsLoopback() {
			return bad("Listen", fmt.Errorf("%s could be reached without Tor; a node behind Tor listens on loopback, such as /ip4/127.0.0.1/tcp/0", a))
		}
	}
	if s.Transport == TransportSOCKS && len(s.Advertised) == 0 && !s.Wire.TestAddresses {
		return bad("PublicAddresses", errors.New("a node behind a SOCKS proxy does not show this machine's addresses, and peers want one; set the one by which it can be reached, such as that of an onion service"))
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

// ForwardTarget returns the address in the form that Tor takes, such as 127.0.0.1:4001.
func ForwardTarget(a ma.Multiaddr) (string, error) {
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
