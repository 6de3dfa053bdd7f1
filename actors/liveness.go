package actors

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/protocol/address"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
	wire "github.com/gamelan-p2p/gamelan/transport/liveness"
)

// liveness serves connections that only test whether the node can be reached (first
// byte 0xA7). It also makes this test itself: it connects to the node's own public
// addresses.
//
// In: livenessConn from listeners, GetLiveness, results of its own check. Out:
// Liveness, event LivenessChanged. A restart ends all sessions and begins the check
// again.
type liveness struct {
	env      *env
	now      Liveness
	sessions uint64
	next     int          // index of the own address to check next
	asked    ma.Multiaddr // the address of the check under way
}

// LivenessState is what a node knows of its own reachability.
type LivenessState string

// The states of the check.
const (
	LivenessDisabled    LivenessState = "disabled"    // the check is off, or there is no address to check
	LivenessChecking    LivenessState = "checking"    // no result yet
	LivenessLive        LivenessState = "live"        // the node has reached itself
	LivenessUnreachable LivenessState = "unreachable" // the node could not reach itself
)

// Liveness is the last result of the check of our own public address.
type Liveness struct {
	State   LivenessState
	Addr    ma.Multiaddr  // the address that was tried
	Latency time.Duration // of the last echo
	Err     error         // why it is unreachable
	At      time.Time
}

// GetLiveness asks for the last result. Reply: Liveness.
type GetLiveness struct{}

// LivenessChanged is published when the state or the address changes.
type LivenessChanged struct{ Liveness Liveness }

// livenessConn hands over an accepted connection that asks for a liveness check. Its
// first byte was read already.
type livenessConn struct {
	conn *supervisor.Handover[transport.Conn]
}

func (m livenessConn) Discard() { m.conn.Discard() }

type (
	selfCheckTick struct{}
	selfEcho      struct {
		addr    ma.Multiaddr
		latency time.Duration
	}
)

// selfLimit is the longest wait for the connection to ourselves, and for an echo.
const selfLimit = 30 * time.Second

// newLiveness makes the actor.
func newLiveness(env *env) actor.Actor { return &liveness{env: env} }

func (a *liveness) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.now = Liveness{State: LivenessDisabled, At: supervisor.Now(c)}
		if a.env.Liveness.SelfCheck > 0 {
			a.check(c)
		}
	case livenessConn:
		a.serve(c, m)
	case selfCheckTick:
		a.check(c)
	case selfEcho:
		a.changed(c, Liveness{State: LivenessLive, Addr: m.addr, Latency: m.latency})
	case supervisor.TaskDone:
		if m.Name == selfTask {
			a.checked(c, m.Err)
		} else {
			supervisor.Log(c).Debug("liveness session ended", "err", m.Err)
		}
	case GetLiveness:
		c.Respond(a.now)
	default:
		supervisor.Unhandled(c)
	}
}

func (a *liveness) serve(c actor.Context, m livenessConn) {
	conn, ok := m.conn.Take()
	if !ok {
		return
	}
	a.sessions++
	probes, from := &a.env.probes, conn.RemoteMultiaddr()
	supervisor.Go(c, fmt.Sprintf("session-%d", a.sessions), conn, func(context.Context) error {
		defer conn.Close()
		slot := false
		defer func() {
			if slot {
				probes.leave()
			}
		}()
		return wire.Serve(conn, func(first string) bool {
			if probes.redeem(first) {
				return true
			}
			slot = probes.enter(from)
			return slot
		})
	})
}

const selfTask = "self-check"

