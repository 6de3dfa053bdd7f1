package dialling

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/transport/dial"
	"github.com/gamelan-p2p/gamelan/transport"
)

// connectTo opens a connection. If only public addresses are permitted, and the transport
// cannot check the address before it connects, connectTo checks the remote address
// afterwards.
func (r *Room) connectTo(ctx context.Context, t transport.Transport, to target) (transport.Conn, error) {
	if !to.public {
		return t.Dial(ctx, to.addr)
	}
	_, literal := transport.IP(to.addr)
	p, asks := t.(transport.PermitDialer)
	if to.strange && (!literal || !asks) && !r.aim(to.addr) {
		return nil, &transport.DialError{Addr: to.addr, Stage: transport.StageConnect, Err: actors.ErrAimed}
	}
	if asks {
		return p.DialPermitted(ctx, to.addr, func(ip netip.Addr) error {
			if err := address.Public(ip); err != nil {
				return err
			}
			if to.strange && !r.aims.ip(r.Now(), ip) {
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
func (r *Room) aim(a ma.Multiaddr) bool {
	if ip, ok := transport.IP(a); ok {
		return r.aims.ip(r.Now(), ip)
	}
	return r.aims.name(r.Now(), strings.ToLower(a[0].Value()))
}
