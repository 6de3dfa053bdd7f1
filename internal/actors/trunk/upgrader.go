package trunk

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/transport/dial"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// upgradeConfig returns the settings of an upgrade, for both roles.
func (e *env) upgradeConfig(c transport.Conn) upgrade.Config {
	limits := e.Mux
	if direct(c) != nil {
		limits = limits.Direct()
	}
	return upgrade.Config{
		Profile: e.Profile,
		Secret:  e.Secret,
		Local:   e.local,
		Check:   e.CheckKey,
		Mux:     limits,
		Hold:    true,
		Now:     e.Now,
		Wall:    e.Wall,
	}
}

// local returns this node's present identity message.
func (e *env) local() identify.Message {
	m, _ := e.Local.Get()
	return m
}

// announced waits until the node has an identity message to show: a peer would ban it for one
// without an address. Most nodes have it before they listen; one that is reached through an
// onion service alone has it when the service is published (spec: comms 7.4, 13.3).
func (e *env) announced(ctx context.Context) error {
	if _, err := e.Local.Wait(ctx); err != nil {
		return fmt.Errorf("%w: %w", actors.ErrNotAnnounced, err)
	}
	return nil
}

func (e *env) upgraded(r *upgrade.Result, c transport.Conn, via string, d protocol.Direction) Upgraded {
	peer := r.Peer.NodeID()
	local, _ := transport.IP(c.LocalMultiaddr())
	return Upgraded{
		Peer: peer, Key: r.Peer, Message: r.Message, Told: r.Told, Addr: c.RemoteMultiaddr(), Transport: via,
		Direction: d, Timings: r.Timings, Began: e.Now().Add(-r.Timings.Total()), Session: supervisor.Hand(r.Session, actors.Origin{Peer: peer}), flight: direct(c), remote: c.RemoteMultiaddr(), local: local,
	}
}

// connectTo opens a connection. If only public addresses are permitted, and the transport
// cannot check the address before it connects, connectTo checks the remote address
// afterwards.
func (e *env) connectTo(ctx context.Context, t transport.Transport, to target) (transport.Conn, error) {
	if !to.public {
		return t.Dial(ctx, to.addr)
	}
	_, literal := transport.IP(to.addr)
	p, asks := t.(transport.PermitDialer)
	if to.strange && (!literal || !asks) && !e.aim(to.addr) {
		return nil, &transport.DialError{Addr: to.addr, Stage: transport.StageConnect, Err: actors.ErrAimed}
	}
	if asks {
		return p.DialPermitted(ctx, to.addr, func(ip netip.Addr) error {
			if err := address.Public(ip); err != nil {
				return err
			}
			if to.strange && !e.aims.ip(e.Now(), ip) {
				return actors.ErrAimed
			}
			return nil
		})
	}
	conn, err := t.Dial(ctx, to.addr)
	if err != nil {
		return nil, err
	}
	if ip, ok := transport.IP(conn.RemoteMultiaddr()); ok {
		if err := address.Public(ip); err != nil {
			conn.Close()
			return nil, &transport.DialError{Addr: to.addr, Stage: transport.StageConnect, Err: err}
		}
	}
	return conn, nil
}

// aims is what dial tasks share of [dial.Aims].
type aims struct {
	mu sync.Mutex
	of *dial.Aims
}

func (a *aims) ip(now time.Time, ip netip.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.of.IP(now, ip)
}

func (a *aims) name(now time.Time, name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.of.Name(now, name)
}

// aim reports whether a dial that a stranger has caused may begin, by the address alone: by
// its IP address, or else by its name.
func (e *env) aim(a ma.Multiaddr) bool {
	if ip, ok := transport.IP(a); ok {
		return e.aims.ip(e.Now(), ip)
	}
	return e.aims.name(e.Now(), strings.ToLower(a[0].Value()))
}