// check connects to the next of the node's own addresses, and pings it as long as
// it answers.
func (a *liveness) check(c actor.Context) {
	addrs := a.addresses()
	if len(addrs) == 0 {
		a.changed(c, Liveness{State: LivenessDisabled})
		supervisor.After(c, a.env.Liveness.SelfCheck, selfCheckTick{})
		return
	}
	addr := addrs[a.next%len(addrs)]
	a.next++
	if a.now.State == LivenessDisabled {
		a.changed(c, Liveness{State: LivenessChecking, Addr: addr})
	}
	a.asked = addr
	env, every, token := a.env, a.env.Liveness.SelfCheck, a.env.probes.token(supervisor.Rand(c))
	supervisor.Go(c, selfTask, nil, func(ctx context.Context) error {
		defer env.probes.redeem(token)
		t := env.transportFor(addr)
		if t == nil {
			return ErrNoAddress
		}
		dialling, cancel := context.WithTimeout(ctx, selfLimit)
		conn, err := t.Dial(dialling, addr)
		cancel()
		if err != nil {
			return err
		}
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		session, took, err := wire.Ask(conn, token, selfLimit)
		for err == nil {
			supervisor.Tell(ctx, selfEcho{addr, took})
			if err := supervisor.Sleep(ctx, min(every, wire.Idle/2)); err != nil {
				return err
			}
			took, err = session.Ping()
		}
		return err
	})
}

// checked handles the end of a check. A hang-up soon after an echo is no failure: the
// serving side ends each session after a while. After any other end the address
// counts as unreachable.
func (a *liveness) checked(c actor.Context, err error) {
	lived := a.now.State == LivenessLive && supervisor.Now(c).Sub(a.now.At) < selfLimit
	if !lived || !transport.IsHangUp(err) {
		a.changed(c, Liveness{State: LivenessUnreachable, Addr: a.asked, Err: err})
	}
	supervisor.After(c, a.env.Liveness.SelfCheck, selfCheckTick{})
}

func (a *liveness) changed(c actor.Context, now Liveness) {
	before := a.now
	a.now = now
	a.now.At = supervisor.Now(c)
	if before.State != now.State || !sameAddr(before.Addr, now.Addr) {
		supervisor.Publish(c, LivenessChanged{a.now})
	}
}

func sameAddr(a, b ma.Multiaddr) bool { return string(a.Bytes()) == string(b.Bytes()) }

func (a *liveness) addresses() (addrs []ma.Multiaddr) {
	for _, b := range a.env.local().Claim.Addresses {
		if addr, err := address.FromBytes(b); err == nil {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

func (a *liveness) String() string {
	s := "own address " + string(a.now.State)
	if a.now.Latency > 0 {
		s += fmt.Sprintf(" %s in %s", a.now.Addr, a.now.Latency.Round(time.Microsecond))
	}
	if a.now.Err != nil {
		s += ": " + a.now.Err.Error()
	}
	if n := a.env.probes.used(); n > 0 {
		s += fmt.Sprintf(", %d asking", n)
	}
	return s
}

// LivenessSettings say which hosts may ask for a liveness check, and how often the
// node checks itself.
type LivenessSettings struct {
	Allow     []netip.Prefix // hosts that may ask
	Slots     int            // sessions of other hosts at once
	SelfCheck time.Duration  // interval of the node's own check; 0: no check
}

// probes is a semaphore for the sessions of other hosts, and the set of tokens of
// the node's own checks.
type probes struct {
	mu     sync.Mutex
	o      LivenessSettings
	taken  int
	tokens map[string]bool
}

// may reports whether a connection from that address may ask for a check at all. It
// is called before more than the first byte is read. If the node checks itself, each
// address may ask: the token in the first line comes later.
func (p *probes) may(from ma.Multiaddr) bool {
	return p.o.SelfCheck > 0 || p.o.Slots > 0 && p.allowed(from)
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

// token returns a new random token, which admits one session of the node's own
// check.
func (p *probes) token(r *supervisor.Random) string {
	var b [32]byte
	if _, err := r.Read(b[:]); err != nil {
		panic(err) // it does not fail
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tokens == nil {
		p.tokens = make(map[string]bool)
	}
	t := hex.EncodeToString(b[:])
	p.tokens[t] = true
	return t
}

// redeem removes a token and reports whether it was valid.
func (p *probes) redeem(t string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	ok := p.tokens[t]
	delete(p.tokens, t)
	return ok
}
