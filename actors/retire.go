package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// retirement is the end of a connection that crossed another one, which has
// taken its place. Both nodes have the other one, so nothing more begins here. What had begun is finished: our messages are
// proven and their substream ends, and so do the peer's. The connection ends when
// it has been quiet for a few round trips, since a substream that the peer had
// just asked for may still be on its way.
type retirement struct {
	finished bool // our messages are
	pongs    int
	quiet    int // pongs in a row that found nothing here
}

const (
	retireLimit = 10 * time.Second // then it ends, whatever is on it
	retireLost  = 2 * time.Second  // or when no pong comes
	retireQuiet = 5                // pongs, nudgeEvery apart
)

type (
	// retireConn tells a conn that another one has taken its place.
	retireConn struct{}
	// retireTick looks whether a pong has come since.
	retireTick struct{ pongs int }
)

// superseded reports whether another connection is the peer's by now. Nothing
// new begins on this one, which may yet take its place again.
func (a *conn) superseded() bool {
	live, ok := a.env.Connections.Get(a.ref.Peer)
	return ok && live.ID != a.ref.ID
}

// retire begins that. Who had asked for a substream asks again, and gets it on
// the other connection.
func (a *conn) retire(c actor.Context) {
	if a.closing != nil {
		return
	}
	a.closing = &CloseReason{Code: CloseTieBreak, By: "us"}
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

// elsewhere answers a request for a substream: the connection is no more.
func (a *conn) elsewhere(key openKey) {
	key.detach()
	key.m.Discard()
}

// lookQuiet ends the connection when nothing is left on it.
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

// hurry has a connection that was retiring end for another reason as well: it
// no longer waits for the peer.
func (a *conn) hurry(c actor.Context, why CloseReason) {
	finished := a.retiring.finished
	a.retiring = nil
	if finished || !why.Orderly() {
		a.goodbye(c)
		return
	}
	supervisor.After(c, FinishLimit, finishTimeout{})
}
