package dialling

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/transport/dial"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// dialRace is the dial of one peer: attempts at its addresses, which begin one after the other
// and may run side by side (spec: V34). The actor owns it; its tasks use only the fields of
// the second group.
type dialRace struct {
	since    time.Time
	plan     *dial.Race
	attempts []actors.DialAttempt // that have ended
	err      error                // of the attempt that tells most
	aimed    error                // why nothing was tried at some address
	settled  bool                 // err is that of a handshake
	at       ma.Multiaddr         // the address of the last attempt
	wake     time.Time            // the last that was asked for
	anew     int                  // how often it has begun again

	peer   identity.NodeID
	key    identity.PublicKey
	addrs  []target
	wanted context.Context // its end cancels the attempts, but not a handshake that has begun
	cancel context.CancelFunc
	first  first
}

// first lets only one attempt finish its handshake. The others close when it gets as far:
// until then the peer has no connection that it could use.
type first struct {
	mu      sync.Mutex
	taken   bool
	by      int
	cancels map[int]context.CancelFunc
}

// errOvertaken ends an attempt because another one at the same peer is further.
var errOvertaken = errors.New("actors: another address of the peer was faster")

// enter notes an attempt, and reports whether it may begin.
func (f *first) enter(i int, cancel context.CancelFunc) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.taken {
		return false
	}
	if f.cancels == nil {
		f.cancels = make(map[int]context.CancelFunc)
	}
	f.cancels[i] = cancel
	return true
}

// take reports whether the attempt is the one that goes on. If so, it cancels the others.
func (f *first) take(i int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.taken {
		return f.by == i
	}
	f.taken, f.by = true, i
	for j, cancel := range f.cancels {
		if j != i {
			cancel()
		}
	}
	return true
}

// close ends all attempts, unless one goes on, and reports whether it has. None can begin then.
func (f *first) close() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.taken {
		return false
	}
	f.taken, f.by = true, -1
	for _, cancel := range f.cancels {
		cancel()
	}
	return true
}

func (f *first) overtook(i int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.taken && f.by != i
}

type (
	attemptKey struct {
		race *dialRace
		i    int // of the address; -1: there is none
	}
	stageTick struct{ race *dialRace }
	// attemptLost says that an attempt has ended and its result was not handled. An earlier
	// incarnation may have started it.
	attemptLost struct{ key attemptKey }
)

func (k attemptKey) String() string { return fmt.Sprintf("dial-%s-%d", k.race.peer, k.i) }

// errResultLost is the error of an attempt whose result was not handled.
var errResultLost = errors.New("actors: the result of the dial was lost in a panic")

