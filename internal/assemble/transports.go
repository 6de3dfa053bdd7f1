package assemble

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/internal/actors/torpart"
	"github.com/gamelan-p2p/gamelan/internal/datadir"
	"github.com/gamelan-p2p/gamelan/internal/transport/tcptor"
	"github.com/gamelan-p2p/gamelan/internal/transport/torconn"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// TorIdentityFile is the name of the file in a data directory with the key of the node's
// onion service. It has the form of Tari's, so that an onion address can be moved over.
const TorIdentityFile = "tor_identity.json"

// onion is the onion service of a node that is being built.
type onion struct {
	identity tor.Identity
	addr     ma.Multiaddr
}

// openTransports makes the transports that Config.Transport names, unless the user has given
// others.
func (b *builder) openTransports() error {
	given := len(b.Transports) > 0
	switch {
	case b.Transport == config.TransportTCP && !given:
		b.Transports = []transport.Transport{tcp.New(tcp.Options{})}
		return nil
	case b.Transport == config.TransportTCP, b.Transport == config.TransportTor && given:
		return nil
	case given:
		return badConfig("Transport", fmt.Errorf("%s cannot be combined with WithTransport; give one of the two", b.Transport))
	}
	proxy, err := socks.New(b.Proxies)
	if err != nil {
		return badConfig("SOCKS.Address", err)
	}
	switch b.Transport {
	case config.TransportTCPWithTor:
		b.Transports = []transport.Transport{tcptor.Open(proxy, tcp.Options{})}
	case config.TransportSOCKS:
		b.Transports = []transport.Transport{proxy}
	default:
		b.proxyOfTor = proxy
		b.Transports = []transport.Transport{tcptor.Hidden(proxy, tcptor.Options{DirectTCP: b.SOCKS.BypassTCP, Direct: b.Direct})}
	}
	return nil
}

// openOnion reads the key of the onion service, or makes one and stores it: the address must
// not be lost, whatever Tor answers.
func (b *builder) openOnion() error {
	if b.Transport != config.TransportTor {
		return nil
	}
	port := uint16(b.Tor.OnionPort)
	id, err := onionIdentity(b.Dir(), cmp.Or(port, tor.DefaultOnionPort))
	if err != nil {
		return err
	}
	id.Port = cmp.Or(port, id.Port)
	b.onion = &onion{identity: id}
	b.onion.addr, err = id.Key.ID().Multiaddr(id.Port)
	return err
}

// ErrTorIdentityOpen reports a key of an onion service that others can read.
var ErrTorIdentityOpen = errors.New("gamelan: the key of the onion service can be read by others; make it private with chmod 600")

// onionIdentity returns the identity of the onion service in a data directory. It makes one
// with the port if there is none, or no directory.
func onionIdentity(in config.DataDir, port uint16) (tor.Identity, error) {
	if in.Path == "" {
		return newOnion(port)
	}
	d, err := datadir.Open(in.Path, datadir.Group(in.Group))
	if err != nil {
		return tor.Identity{}, datadir.Error(err)
	}
	defer d.Close()
	path := filepath.Join(in.Path, TorIdentityFile)
	text, err := datadir.ReadPrivate(d, path, ErrTorIdentityOpen)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		id, err := newOnion(port)
		if err != nil {
			return tor.Identity{}, err
		}
		if err := d.WriteNew(TorIdentityFile, id.Append(nil)); err != nil {
			return tor.Identity{}, datadir.Error(err)
		}
		return id, nil
	case errors.Is(err, ErrTorIdentityOpen):
		return tor.Identity{}, err
	case err != nil:
		return tor.Identity{}, datadir.Error(err)
	}
	id, err := tor.ParseIdentity(text)
	if err != nil {
		return tor.Identity{}, fmt.Errorf("gamelan: %s: %w", path, err)
	}
	return id, nil
}

func newOnion(port uint16) (tor.Identity, error) {
	key, err := tor.NewKey(rand.Reader)
	return tor.Identity{Key: key, Port: port}, err
}

// torSettings returns the settings of the part tor.
func (b *builder) torSettings() (torpart.Settings, error) {
	target, err := b.onionTarget()
	if err != nil {
		return torpart.Settings{}, err
	}
	s := torpart.Settings{
		Host: torconn.Elsewhere(b.Control), Auth: b.Auth, Account: b.Tor.User, NewCircuits: b.Tor.NewCircuits, Grace: b.Tor.PublishGrace,
		Service: tor.Service{Key: b.onion.identity.Key, Ports: []tor.Port{{Virtual: b.onion.identity.Port, Target: target}}},
		Onion:   b.onion.addr,
		Connect: func(ctx context.Context) (*torconn.Conn, error) { return torconn.Dial(ctx, b.Control) },
	}
	if connect := b.TorControl; connect != nil {
		s.Connect = func(ctx context.Context) (*torconn.Conn, error) {
			stream, err := connect(ctx)
			if err != nil {
				return nil, err
			}
			return torconn.New(stream), nil
		}
	}
	if b.proxyOfTor != nil && b.Proxy == nil {
		s.Proxy = b.proxyOfTor.SetProxy
	}
	return s, nil
}

// onionTarget returns where Tor delivers connections.
func (b *builder) onionTarget() (string, error) {
	to := b.Forward
	for _, l := range b.bound {
		if to != nil && (len(to) < 2 || to[1].Value() != "0") {
			break
		}
		if _, err := config.ForwardTarget(l.Addr); err == nil {
			to = l.Addr
		}
	}
	if to == nil {
		return "", badConfig("Tor.ForwardAddress", errors.New("the node listens on no TCP port of loopback to which Tor could deliver; listen on /ip4/127.0.0.1/tcp/0"))
	}
	return config.ForwardTarget(to)
}
