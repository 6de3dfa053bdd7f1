package messengers

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// A node of this library accepts a messaging substream only when its session has taken it.
// Between two nodes that both list protocol.TakenMarker the opener uses
// [negotiate.OpenAsking]: it writes at once, and confirms nothing before the acceptance has
// come (spec: comms 147). All others see the same bytes as ever.

// acceptLimit is how long a session waits for the acceptance of its substream. A peer whose
// session does not take the substream resets it after handoffLimit. An acceptance may wait
// behind other bytes on a slow connection.
const acceptLimit = 30 * time.Second

type (
	// acceptanceCame reports that the peer has accepted our substream of this number.
	acceptanceCame struct{ gen uint64 }
	// acceptanceDue reports that acceptLimit is over for our substream of this number.
	acceptanceDue struct{ gen uint64 }
)

// accept writes the acceptance of a substream that the session has taken. If the peer does
// not let it through, the substream is reset.
func (b *inbox) accept(c actor.Context, in *incoming, owed *negotiate.Choice) {
	if owed == nil {
		return
	}
	stream, until := in.parker.Stream, b.room.Now().Add(b.room.Profile.Limits.Negotiation)
	if b.accepting == nil {
		b.accepting = make(map[string]*incoming)
	}
	b.accepting[acceptName(in)] = in
	supervisor.Go(c, acceptName(in), nil, func(context.Context) error {
		in.writes.Lock()
		defer in.writes.Unlock()
		stream.SetWriteDeadline(until)
		err := owed.Accept(stream)
		stream.SetWriteDeadline(time.Time{})
		if err != nil {
			stream.Close()
		}
		return err
	})
}

func acceptName(in *incoming) string { return "accept-" + in.name }

// acceptDone handles the end of the task that writes an acceptance. If the node stops, FIN has
// waited for it.
func (b *inbox) acceptDone(c actor.Context, m supervisor.TaskDone) {
	in := b.accepting[m.Name]
	if in == nil {
		return
	}
	delete(b.accepting, m.Name)
	if b.stops.Load() {
		b.fin(c, in)
	}
}

// closeWrite ends this node's half: the peer has ended its own, or the node stops. It does
// nothing the second time.
func (in *incoming) closeWrite() error {
	if !in.ends.CompareAndSwap(false, true) {
		return nil
	}
	in.writes.Lock()
	defer in.writes.Unlock()
	return in.parker.Stream.CloseWrite()
}

// acceptance is the peer's acceptance of our substream.
type acceptance struct {
	gen  uint64
	come bool // or not awaited; only the actor uses it
	// rest is what has not come of it yet; empty: the peer must not write. Only the tasks
	// that watch the substream use it, one after the other.
	rest []byte
}

func newAcceptance(gen uint64, id protocol.ID, answer messaging.Acceptance) *acceptance {
	if answer != messaging.Awaited {
		return &acceptance{gen: gen, come: true}
	}
	return &acceptance{gen: gen, rest: negotiate.Acceptance(id)}
}

// watch waits for the end of our substream and returns its error. It is an error if the
// peer writes anything but the acceptance, which watch reports to the session.
func (a *acceptance) watch(ctx context.Context, stream protocol.Stream) error {
	for {
		b := make([]byte, max(1, len(a.rest)))
		n, err := stream.Read(b)
		switch {
		case n == 0:
			return err
		case !bytes.HasPrefix(a.rest, b[:n]):
			return errors.New("actors: the peer wrote on a one-way substream")
		}
		if a.rest = a.rest[n:]; len(a.rest) == 0 {
			a.rest = nil // frees its memory
			supervisor.Tell(ctx, acceptanceCame{a.gen})
		}
	}
}
