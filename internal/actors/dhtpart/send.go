package dhtpart

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// acceptedSend is a send on its way to the outbound actor. It has an entry in the ledger
// and holds credit. Its entry ends in exactly one report, whatever happens to the send.
type acceptedSend struct {
	dht     *DHT
	ledger  *dht.Ledger
	id      uint64
	message dht.Message
	until   time.Time
	entry   *dht.Entry
	paid    atomic.Bool
	changed func()     // may be nil
	reply   *actor.PID // receives dht.Sent; may be nil
	token   uint64     // ID of that dht.Sent; a control's is also id
}

// Discard fails a send that the outbound actor has not taken.
func (s *acceptedSend) Discard() {
	s.ledger.Fail(s.dht.trunk.Now(), s.id, dht.SendClosed, actors.ErrClosing)
}

// ErrPingType refuses a message that has the type of pings: peers ban a node that sends
// such a message if it is not a ping.
var ErrPingType = fmt.Errorf("%w: type %d is that of pings; ask with DHT.Ping, or choose another type", dht.ErrNotSendable, dht.TypePing)

// sendable returns an error for a message that could never be sent. It is called before
// credit is taken.
func (d *DHT) sendable(m *dht.Message) error {
	if most := d.trunk.Profile().Limits.MessageBody; len(m.Body) > most {
		return fmt.Errorf("%w: %d bytes, at most %d; send it in parts", dht.ErrNotSendable, len(m.Body), most)
	}
	return nil
}

// Send accepts a message to be sent over the DHT and returns its ledger entry. It is for
// callers outside the actor tree. Send waits for credit until ctx ends, and then returns
// ctx's error. A message that could never be sent is refused at once with
// dht.ErrNotSendable. If limit is not nil, Send calls it once it has credit, and the
// result is the message's limit. If changed is not nil, it is called after each change of
// the entry; it must not block.
func (d *DHT) Send(ctx context.Context, m dht.Message, limit func() time.Duration, changed func()) (*dht.Entry, error) {
	if err := d.sendable(&m); err != nil {
		return nil, err
	}
	s := &acceptedSend{dht: d, ledger: d.Ledger, id: d.trunk.NewID(), message: m, changed: changed}
	if !d.sendCredit.TryTake(len(m.Body)) {
		if err := d.sendCredit.Take(ctx, len(m.Body)); err != nil {
			return nil, err
		}
	}
	if limit != nil {
		s.message.Limit = limit()
	}
	d.acceptSend(s)
	return s.entry, nil
}

// requestSend accepts the message of a [SendMessage] or refuses it. It never waits. The
// sender of the SendMessage receives [dht.Sent].
func (d *DHT) requestSend(c actor.Context, m SendMessage) {
	if m.Message.Type == dht.TypePing && !d.Pinger.Equal(c.Sender()) {
		d.refuseSend(c, m.ID, &m.Message, dht.NotSendable, ErrPingType)
		return
	}
	d.requestSendIn(c, d.Ledger, m.ID, d.trunk.NewID(), m.Message)
}

// requestControl is requestSend for a message of the DHT itself. Such messages have a
// ledger of their own, so that they do not push the application's out of its ledger. There a
// send has its asker's ID, by which it can be cancelled.
func (d *DHT) requestControl(c actor.Context, m dht.SendControl) {
	d.requestSendIn(c, d.controls, m.ID, m.ID, m.Message.AsMessage())
}

func (d *DHT) requestSendIn(c actor.Context, ledger *dht.Ledger, token, id uint64, m dht.Message) {
	if err := d.sendable(&m); err != nil {
		d.refuseSend(c, token, &m, dht.NotSendable, err)
		return
	}
	if !d.sendCredit.TryTake(len(m.Body)) {
		d.refuseSend(c, token, &m, dht.SendOverloaded, fmt.Errorf("dht: %d bytes of messages have no outcome yet: %w", d.sendCredit.Used(), actors.ErrOverloaded))
		return
	}
	d.acceptSend(&acceptedSend{dht: d, ledger: ledger, id: id, message: m, reply: c.Sender(), token: token})
}

// refuseSend tells the sender of the current message that its message was not accepted.
func (d *DHT) refuseSend(c actor.Context, id uint64, m *dht.Message, r dht.SendReason, err error) {
	now := d.trunk.Now()
	supervisor.Reply(c, dht.Sent{ID: id, Report: dht.Report{
		Tag: m.Tag, Type: m.Type, Size: len(m.Body), Begin: now, End: now, Reason: r, Err: err,
	}})
}

func (d *DHT) acceptSend(s *acceptedSend) {
	if s.message.Tag == 0 {
		s.message.Tag = d.newTag()
	}
	if s.ledger == d.Ledger {
		switch to := s.message.To.(type) {
		case dht.Direct:
			d.trunk.MarkUsed(to.Peer)
		case dht.DirectKey:
			d.trunk.MarkUsed(to.Key.NodeID())
		}
	}
	now := d.trunk.Now()
	s.until = now.Add(s.message.For())
	s.entry = s.ledger.Accept(now, s.id, &s.message, s.progress)
	d.trunk.System().Root.Send(d.Outbound, s)
}

// newTag returns a tag for a send: a number that is unique and unpredictable, even for
// somebody who knows many tags. It is not 0.
func (d *DHT) newTag() uint64 {
	var b [sha256.Size + 8]byte
	copy(b[:], d.tagKey[:])
	binary.LittleEndian.PutUint64(b[sha256.Size:], d.trunk.NewID())
	sum := sha256.Sum256(b[:])
	return max(1, binary.LittleEndian.Uint64(sum[:]))
}

// newTagKey returns the key from which newTag derives the tags until the node stops. It
// is secret, so that nodes that relay encrypted messages cannot tell by the tags that one
// node wrote them.
func newTagKey(s *identity.Secret, now time.Time) [sha256.Size]byte {
	secret := s.Bytes()
	defer clear(secret)
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "gamelan: tags of messages, %d", now.UnixNano())
	return [sha256.Size]byte(mac.Sum(nil))
}

// progress is called by the ledger after each change of the entry. When the entry has
// ended, it returns the credit and answers the sender.
func (s *acceptedSend) progress() {
	if s.changed != nil {
		defer s.changed()
	}
	if s.entry == nil || !s.entry.Ended() || !s.paid.CompareAndSwap(false, true) {
		return
	}
	s.dht.sendCredit.Return(len(s.message.Body))
	if s.reply != nil {
		s.dht.trunk.System().Root.Send(s.reply, dht.Sent{ID: s.token, Report: s.entry.Report()})
	}
}
