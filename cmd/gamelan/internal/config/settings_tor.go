package config

import (
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan"
)

// torSettings are the settings of Tor and of proxies.
func torSettings() []Setting {
	return []Setting{
		{
			Key: "tor.control_address", Kind: Text, Most: 200, Example: `"/unix/run/tor/control"`,
			Doc: "Multiaddr of Tor's control port, for node.transport = \"tor\". In torrc, \"ControlPort 9051\" or \"ControlSocket\" opens one.",
			at:  func(c *Config) any { return &c.Node.Tor.ControlAddress },
		},
		{
			Key: "tor.control_auth", Kind: Text, Most: 400, Secret: true, Example: `"safecookie=@/home/me/tor/control_auth_cookie"`,
			Doc: "How the node authenticates at the control port. With auto and safecookie=@FILE the port must prove that it knows Tor's cookie; auto reads it where Debian's Tor and Tor itself put it. With password=PASSWORD, cookie=@FILE, cookie=DIGITS and none any program that listens there is taken for Tor, and gets the key of the onion service. A password on the command line can be seen by all users of the machine.",
			at:  func(c *Config) any { return &c.Node.Tor.ControlAuth },
		},
		{
			Key: "tor.user", Kind: Text, Most: 64, Example: `"tor"`, Dynamic: "the first that exists of debian-tor, tor, _tor and toranon",
			Doc: "The account that runs Tor, by its name or number. A cookie counts only if this account, root and the node's own alone can change its file and the folders above.",
			at:  func(c *Config) any { return &c.Node.Tor.User },
		},
		{
			Key: "tor.onion_port", Kind: Count, Least: 1, Most: 65535, Example: `18189`, Dynamic: "that of tor_identity.json in the data directory, else 18141",
			Doc: "Port of the onion service.",
			at:  func(c *Config) any { return &c.Node.Tor.OnionPort },
		},
		{
			Key: "tor.forward_address", Kind: Text, Most: 200, Example: `"/ip4/127.0.0.1/tcp/4001"`, Dynamic: "where the node listens",
			Doc: "Multiaddr on this machine to which Tor delivers connections, if another program passes them on to the node. Port 0 stands for the node's own.",
			at:  func(c *Config) any { return &c.Node.Tor.ForwardAddress },
		},
		{
			Key: "tor.new_circuits", Kind: Switch, Example: `true`,
			Doc: "Lets the node ask Tor for new circuits when connections to an onion service keep failing, at most every 10 s. All programs that use this Tor get new circuits then.",
			at:  func(c *Config) any { return &c.Node.Tor.NewCircuits },
		},
		{
			Key: "tor.publish_grace", Kind: Duration, Least: int64(time.Millisecond), Most: int64(time.Hour), Example: `"3m"`,
			Doc: "How long the node waits for its onion service to be published before it connects to peers all the same.",
			at:  func(c *Config) any { return &c.Node.Tor.PublishGrace },
		},
		{
			Key: "proxy.address", Kind: Text, Most: 200, Example: `"/ip4/127.0.0.1/tcp/9050"`,
			Dynamic: "with tor what Tor says, with tcp+tor /ip4/127.0.0.1/tcp/9050",
			Doc:     "Multiaddr of the SOCKS5 proxy. It must be set for node.transport = \"socks\", and is refused with \"tcp\", which would not use it.",
			at:      func(c *Config) any { return &c.Node.SOCKS.Address },
		},
		{
			Key: "proxy.tor", Kind: Switch, Example: `true`,
			Doc: "Says that the proxy of node.transport = \"socks\" is a Tor. Names that peers claim are connected to through a Tor alone, since another proxy could look them up inside its own network.",
			at:  func(c *Config) any { return &c.Node.SOCKS.Tor },
		},
		{
			Key: "proxy.auth", Kind: Text, Most: 600, Secret: true, Example: `"username_password=me:secret"`,
			Doc: "User name and password for the proxy, as username_password=USER:PASSWORD, or none.",
			at:  func(c *Config) any { return &c.Node.SOCKS.Auth },
		},
		{
			Key: "proxy.isolation", Kind: Choice, Choices: []string{"peer", "dial", "none"}, Example: `"dial"`,
			Doc: "Which connections may share circuits of Tor: those to one peer, none, or all. It has no effect with proxy.auth.",
			at:  func(c *Config) any { return &c.Node.SOCKS.Isolation },
		},
		{
			Key: "proxy.bypass_tcp", Kind: Switch, Example: `true`,
			Doc: "Connects to IP addresses and names directly and not through Tor, which shows this machine's IP address to them. It is for node.transport = \"tor\".",
			at:  func(c *Config) any { return &c.Node.SOCKS.BypassTCP },
		},
		{
			Key: "proxy.bypass_addresses", Kind: Addrs, Most: 100, Example: `["/ip4/192.0.2.7/tcp/18189"]`,
			Doc: "Addresses that are connected to directly and not through Tor, exactly as written.",
			at:  func(c *Config) any { return &c.Node.SOCKS.BypassAddresses },
		},
	}
}

// transports are the values of node.transport.
var transports = []string{gamelan.TransportTCP, gamelan.TransportTor, gamelan.TransportTCPWithTor, gamelan.TransportSOCKS}

// masked returns the value of a setting as it may be shown: of a secret only its kind.
func (s *Setting) masked(v any) any {
	text, ok := v.(string)
	if kind, _, secret := strings.Cut(text, "="); ok && s.Secret && secret {
		return kind + "=***"
	}
	return v
}
