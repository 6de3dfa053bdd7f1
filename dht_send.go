package gamelan

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	dhtpart "github.com/gamelan-p2p/gamelan/actors/dht"
	"github.com/gamelan-p2p/gamelan/dht"
)

// Send sends a message over the DHT and waits for its end. The report has an outcome for
// each peer to which a copy was sent. Send first waits for credit if too many bytes are
// under way. An error means that the message was not accepted; an accepted message has
// only a report. If ctx's deadline comes before the message's limit, it becomes the limit.
// When ctx is cancelled, Send returns the report so far, and the message goes on within
// its limit.
//
// Confirmed means that a peer's multiplexer has read the message. It does not mean that an
// application has read it, nor that a node has relayed it.
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
	return p.Wait(ctx), nil // the message reaches its limit now and ends, with an outcome for each peer
}

// endGrace is how much longer than ctx Send waits for the end of a message whose limit is
// ctx's deadline.
const endGrace = 500 * time.Millisecond

// Submit sends a message over the DHT as Send does, but returns as soon as the message is
// accepted. Use [Pending.WaitFor] to wait for part of the report:
//
//	report := pending.WaitFor(ctx, dht.ConfirmedBy(3))
func (d *DHT) Submit(ctx context.Context, m dht.Message) (*Pending[dht.Report], error) {
	return d.submit(ctx, m, nil)
}

// submit is Submit. If limit is not nil, it is called when the message is accepted and
// returns the message's limit.
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

// SendFrom sends a message over the DHT on behalf of an actor, for use inside Receive. It
// never waits. The actor receives [dht.Sent] with this id when the message has ended: at
// once if there is no credit (overloaded) or the message cannot be sent at all, and never
// if the node has no DHT.
func (d *DHT) SendFrom(c actor.Context, id uint64, m dht.Message) {
	if d.Enabled() {
		root, self := c.ActorSystem().Root, c.Self()
		c.Request(d.n.dht.Outbound, dhtpart.SendMessage{ID: id, Message: m, Lost: func() {
			root.Send(self, dht.Sent{ID: id, Report: dht.Report{Reason: dht.SendClosed, Err: actors.ErrClosing}})
		}})
	}
}

// Sends returns the reports of messages sent over the DHT: those under way, and the last
// [dht.LedgerKept] that ended, oldest first.
func (d *DHT) Sends() []dht.Report {
	if !d.Enabled() {
		return nil
	}
	return d.n.dht.Ledger.All()
}

// ByTag returns those reports of [DHT.Sends] that have the tag.
func (d *DHT) ByTag(tag uint64) []dht.Report {
	if !d.Enabled() {
		return nil
	}
	return d.n.dht.Ledger.ByTag(tag)
}
