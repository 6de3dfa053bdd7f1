package connections

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/transport/keepalive"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// PingConn asks a conn to ping the peer's multiplexer. Reply: ConnPonged.
type PingConn struct{}

// ConnPonged replies to PingConn, with the round trip of a ping that was sent after the
// request. Err is [actors.ErrConnectionClosed] if the connection ended first, or
// [actors.ErrOverloaded].
type ConnPonged struct {
	RTT time.Duration
	Err error
}

// maxPingers is how many requests for a ping may wait at a connection.
const maxPingers = 100

// pingers are the requests for a ping that wait. They are numbered, and each is
// answered at the latest when conn ends.
type pingers struct {
	last    uint64
	waiting []pinger
}

type pinger struct {
	n      uint64
	reply  *actor.PID
	detach func()
}

// pingFor asks the keep-alive machine for a ping from now on. All requests use the mark
// of the connection itself: a ping answers each that came before it was sent.
func (a *conn) pingFor(c actor.Context, _ PingConn) {
	p, reply := &a.pingers, c.Sender()
	switch {
	case reply == nil:
		return
	case a.over || a.said:
		c.Send(reply, ConnPonged{Err: actors.ErrConnectionClosed})
		return
	case len(p.waiting) >= maxPingers:
		c.Send(reply, ConnPonged{Err: actors.ErrOverloaded})
		return
	}
	p.last++
	root := a.room.System.Root
	p.waiting = append(p.waiting, pinger{p.last, reply, supervisor.OwnFunc(c, func() {
		root.Send(reply, ConnPonged{Err: actors.ErrConnectionClosed})
	})})
	now := supervisor.Now(c)
	a.ping(c, a.pings.Prove(now, keepalive.Mark[*actor.PID]{Key: a.ref.PID, N: p.last}, now))
}

// answer answers the requests up to number n.
func (p *pingers) answer(c actor.Context, n uint64, with ConnPonged) {
	p.waiting = slices.DeleteFunc(p.waiting, func(w pinger) bool {
		if w.n > n {
			return false
		}
		w.detach()
		c.Send(w.reply, with)
		return true
	})
}

// SettleProofs asks a conn for its answers to ConfirmWrites as far as pongs have come. Reply:
// ProofsSettled, behind these answers, and at the latest when the connection has ended.
type SettleProofs struct {
	Gen    uint64 // of the asker's substream
	Reply  *actor.PID
	System *actor.ActorSystem
}

// Discard replies for a conn that has ended.
func (m SettleProofs) Discard() { m.System.Root.Send(m.Reply, ProofsSettled{m.Gen}) }

// ProofsSettled replies to SettleProofs. Gen is the asker's number of the substream.
type ProofsSettled struct{ Gen uint64 }

// settling is a SettleProofs that waits until so many pongs are handled.
type settling struct {
	m      SettleProofs
	pongs  uint64
	detach func()
}

// settleProofs answers when all pongs are handled that have come by now: the goroutine that
// waits for a pong may tell this actor later than another one tells of a frame behind the pong.
func (a *conn) settleProofs(c actor.Context, m SettleProofs) {
	if a.session == nil {
		m.Discard()
		return
	}
	a.settling = append(a.settling, settling{m, a.session.Pongs(), supervisor.OwnFunc(c, m.Discard)})
	a.settle(c)
}

// answered counts a pong that is handled.
func (a *conn) answered(c actor.Context) {
	a.handled++
	a.settle(c)
}

func (a *conn) settle(c actor.Context) {
	a.settling = slices.DeleteFunc(a.settling, func(s settling) bool {
		if s.pongs > a.handled {
			return false
		}
		s.detach()
		c.Send(s.m.Reply, ProofsSettled{s.m.Gen})
		return true
	})
}
