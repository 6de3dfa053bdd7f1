package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/settings"
	"github.com/gamelan-p2p/gamelan/internal/useragent"
	"github.com/gamelan-p2p/gamelan/internal/version"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Settled is a Config with its texts parsed and its defaults filled in. DHT is nil only on a node
// without a DHT.
type Settled struct {
	Config
	Wire       protocol.Profile
	ListenOn   []ma.Multiaddr
	AnyPort    bool // Listen was empty and the node may choose its port
	Advertised []ma.Multiaddr
	SeedPeers  []peerstore.Peer
	Exempt     []netip.Prefix
	MayAsk     []netip.Prefix
	Excluded   []protocol.AddressRange
	Allowed    []identity.NodeID
	Proxied
}

// Validate checks the config without using the data directory or the network. It returns
// nil, or an error that wraps a [*ConfigError] for each bad field.
func (c Config) Validate() error {
	_, err := c.settle()
	return err
}

// Settle settles the config with the identity of its data directory. It creates an identity there
// only if the rest of the config is valid.
func (c Config) Settle() (*Settled, error) {
	if c.DataDir == "" || c.Secret != nil {
		return c.settle()
	}
	id, err := c.Dir().LoadIdentity()
	none := errors.Is(err, ErrNoIdentity)
	if err != nil && !none {
		return nil, err
	}
	if !none {
		c.Secret = id.Secret
		switch {
		case c.Network != "" || c.Private != nil:
		case id.Private != "":
			return nil, badf("Network", "the identity in %s was made for the private network %s; give the file of that network, or use another directory", c.DataDir, id.Private)
		default:
			c.Network = id.Network.String()
		}
	}
	s, err := c.settle()
	if err == nil && none {
		id, err = c.Dir().createIdentity(s.Wire.Network, s.Wire.Private)
		if errors.Is(err, ErrIdentityExists) { // another program has created one meanwhile
			id, err = c.Dir().LoadIdentity()
		}
	}
	if err != nil {
		return nil, err
	}
	s.Secret = id.Secret
	if made, used := id.NetworkName(), s.Wire.NetworkName(); made != used { // one identity on two networks would be confusing
		return nil, badf("Network", "the identity in %s was made for %s, not for %s; use its network, or another directory", c.DataDir, made, used)
	}
	return s, nil
}

func (c Config) settle() (*Settled, error) {
	s := &Settled{Config: c}
	if c.DHT != nil {
		d := *c.DHT
		s.DHT = &d
	}
	wrong := []error{s.chooseProfile(), s.chooseMessaging()}
	settings.Fill(&s.Config, rows())
	wrong = append(wrong, check(&s.Config, rows(), ""), s.checkTogether())
	wrong = append(wrong, s.checkMux()...)
	wrong = append(wrong, s.checkDiscovery()...)
	wrong = append(wrong, s.checkStoreForward()...)
	wrong = append(wrong, s.checkHealth())
	wrong = append(wrong, s.completeAgent(), s.parseTransport(), s.parse())
	return s, errors.Join(wrong...)
}

// check returns an error for each field that is not in the range of its row.
func check(root any, rows []*settings.Row, in string) error {
	var wrong []error
	for _, r := range rows {
		if err := r.Check(root); err != nil {
			wrong = append(wrong, bad(in+r.Field, err))
		}
	}
	return errors.Join(wrong...)
}

// chooseProfile chooses the profile. If that is wrong, the rest is checked with the one of LocalNet.
func (s *Settled) chooseProfile() error {
	s.Wire = protocol.Tari(protocol.LocalNet)
	private, err := s.joinPrivate()
	if err != nil {
		return err
	}
	if s.Private = private; private != nil {
		s.Wire = protocol.Private(private.Name, private.Secret, private.Accept)
		if s.Release != "" {
			return badf("Release", "a private network has no releases; leave it out")
		}
		return nil
	}
	if s.Profile != nil {
		if err := s.Profile.Validate(); err != nil {
			return bad("Profile", err)
		}
		s.Wire = *s.Profile
		return nil
	}
	if network, err := protocol.ParseNetwork(s.Network); err == nil {
		s.Wire = protocol.Tari(network)
	}
	if release, err := protocol.ParseRelease(s.Release); err == nil {
		s.Wire.WireByte = s.Wire.Network.WireByte(release)
	}
	return nil // the rows report names that are unknown
}

