package connections

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/link"
	"github.com/gamelan-p2p/gamelan/internal/deadline"
	"github.com/gamelan-p2p/gamelan/internal/transport/keepalive"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// silence watches a direct connection for signs of life.
type silence struct {
	flight transport.FlightReporter
	rule   keepalive.Silence
}

type lookTick struct{}

// look ends a dead connection, or looks again later.
func (a *conn) look(c actor.Context) {
	if a.over || a.said {
		return
	}
	now := supervisor.Now(c)
	a.listen(now)
	f := a.silence.inFlight()
	verdict, next := a.silence.rule.Look(now, a.pings.LastHeard(), a.pings.Oldest(), f, a.session.WriteBlocked() > 0)
	switch verdict {
	case keepalive.DeadUnacknowledged:
		a.close(c, actors.CloseReason{Code: actors.CloseNoAnswer, By: "network", Err: actors.ErrUnacknowledged})
	case keepalive.DeadSilent:
		a.close(c, actors.CloseReason{Code: actors.CloseNoAnswer, By: "network", Err: actors.ErrSilent})
	case keepalive.DeadUnanswered:
		a.close(c, actors.CloseReason{Code: actors.CloseNoAnswer, By: "network", Err: a.unanswered(keepalive.Unanswered, mux.ErrPingTimeout)})
	default:
		supervisor.At(c, next, lookTick{})
	}
}

func (s *silence) inFlight() *keepalive.Progress {
	if s == nil {
		return nil
	}
	if f, ok := s.flight.Flight(); ok {
		p := keepalive.Progress(f)
		return &p
	}
	return nil
}

// shownSilent is how long an answer must be due until a connection is shown as silent.
const shownSilent = 5 * time.Second

// silent returns how long nothing has come, if an answer to a ping or an acknowledgement has
// been due for shownSilent or longer; otherwise 0.
func (a *conn) silent(now time.Time) time.Duration {
	if a.over {
		return 0
	}
	a.listen(now)
	heard, since := a.pings.LastHeard(), a.pings.Oldest()
	if f := a.silence.inFlight(); f != nil {
		heard = deadline.Latest(heard, now.Add(-f.Received))
		if f.Unacknowledged {
			heard = deadline.Latest(heard, now.Add(-f.Acknowledged))
		}
		since = deadline.Earlier(since, a.silence.rule.Since())
	}
	if quiet := now.Sub(heard); !since.IsZero() && now.Sub(since) >= shownSilent && quiet >= shownSilent {
		return quiet
	}
	return 0
}

// suspectConn asks a conn for a sign of life of the peer within limit, else the connection ends for
// err: what it runs over may be gone.
type suspectConn struct {
	limit time.Duration
	err   error
}

const (
	suspectLimit   = link.SuspectLimit
	elsewhereLimit = 2 * time.Second // and four round trips
	lateLimit      = time.Second     // a tick that comes later says nothing
)

type suspectTick struct {
	suspectConn
	since time.Time
}

func (a *conn) suspect(c actor.Context, m suspectConn) {
	if a.over || a.said {
		return
	}
	now := supervisor.Now(c)
	a.listen(now)
	a.pingers.last++
	a.ping(c, a.pings.Prove(now, keepalive.Mark[*actor.PID]{Key: a.ref.PID, N: a.pingers.last}, now))
	supervisor.After(c, m.limit, suspectTick{m, now})
}

func (a *conn) suspected(c actor.Context, m suspectTick) {
	if a.over || a.said {
		return
	}
	now := supervisor.Now(c)
	a.listen(now)
	if now.Sub(m.since) > m.limit+lateLimit { // this machine or process stood still: what has come meanwhile is not read yet
		a.suspect(c, m.suspectConn)
		return
	}
	if !a.pings.LastHeard().After(m.since) {
		a.close(c, actors.CloseReason{Code: actors.CloseNoAnswer, By: "network", Err: m.err})
	}
}

// AddressGone closes the connections over an address that the machine has no more.
func (r *Room) AddressGone(ip netip.Addr) {
	for _, ref := range r.Connections.All() {
		if ref.Link().Local == ip {
			why := actors.CloseReason{Code: actors.CloseNoAnswer, By: "network", Err: fmt.Errorf("%w: %s", actors.ErrAddressGone, ip)}
			r.System.Root.Send(r.Conns, CloseConn{ref.Peer, ref.ID, why})
		}
	}
}

// Unplugged has each connection over an address of the machine end unless the peer gives a sign
// of life within 5 s.
func (r *Room) Unplugged(ip netip.Addr) {
	for _, ref := range r.Connections.All() {
		if ref.Link().Local == ip {
			r.System.Root.Send(ref.PID, suspectConn{suspectLimit, actors.ErrUnplugged})
		}
	}
}
