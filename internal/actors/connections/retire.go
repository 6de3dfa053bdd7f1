package connections

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// retirement is the orderly end of a superseded connection: two connections crossed, and
// the other one has taken its place. Both nodes have the other connection, so nothing new
// begins on this one. Work under way is finished: this node's messages are proven and
// their substreams end, and likewise the peer's. The connection ends when it has been
// quiet for a few round trips, because a substream that the peer has just opened may
// still be on its way.
type retirement struct {
	finished bool // this node's messages are proven and their substreams have ended
	pongs    int
	quiet    int // pongs in a row that found no work on the connection
}

const (
	retireLimit = 10 * time.Second // after this the connection ends, even with work on it
	retireLost  = 2 * time.Second  // … or after this without a pong
	retireQuiet = 5                // quiet pongs before the end, nudgeEvery apart
)

type (
	// retireConn tells a conn that another connection has taken its place.
	retireConn struct{}
	// retireTick makes the conn check whether its count of pongs has grown.
	retireTick struct{ pongs int }
)

// superseded reports whether the directory lists another connection to the peer. Then
// nothing new begins on this one. This one may still become the listed one again.
func (a *conn) superseded() bool {
	live, ok := a.room.Connections.Get(a.ref.Peer)
	return ok && live.ID != a.ref.ID
}

// retire drains a superseded connection. Pending opens fail, and their callers retry on
// the other connection.
func (a *conn) retire(c actor.Context) {
	if a.closing != nil {
		return
	}
	a.closing = &actors.CloseReason{Code: actors.CloseTieBreak, By: "us"}
	closes(a.ref, a.closing)
	a.retiring = new(retirement)
	for _, key := range a.waiting {
		a.elsewhere(key)
	}
	a.waiting = nil
	a.retiring.finished = !a.askToFinish(c)
	supervisor.After(c, retireLimit, finishTimeout{})
	supervisor.After(c, retireLost, retireTick{})
	a.nudge(c)
}

func (a *conn) retireDue(c actor.Context, m retireTick) {
	switch r := a.retiring; {
	case r == nil:
	case r.pongs == m.pongs:
		a.goodbye(c)
	default:
		supervisor.After(c, retireLost, retireTick{r.pongs})
	}
}

// elsewhere answers a request for a substream with the error of a lost connection, so
// that the caller tries another connection.
func (a *conn) elsewhere(key openKey) {
	key.detach()
	key.m.Discard()
}

// lookQuiet counts a pong. It ends the connection when several pongs in a row have found
// no work on it.
func (a *conn) lookQuiet(c actor.Context) {
	r := a.retiring
	r.pongs++
	if r.finished && a.accepting == 0 && a.opening == 0 && a.session.NumStreams() == 0 {
		r.quiet++
	} else {
		r.quiet = 0
	}
	if r.quiet == retireQuiet {
		a.goodbye(c)
	}
}

// hurry ends a retiring connection for another reason, such as a shutdown. It no longer
// waits for the peer. An orderly end still waits a moment for this node's own messages.
func (a *conn) hurry(c actor.Context, why actors.CloseReason) {
	finished := a.retiring.finished
	a.retiring = nil
	if finished || !why.Orderly() {
		a.goodbye(c)
		return
	}
	supervisor.After(c, FinishLimit, finishTimeout{})
}
