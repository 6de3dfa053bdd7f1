package gamelan

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	dhtpart "github.com/gamelan-p2p/gamelan/actors/dht"
	"github.com/gamelan-p2p/gamelan/dht"
)

// Send sends a message over the DHT and waits for its end: the report has an
// outcome for each peer that it was sent to. It waits for credit first when too
// much is on its way. An error means that the message was not accepted; after
// that the report says all. A deadline of ctx that comes before the message's
// limit takes its place; when ctx is cancelled, Send returns what is known by
// then, and the message goes on within its limit.
//
// Confirmed says that a peer's multiplexer has read the message, never that an
// application has, nor that anybody has passed it on.
func (d *DHT) Send(ctx context.Context, m dht.Message) (dht.Report, error) {
	end, bounded := ctx.Deadline()
	if !bounded {
		p, err := d.submit(ctx, m, nil)
		if err != nil {
			return dht.Report{}, err
		}
		return p.Wait(ctx), nil
	}
	limit := func() time.Duration { return max(time.Millisecond, min(m.For(), time.Until(end))) }
	p, err := d.submit(ctx, m, limit)
	if err != nil {
		return dht.Report{}, err
	}
	r := p.Wait(ctx)
	if r.Ended() {
		return r, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endGrace)
	defer cancel()
	return p.Wait(ctx), nil // the message ends by itself now, with an outcome for each peer
}

// endGrace is how much longer than ctx Send waits for the end of a message whose
// limit is ctx's.
const endGrace = 500 * time.Millisecond

// Submit is Send without waiting for the end: it returns as soon as the message
// is accepted. To wait for part of the report there is [Pending.WaitFor]:
//
//	report := pending.WaitFor(ctx, dht.ConfirmedBy(3))
func (d *DHT) Submit(ctx context.Context, m dht.Message) (*Pending[dht.Report], error) {
	return d.submit(ctx, m, nil)
}

// submit is Submit for a message whose limit depends on when it is accepted,
// unless limit is nil.
func (d *DHT) submit(ctx context.Context, m dht.Message, limit func() time.Duration) (*Pending[dht.Report], error) {
	switch {
	case !d.Enabled():
		return nil, ErrNoDHT
	case d.n.stopping():
		return nil, ErrClosed
	case m.Type == dht.TypePing:
		return nil, fmt.Errorf("gamelan: message not accepted: %w", dhtpart.ErrPingType)
	}
	p := newPending[dht.Report](d.n)
	entry, err := d.n.dht.Send(ctx, m, limit, p.change)
	if err != nil {
		return nil, fmt.Errorf("gamelan: message not accepted: %w", err)
	}
	p.follow(entry)
	return p, nil
}

// SendFrom sends a message over the DHT on behalf of an actor, for use inside
// Receive: it never waits, and the actor hears [dht.Sent] with this id when
// the message has ended. Without credit that is at once, as overloaded; without
// the DHT it is never, and what cannot be sent at all has failed at once.
func (d *DHT) SendFrom(c actor.Context, id uint64, m dht.Message) {
	if d.Enabled() {
		c.Request(d.n.dht.Outbound, dhtpart.SendMessage{ID: id, Message: m})
	}
}

// Sends returns the messages sent over the DHT: those under way, and the last
// [dht.LedgerKept] that ended, oldest first.
func (d *DHT) Sends() []dht.Report {
	if !d.Enabled() {
		return nil
	}
	return d.n.dht.Ledger.All()
}

// ByTag is [DHT.Sends] of one tag.
func (d *DHT) ByTag(tag uint64) []dht.Report {
	if !d.Enabled() {
		return nil
	}
	return d.n.dht.Ledger.ByTag(tag)
}