// checkTogether checks settings that depend on each other.
func (s *Settled) checkTogether() error {
	var wrong []error
	if s.PeerCredit > s.NodeCredit/8 { // plain messages of all peers share seven thirty-seconds
		wrong = append(wrong, badf("PeerCredit", "%d is above an eighth of NodeCredit (%d); lower it or raise NodeCredit", s.PeerCredit, s.NodeCredit))
	}
	if s.KeepClosest > 0 && s.KeepClosest < s.Floor {
		wrong = append(wrong, badf("KeepClosest", "%d is below Floor (%d): connections would be made and closed again; raise it or lower Floor", s.KeepClosest, s.Floor))
	}
	return errors.Join(wrong...)
}

// ownAgent is the user agent of this library.
const ownAgent = useragent.Prefix + version.Version

// completeAgent appends the library's own user agent, by which nodes of this library
// recognize each other, to the application's (spec: V28).
func (s *Settled) completeAgent() error {
	agent, most := s.UserAgent, s.Wire.Limits.UserAgent
	switch {
	case !protocol.PrintableASCII(agent):
		return badf("UserAgent", "%q is not printable ASCII; choose another", agent)
	case !useragent.Ours(agent):
		most -= len(" " + ownAgent)
		if len(agent) > most {
			return badf("UserAgent", "%q has %d bytes, at most %d are left before %q; shorten it", agent, len(agent), max(0, most), " "+ownAgent)
		}
		s.UserAgent = agent + " " + ownAgent
	case len(agent) > most:
		return badf("UserAgent", "%q has %d bytes, at most %d are allowed; shorten it", agent, len(agent), most)
	}
	return nil
}

// parse parses the lists. It follows parseTransport.
func (s *Settled) parse() error {
	listen := s.Listen
	switch {
	case len(listen) == 1 && listen[0] == ListenNowhere:
		listen = nil
	case len(listen) == 0 && s.Transport == TransportTor:
		listen = []string{"/ip4/127.0.0.1/tcp/0"}
	case len(listen) == 0 && s.Transport == TransportSOCKS:
	case len(listen) == 0 && s.Wire.TestAddresses && s.Private == nil: // a private network is one of several machines
		listen, s.AnyPort = []string{"/ip4/127.0.0.1/tcp/0"}, true
	case len(listen) == 0:
		listen = []string{"/ip4/0.0.0.0/tcp/18189"}
	}
	err := errors.Join(
		parseEach("Listen", listen, address.Parse, &s.ListenOn),
		parseEach("PublicAddresses", s.PublicAddresses, address.Parse, &s.Advertised),
		parseEach("ExemptSources", s.ExemptSources, parsePrefix, &s.Exempt),
		parseEach("LivenessAllow", s.LivenessAllow, parsePrefix, &s.MayAsk),
		parseEach("ExcludeDial", s.ExcludeDial, protocol.ParseAddressRange, &s.Excluded),
		parseEach("Allow", s.Allow, identity.ParsePeer, &s.Allowed),
		parseEach("Seeds", s.Seeds, peerstore.ParseSeed, &s.SeedPeers),
		parseEach("Private", s.privateSeeds(), peerstore.ParseSeed, &s.SeedPeers),
	)
	if err != nil {
		return err
	}
	if s.Transport != TransportTor && !s.Wire.TestAddresses && len(s.Advertised) == 0 && len(s.ListenOn) > 0 && !slices.ContainsFunc(s.ListenOn, mayReach) {
		return bad("PublicAddresses", ErrUnreached)
	}
	return s.checkListen()
}

// ErrUnreached reports a node that has no address to show to its peers, whatever its machine has.
var ErrUnreached = errors.New("no address listened on can be reached by others; set one that can, or listen on ListenNowhere")

// mayReach reports whether others may reach a node where it listens: from another machine, or within a
// network in memory.
func mayReach(a ma.Multiaddr) bool { return address.Beyond(a) || a[0].Code() == ma.P_MEMORY }

func (s *Settled) privateSeeds() []string {
	if s.Private == nil {
		return nil
	}
	return s.Private.Seeds
}

// parseEach parses the entries of a list.
func parseEach[T any](field string, texts []string, parse func(string) (T, error), to *[]T) error {
	var wrong []error
	for _, text := range texts {
		v, err := parse(text)
		if err != nil {
			wrong = append(wrong, bad(field, err))
			continue
		}
		*to = append(*to, v)
	}
	return errors.Join(wrong...)
}

func parsePrefix(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%w; write a network as 10.0.0.0/8", err)
	}
	return p.Masked(), nil
}