// dialResult is the result of one attempt. The peer chose some of its content, so a panic on
// it is contained and the dialer goes on. Then lost tells the dialer that this attempt has
// ended.
type dialResult struct {
	connections.Upgraded
	attempt *actors.DialAttempt // nil: nothing was tried, or it says nothing about the address
	settled bool                // a handshake has failed, and not with another node (comms 43)
	lost    func()
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
func (r dialResult) Source() supervisor.Source {
	if r.lost == nil {
		return nil
	}
	return r.Upgraded.Source()
}

// cancelled reports whether nobody wants the connection any more.
func (r *dialRace) cancelled() bool { return r.wanted.Err() != nil }

// advance begins the attempts that are due, and ends the race if none is left.
func (d *dialer) advance(c actor.Context, r *dialRace) {
	now := supervisor.Now(c)
	for !r.cancelled() {
		i, ok := r.plan.Next(now)
		if !ok {
			break
		}
		d.try(c, r, i)
	}
	if r.plan.Over() || r.cancelled() && r.plan.Idle() {
		d.raceLost(c, r)
		return
	}
	if at := r.plan.Wake(); !at.IsZero() && !at.Equal(r.wake) {
		r.wake = at
		supervisor.At(c, at, stageTick{r})
	}
}

// try begins an attempt.
func (d *dialer) try(c actor.Context, r *dialRace, i int) {
	r.at = r.addrs[i].addr
	key, root, self := attemptKey{r, i}, d.room.System.Root, c.Self()
	supervisor.Do(c, key, func(ctx context.Context) (dialResult, error) {
		result, err := d.room.attempt(ctx, r, i)
		result.lost = func() { root.Send(self, attemptLost{key}) }
		return result, err
	})
}

// attempted handles the end of an attempt.
func (d *dialer) attempted(c actor.Context, key attemptKey, result dialResult, err error) {
	r := key.race
	if d.running[r.peer] != r {
		result.Upgraded.Discard()
		return
	}
	if result.attempt != nil {
		r.attempts = append(r.attempts, *result.attempt)
	}
	switch {
	case err == nil:
		d.dialled(c, r, result.Upgraded, nil)
		return
	case errors.Is(err, actors.ErrAimed): // nothing was tried, which says nothing about the address
		r.aimed = err
	case errors.Is(err, errOvertaken):
	case result.settled || !r.settled:
		r.err, r.settled = err, result.settled
	}
	if key.i >= 0 {
		r.plan.Ended(key.i, result.settled)
	}
	d.advance(c, r)
}

// raceLost ends a race without a connection.
func (d *dialer) raceLost(c actor.Context, r *dialRace) {
	err := r.err
	for _, a := range r.attempts {
		if a.Given && !r.cancelled() { // the caller wants to know of this one
			err = a.Err
		}
	}
	switch {
	case err != nil:
	case r.cancelled():
		err = context.Canceled
	case r.aimed != nil:
		err = r.aimed
	default:
		err = actors.ErrNoAddress
	}
	d.dialled(c, r, connections.Upgraded{}, &actors.DialError{Peer: r.peer, Attempts: r.attempts, Err: err})
}

// ended returns the attempts that have succeeded or failed. It omits those that were
// cancelled, which say nothing about their addresses.
func (r *dialRace) ended() []actors.DialAttempt {
	if !r.cancelled() {
		return r.attempts
	}
	var list []actors.DialAttempt
	for _, a := range r.attempts {
		if !errors.Is(a.Err, context.Canceled) {
			list = append(list, a)
		}
	}
	return list
}

// attempt tries one address. A handshake that has failed is the peer's fault, unless another
// node listens there (comms 43).
//
// The end of wanted cancels the attempt, but not a handshake that has begun: the peer may
// already use its end of the connection. No handshake begins while the peer sets up a
// connection to this node. If both nodes dialled and each dropped its own dial for the
// other's, no connection would survive. So both finish their handshakes, and the tie-break
// decides (comms 115).
func (r *Room) attempt(ctx context.Context, race *dialRace, i int) (result dialResult, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if !race.first.enter(i, stop) {
		return result, errOvertaken
	}
	connecting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(race.wanted, cancel)()
	if err := r.needs.Announced(connecting); err != nil {
		return result, err
	}
	if r.Draining.Load() != nil {
		return result, actors.ErrDraining
	}
	if err := r.Admit(race.key); err != nil { // nothing is tried, so nothing is noted of the address
		return result, err
	}
	to := race.addrs[i]
	at := &actors.DialAttempt{At: r.Now(), Addr: to.addr, Given: to.offered}
	up, err := r.dialOne(ctx, connecting, race, i)
	switch {
	case err == nil:
		result.Upgraded = up
	case race.first.overtook(i):
		return result, errOvertaken
	case errors.Is(err, actors.ErrAimed):
		return result, err
	}
	at.Took = r.Now().Sub(at.At)
	at.Handshake = up.Timings.Noise + up.Timings.Identity
	at.Stage, at.Err = stageOf(err), err
	result.attempt = at
	_, handshake := errors.AsType[*upgrade.Error](err)
	result.settled = handshake && !errors.Is(err, upgrade.ErrWrongKey)
	return result, err
}

// stageOf returns where an attempt has failed.
func stageOf(err error) string {
	if err == nil {
		return ""
	}
	if up, ok := errors.AsType[*upgrade.Error](err); ok {
		return string(up.Stage)
	}
	if d, ok := errors.AsType[*transport.DialError](err); ok {
		return string(d.Stage)
	}
	return string(transport.StageConnect)
}

func (r *Room) dialOne(ctx, connecting context.Context, race *dialRace, i int) (up connections.Upgraded, err error) {
	to := race.addrs[i]
	t := r.transportFor(to.addr)
	if err := r.needs.AwaitInbound(connecting, race.peer); err != nil {
		return up, err
	}
	limit := r.Profile.Limits.Dial
	if l, ok := t.(transport.DialLimiter); ok {
		limit = max(limit, l.DialLimit(to.addr))
	}
	dialing, cancel := context.WithTimeout(connecting, limit)
	began := r.Now()
	conn, err := r.connectTo(transport.WithPeer(dialing, race.peer), t, to)
	took := r.Now().Sub(began)
	cancel()
	if err != nil {
		return up, err
	}
	if err := r.needs.AwaitInbound(connecting, race.peer); err != nil {
		conn.Close()
		return up, err
	}
	cfg := r.needs.UpgradeConfig(conn)
	check := cfg.Check
	cfg.Check = func(key identity.PublicKey) error { // after it the peer hears whose connection it is
		if err := check(key); err != nil {
			return err
		}
		if !race.first.take(i) {
			return errOvertaken
		}
		return nil
	}
	res, err := upgrade.Outbound(ctx, conn, cfg, race.key)
	if err != nil {
		return up, err
	}
	up = r.needs.Upgraded(res, conn, t.Name(), protocol.Outbound)
	up.Addr, up.Timings.Dial = to.addr, took
	return up, nil
}
