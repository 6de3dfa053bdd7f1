package assemble

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

// bind opens the listening sockets. It runs before the actors start, so that Start can
// return an error for a bad address.
func (b *builder) bind(ctx context.Context) error {
	b.listenBeyond(ctx)
	for _, addr := range b.ListenOn {
		t := b.transportFor(addr)
		if t == nil && addr[0].Code() == ma.P_IP6ZONE {
			return fmt.Errorf("gamelan: %w", &transport.ListenError{Addr: addr, Err: tcp.ErrNoZone})
		}
		if t == nil {
			return badConfig("Listen", fmt.Errorf("no transport of this node handles %s; use another kind of address, or add its transport", addr))
		}
		listen := t.Listen
		if b.AnyPort && b.DataDir != "" {
			listen = func(ctx context.Context, addr ma.Multiaddr) (transport.Listener, error) {
				return b.listenWhereBefore(ctx, t, addr)
			}
		}
		socket, err := listen(ctx, addr)
		if err != nil {
			return fmt.Errorf("gamelan: %w", err)
		}
		b.bound = append(b.bound, &connections.Bound{Transport: t, Addr: socket.Multiaddr(), First: supervisor.Hand(socket, nil)})
	}
	return nil
}

func (b *builder) transportFor(a ma.Multiaddr) transport.Transport {
	for _, t := range b.Transports {
		if t.Handles(a) {
			return t
		}
	}
	return nil
}

// own returns the addresses that lead to this node: those that it listens on, and those
// that it advertises.
func (b *builder) own() []ma.Multiaddr {
	own := slices.Clone(b.Advertised)
	if b.onion != nil {
		own = append(own, b.onion.addr)
	}
	for _, l := range b.bound {
		own = append(own, l.Addr)
		if expanded, err := transport.Expand(l.Addr); err == nil {
			own = append(own, expanded...)
		}
	}
	return own
}

// announce signs the node's identity message and publishes it to the node's actors.
func (b *builder) announce(n *Node) error {
	addrs, policy := b.Advertised, n.Policy()
	switch {
	case len(addrs) > 0:
		policy.Given = true
	case b.Transport == config.TransportTor:
		return nil // the part tor announces the onion address
	default:
		if addrs, policy = b.present(policy); len(addrs) == 0 {
			return badConfig("PublicAddresses", b.noAddress())
		}
	}
	if err := policy.Check(addrs); err != nil {
		return badConfig("PublicAddresses", err)
	}
	m, err := n.Trunk.NewIdentity(addrs, rand.Reader)
	if err != nil {
		return err
	}
	n.Trunk.Announce(m)
	return nil
}

// noAddress returns the error of a node that has no address to show to its peers. It wraps
// [config.ErrNoNetwork] if a later start may find one.
func (b *builder) noAddress() error {
	if len(b.bound) == 0 {
		return fmt.Errorf("%w: a node that only dials shows its peers one address, too, and this machine has neither a public nor a private one (RFC 1918) now; "+
			"if its network is up, set one, such as /ip4/10.0.0.1/tcp/18189: nobody has to reach it", config.ErrNoNetwork)
	}
	for _, l := range b.bound {
		if ip, ok := transport.IP(l.Where()); ok && ip.IsUnspecified() {
			kind := "IPv4"
			if ip.Is6() {
				kind = "IPv6"
			}
			return fmt.Errorf("%w: the node listens on all %s addresses of this machine, and others can reach none of them now; if its network is up, set one, or listen on ListenNowhere", config.ErrNoNetwork, kind)
		}
	}
	return config.ErrUnreached
}

// present returns the addresses that the node may tell others now, and the policy by which. There
// are none without a network.
func (b *builder) present(policy address.Policy) ([]ma.Multiaddr, address.Policy) {
	addrs := b.reachable(policy)
	if len(addrs) == 0 && !b.onlyLoopback() { // nobody can reach it, so it only dials (spec: V 40)
		policy.OutboundOnly = true
		addrs = b.privateAddress(policy)
	}
	return addrs, policy
}

// reachable returns the listening addresses that may be advertised (V3), best first.
func (b *builder) reachable(policy address.Policy) (addrs []ma.Multiaddr) {
	for _, l := range b.bound {
		addrs = append(addrs, allowed(l.Where(), policy)...)
	}
	return address.Claimable(addrs, b.Wire.Limits.Addresses)
}

// privateAddress returns the one address of a node that only dials, although nobody is expected
// to reach it there: one that it listens on, or another one of the machine. There is none
// without a network.
func (b *builder) privateAddress(policy address.Policy) []ma.Multiaddr {
	own := b.reachable(policy)
	return address.Claimable(append(own, allowed(outboundOnly, policy)...), 1)
}

// allowed returns what a listening address stands for, as far as it may be advertised.
func allowed(a ma.Multiaddr, policy address.Policy) []ma.Multiaddr {
	expanded, err := transport.Expand(a)
	if err != nil { // the system does not tell its addresses
		return nil
	}
	return slices.DeleteFunc(expanded, func(e ma.Multiaddr) bool { return policy.Check([]ma.Multiaddr{e}) != nil })
}

// onlyLoopback reports whether the node listens where only its own machine can reach it.
func (b *builder) onlyLoopback() bool {
	return len(b.bound) > 0 && !slices.ContainsFunc(b.bound, func(l *connections.Bound) bool { return address.Beyond(l.Where()) })
}

// outboundOnly is expanded to the addresses of the interfaces of a node that listens
// nowhere.
var outboundOnly = ma.StringCast("/ip4/0.0.0.0/tcp/18189")
