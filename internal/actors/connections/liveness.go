package connections

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/transport/liveness"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// livenessActor serves connections that only test whether the node can be reached (first
// byte 0xA7): those of hosts that may, and those that bring a token which a part awaits.
//
// In: livenessConn from listeners, probeCame. Out: event ProbeSeen. A restart ends all sessions.
type livenessActor struct {
	room     *Room
	sessions uint64
}

// livenessConn hands over an accepted connection that asks for a liveness check. Its
// first byte was read already.
type livenessConn struct {
	conn *supervisor.Handover[transport.Conn]
}

func (m livenessConn) Discard() { m.conn.Discard() }

// ProbeSeen is published when a token that [Room.ExpectProbe] awaits has come over a new
// connection.
type ProbeSeen struct {
	Token string
	From  ma.Multiaddr
}

type probeCame ProbeSeen

// NewLiveness makes the actor.
func NewLiveness(room *Room) actor.Actor { return &livenessActor{room: room} }

func (a *livenessActor) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
	case livenessConn:
		a.serve(c, m)
	case probeCame:
		supervisor.Publish(c, ProbeSeen(m))
	case supervisor.TaskDone:
		supervisor.Log(c).Debug("liveness session ended", "err", m.Err)
	default:
		supervisor.Unhandled(c)
	}
}

func (a *livenessActor) serve(c actor.Context, m livenessConn) {
	conn, ok := m.conn.Take()
	if !ok {
		return
	}
	a.sessions++
	probes, from, now := &a.room.probes, conn.RemoteMultiaddr(), a.room.Now
	supervisor.Go(c, fmt.Sprintf("session-%d", a.sessions), conn, func(ctx context.Context) error {
		defer conn.Close()
		slot := false
		defer func() {
			if slot {
				probes.leave()
			}
		}()
		return liveness.Serve(conn, func(first string) bool {
			if probes.redeem(first, now()) {
				supervisor.Tell(ctx, probeCame{first, from})
				return true
			}
			slot = probes.enter(from)
			return slot
		})
	})
}

func (a *livenessActor) String() string {
	if n := a.room.probes.used(); n > 0 {
		return fmt.Sprintf("%d asking", n)
	}
	return ""
}

// LivenessSettings say which hosts may ask for a liveness check.
type LivenessSettings struct {
	Allow []netip.Prefix // hosts that may ask
	Slots int            // sessions of other hosts at once
}

// ExpectProbe awaits a token in the first line of a liveness check, until a time of Now. It admits
// that check, from whatever host it comes. [ProbeSeen] tells that it has come. It returns false if
// too many are awaited.
func (r *Room) ExpectProbe(token string, until time.Time) bool {
	return r.probes.expect(token, r.Now(), until)
}

// probes is a semaphore for the sessions of other hosts, and the set of awaited tokens.
type probes struct {
	mu     sync.Mutex
	o      LivenessSettings
	taken  int
	tokens map[string]time.Time // until when each is awaited
}

// maxTokens is how many tokens are awaited at a time.
const maxTokens = 64

// may reports whether a connection from that address may ask for a check at all. It
// is called before more than the first byte is read. While a token is awaited, each
// address may ask: the token in the first line comes later.
func (p *probes) may(from ma.Multiaddr, now time.Time) bool {
	p.mu.Lock()
	p.prune(now)
	awaited := len(p.tokens) > 0
	p.mu.Unlock()
	return awaited || p.o.Slots > 0 && p.allowed(from)
}

func (p *probes) allowed(from ma.Multiaddr) bool {
	ip, ok := transport.IP(from)
	if !ok {
		return false
	}
	for _, n := range p.o.Allow {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}

// enter takes a place for the session of another host, if the host may ask and a
// place is free.
func (p *probes) enter(from ma.Multiaddr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken >= p.o.Slots || !p.allowed(from) {
		return false
	}
	p.taken++
	return true
}

func (p *probes) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
}

func (p *probes) used() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// expect awaits a token, which admits one session. It returns false if too many are awaited.
func (p *probes) expect(token string, now, until time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prune(now)
	if p.tokens == nil {
		p.tokens = make(map[string]time.Time)
	}
	if len(p.tokens) >= maxTokens {
		return false
	}
	p.tokens[token] = until
	return true
}

// redeem removes a token and reports whether it was awaited.
func (p *probes) redeem(token string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prune(now)
	_, ok := p.tokens[token]
	delete(p.tokens, token)
	return ok
}

func (p *probes) prune(now time.Time) {
	for token, until := range p.tokens {
		if !now.Before(until) {
			delete(p.tokens, token)
		}
	}
}
