package actors

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/address"
	"github.com/gamelan-p2p/gamelan/protocol/identify"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/dial"
	"github.com/gamelan-p2p/gamelan/transport/upgrade"
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
		return fmt.Errorf("%w: %w", ErrNotAnnounced, err)
	}
	return nil
}

func (e *env) upgraded(r *upgrade.Result, c transport.Conn, via string, d protocol.Direction) Upgraded {
	peer := r.Peer.NodeID()
	return Upgraded{
		Peer: peer, Key: r.Peer, Message: r.Message, Told: r.Told, Addr: c.RemoteMultiaddr(), Transport: via,
		Direction: d, Timings: r.Timings, Began: e.Now().Add(-r.Timings.Total()), Session: supervisor.Hand(r.Session, Origin{Peer: peer}), flight: direct(c),
	}
}

// dialResult is the result of one dial of one peer. The peer chose some of its content, so
// a panic on it is contained and the dialer goes on. Then lost tells the dialer that this
// dial has ended.
type dialResult struct {
	Upgraded
	attempts  []DialAttempt
	cancelled bool
	lost      func()
}

// Discard closes the session and tells the dialer.
func (r dialResult) Discard() {
	r.Upgraded.Discard()
	if r.lost != nil {
		r.lost()
	}
}

// Source makes a panic on this message count against the peer, if lost is there to tell
// the dialer.
func (r dialResult) Source() any {
	if r.lost == nil {
		return nil
	}
	return r.Upgraded.Source()
}

// ended returns the attempts that have succeeded or failed. It omits an attempt that was
// cancelled, which says nothing about its address.
func (r *dialResult) ended() []DialAttempt {
	last := len(r.attempts) - 1
	if r.cancelled && errors.Is(r.attempts[last].Err, context.Canceled) {
		return r.attempts[:last]
	}
	return r.attempts
}

// dial tries the addresses one after the other, best first. If the transport cannot
// connect, or another node listens at the address, dial tries the next address. Any other
// failed handshake ends the dial (comms 43).
//
// The end of wanted cancels the dial, but not a handshake that has begun: the peer may
// already use its end of the connection. No handshake begins while the peer sets up a
// connection to this node. If both nodes dialled and each dropped its own dial for the
// other's, no connection would survive. So both finish their handshakes, and the tie-break
// decides (comms 115).
func (e *env) dial(ctx, wanted context.Context, peer identity.NodeID, key identity.PublicKey, addrs []target, trying func(ma.Multiaddr)) (dialResult, error) {
	r := dialResult{}
	connecting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(wanted, cancel)()
	fail := func(err error) (dialResult, error) {
		r.cancelled = connecting.Err() != nil
		return r, &DialError{Peer: peer, Attempts: r.attempts, Err: err}
	}
	if len(addrs) == 0 {
		return fail(ErrNoAddress)
	}
	if err := e.announced(connecting); err != nil {
		return fail(err)
	}
	var aimed error
	for _, to := range addrs {
		at := DialAttempt{At: e.Now(), Addr: to.addr, Given: to.offered}
		t := e.transportFor(to.addr)
		if t == nil {
			continue
		}
		trying(to.addr)
		done, err := e.dialOne(ctx, connecting, t, to, key, &r)
		if errors.Is(err, ErrAimed) { // nothing was tried, which says nothing about the address
			aimed = err
			continue
		}
		at.Took = e.Now().Sub(at.At)
		at.Handshake = r.Timings.Noise + r.Timings.Identity
		at.Err = err
		var up *upgrade.Error
		switch {
		case err == nil:
		case errors.As(err, &up):
			at.Stage = string(up.Stage)
		default:
			at.Stage = string(transport.StageConnect)
			if d, ok := errors.AsType[*transport.DialError](err); ok {
				at.Stage = string(d.Stage)
			}
		}
		r.attempts = append(r.attempts, at)
		if err == nil {
			return r, nil
		}
		if done || connecting.Err() != nil {
			break
		}
	}
	switch {
	case len(r.attempts) > 0:
	case aimed != nil:
		return fail(aimed)
	default:
		return fail(ErrNoAddress)
	}
	last := r.attempts[len(r.attempts)-1].Err
	for _, a := range r.attempts {
		if a.Given && !r.cancelled { // the caller wants to know of this one
			last = a.Err
		}
	}
	return fail(last)
}

func (e *env) dialOne(ctx, connecting context.Context, t transport.Transport, to target, key identity.PublicKey, r *dialResult) (done bool, err error) {
	peer := key.NodeID()
	if err := e.awaitInbound(connecting, peer); err != nil {
		return false, err
	}
	limit := e.Profile.Limits.Dial
	if l, ok := t.(transport.DialLimiter); ok {
		limit = max(limit, l.DialLimit(to.addr))
	}
	dialing, cancel := context.WithTimeout(connecting, limit)
	conn, err := e.connectTo(transport.WithPeer(dialing, peer), t, to)
	cancel()
	if err != nil {
		return false, err
	}
	if err := e.awaitInbound(connecting, peer); err != nil {
		conn.Close()
		return false, err
	}
	res, err := upgrade.Outbound(ctx, conn, e.upgradeConfig(conn), key)
	if err != nil {
		return !errors.Is(err, upgrade.ErrWrongKey), err
	}
	r.Upgraded = e.upgraded(res, conn, t.Name(), protocol.Outbound)
	r.Upgraded.Addr = to.addr
	return true, nil
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
		return nil, &transport.DialError{Addr: to.addr, Stage: transport.StageConnect, Err: ErrAimed}
	}
	if asks {
		return p.DialPermitted(ctx, to.addr, func(ip netip.Addr) error {
			if err := address.Public(ip); err != nil {
				return err
			}
			if to.strange && !e.aims.ip(e.Now(), ip) {
				return ErrAimed
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
