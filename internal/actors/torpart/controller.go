package torpart

import (
	"context"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/transport/torconn"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// controller keeps the onion service published. It carries out what tor.Controller
// decides: connecting, reading and writing are tasks, one reply and one batch of commands
// at a time.
//
// In: AwaitStarted, stuck, replies of Tor, trunk.AddressAdded, event
// trunk.ServicesStarted, Drain. Out: Started, trunk.AddAddress, events Connected,
// Disconnected, ServicePublished and ServiceUnpublished, Drained. A restart loses the
// connection, and with it the service, until the next one; the pinned cookie file stays.
type controller struct {
	w         *Tor
	machine   *tor.Controller
	attempt   uint64 // number of the connection; what comes from earlier ones does not count
	conn      *torconn.Conn
	release   func() // takes conn out of what the incarnation owns
	writing   bool
	out       []tor.Command // they wait while others are written
	due       *supervisor.Timer
	awaiting  []*actor.PID
	draining  *actor.PID
	asked     bool // trunk.AddAddress is under way, or was refused
	refused   bool // the address cannot be advertised
	announced bool // ServicePublished was published, and ServiceUnpublished has not followed
	ended     bool
}

type (
	stuck   struct{}
	dueTick struct{}

	// received is a reply on the connection of an attempt.
	received struct {
		attempt uint64
		reply   tor.Reply
	}
	connectKey struct{ attempt uint64 }
	writeKey   struct{ attempt uint64 }
	cookieKey  struct{ attempt uint64 }
	cookie     struct {
		bytes []byte
		file  tor.CookieFile
	}
	written struct{}
)

func (k connectKey) String() string { return fmt.Sprintf("connect-%d", k.attempt) }
func (k writeKey) String() string   { return fmt.Sprintf("write-%d", k.attempt) }
func (k cookieKey) String() string  { return fmt.Sprintf("cookie-%d", k.attempt) }

func (a *controller) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.start(c)
	case dueTick:
		a.step(c, tor.Due{})
	case stuck:
		a.step(c, tor.Stuck{})
	case supervisor.Done[*supervisor.Handover[*torconn.Conn]]:
		a.connected(c, m.Key.(connectKey).attempt, m.Value, m.Err)
	case received:
		if m.attempt == a.attempt && a.conn != nil {
			a.read(c)
			a.step(c, tor.Received{Reply: m.reply})
		}
	case supervisor.TaskDone:
		if m.Err != nil && m.Name == a.reading() && a.conn != nil {
			a.lost(c, m.Err)
		}
	case supervisor.Done[written]:
		if m.Key.(writeKey).attempt != a.attempt || a.conn == nil {
			return
		}
		a.writing = false
		if m.Err != nil {
			a.lost(c, m.Err)
			return
		}
		a.write(c)
	case supervisor.Done[cookie]:
		if m.Key.(cookieKey).attempt == a.attempt {
			a.step(c, tor.CookieRead{Bytes: m.Value.bytes, File: m.Value.file, Err: m.Err})
		}
	case AwaitStarted:
		a.awaiting = append(a.awaiting, c.Sender())
		a.answer(c)
	case users.AddressAdded:
		a.added(c, m)
	case users.ServicesStarted:
		a.asked = false // services may have failed before it answered
		a.advertise(c)
	case supervisor.Drain:
		a.draining = c.Sender()
		a.step(c, tor.Stop{})
		a.drained(c)
	default:
		supervisor.Unhandled(c)
	}
}

// start makes the machine of this incarnation, which knows nothing of earlier connections.
func (a *controller) start(c actor.Context) {
	a.announced = a.w.advertised && a.w.State().Service.State == tor.Published // by an earlier incarnation
	random := supervisor.Rand(c)
	a.machine = tor.NewController(supervisor.Now(c), tor.Options{
		Auth: a.w.Auth, Pinned: a.w.State().Cookie, Local: !a.w.Host.IsValid(), NewCircuits: a.w.NewCircuits, Nonce: random.Reader, Random: random.Rand,
	})
	supervisor.Subscribe[users.ServicesStarted](c)
	a.step(c, tor.Publish{Service: a.w.Service})
}

// step gives an event to the machine and carries out the effects.
func (a *controller) step(c actor.Context, e tor.Event) {
	now := supervisor.Now(c)
	for _, effect := range a.machine.Step(now, e) {
		switch f := effect.(type) {
		case tor.Connect:
			a.connect(c)
		case tor.Send:
			a.out = append(a.out, f.Command)
		case tor.ReadCookie:
			account := a.w.Account
			supervisor.Do(c, cookieKey{a.attempt}, func(context.Context) (cookie, error) {
				b, file, err := torconn.ReadCookie(f.Files, account)
				return cookie{b, file}, err
			})
		case tor.Hangup:
			a.hangUp()
		case tor.Stopped:
			a.ended = true
		case tor.Changed, tor.Answered: // show compares states; nobody asks
		}
	}
	a.write(c)
	a.show(c, now)
	a.drained(c)
	a.wake(c)
}

// wake sets the timer to the next time at which something is due.
func (a *controller) wake(c actor.Context) {
	if a.due != nil {
		a.due.Stop()
		a.due = nil
	}
	at := a.machine.Wake()
	if grace := a.w.announcement.Wake(); at.IsZero() || !grace.IsZero() && grace.Before(at) {
		at = grace
	}
	if !at.IsZero() && !a.ended {
		a.due = supervisor.At(c, at, dueTick{})
	}
}

func (a *controller) connect(c actor.Context) {
	a.hangUp()
	a.attempt++
	open := a.w.Connect
	supervisor.Do(c, connectKey{a.attempt}, func(ctx context.Context) (*supervisor.Handover[*torconn.Conn], error) {
		conn, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return supervisor.Hand(conn, nil), nil
	})
}

func (a *controller) connected(c actor.Context, attempt uint64, h *supervisor.Handover[*torconn.Conn], err error) {
	if attempt != a.attempt {
		if h != nil {
			h.Discard()
		}
		return
	}
	if err != nil {
		a.lost(c, err)
		return
	}
	conn, ok := h.Take()
	if !ok {
		return
	}
	a.conn, a.writing, a.out = conn, false, nil
	a.release = supervisor.Own(c, conn)
	a.read(c)
	a.step(c, tor.Connected{})
}

// reading is the name of the task that reads on the present connection.
func (a *controller) reading() string { return fmt.Sprintf("read-%d", a.attempt) }

// read reads one reply. The next one is read when it has been handled, so that Tor cannot
// fill the mailbox.
func (a *controller) read(c actor.Context) {
	conn, attempt := a.conn, a.attempt
	supervisor.GoLong(c, a.reading(), nil, func(ctx context.Context) error {
		reply, err := conn.Read()
		if err == nil {
			supervisor.Tell(ctx, received{attempt, reply})
		}
		return err
	})
}

// write writes the commands that have gathered.
func (a *controller) write(c actor.Context) {
	if a.conn == nil || a.writing || len(a.out) == 0 {
		return
	}
	conn, commands := a.conn, a.out
	a.writing, a.out = true, nil
	supervisor.Do(c, writeKey{a.attempt}, func(context.Context) (written, error) { return written{}, conn.Write(commands) })
}

// hangUp closes the connection. What its tasks still report does not count.
func (a *controller) hangUp() {
	if a.conn != nil {
		a.release()
		a.conn.Close()
	}
	a.attempt++
	a.conn, a.writing, a.out = nil, false, nil
}

func (a *controller) lost(c actor.Context, err error) {
	a.hangUp()
	a.step(c, tor.Lost{Err: err})
}
