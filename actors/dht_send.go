package actors

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// acceptedSend is a send over the DHT on its way to the outbound actor. It is in
// the ledger and holds its credit; whatever happens to it, it ends there in
// exactly one report.
type acceptedSend struct {
	env     *Env
	id      uint64
	message dht.Message
	until   time.Time
	entry   *dht.Entry
	paid    atomic.Bool
	changed func()     // may be nil
	reply   *actor.PID // hears dht.Sent; may be nil
	token   uint64     // for it
}

// Discard ends a send that no outbound actor has taken.
func (s *acceptedSend) Discard() {
	s.env.Ledger.Fail(s.env.Now(), s.id, dht.SendClosed, ErrClosing)
}

// ErrPingType refuses a message of the type of pings: peers ban whoever sends one
// that is no ping.
var ErrPingType = fmt.Errorf("%w: type %d is that of pings; ask with DHT.Ping, or choose another type", dht.ErrNotSendable, dht.TypePing)

// sendable says what is wrong with a message for which no credit is taken.
func (e *Env) sendable(m *dht.Message) error {
	if most := e.Profile.Limits.MessageBody; len(m.Body) > most {
		return fmt.Errorf("%w: %d bytes, at most %d; send it in parts", dht.ErrNotSendable, len(m.Body), most)
	}
	return nil
}

// SendMessage accepts a send over the DHT on behalf of a caller outside the
// tree. It waits for credit until ctx ends; the error is ctx's then. What could
// never be sent is refused at once, as dht.ErrNotSendable. limit, which may be nil,
// is asked for the message's limit when the credit is there. changed, which may
// be nil, is called after each change of the entry; it must not block.
func (e *Env) SendMessage(ctx context.Context, m dht.Message, limit func() time.Duration, changed func()) (*dht.Entry, error) {
	if err := e.sendable(&m); err != nil {
		return nil, err
	}
	s := &acceptedSend{env: e, message: m, changed: changed}
	if !e.sendCredit.TryTake(len(m.Body)) {
		if err := e.sendCredit.Take(ctx, len(m.Body)); err != nil {
			return nil, err
		}
	}
	if limit != nil {
		s.message.Limit = limit()
	}
	e.acceptSend(s)
	return s.entry, nil
}

// requestSend is SendMessage on behalf of an actor, which hears dht.Sent.
func (e *Env) requestSend(c actor.Context, m SendMessage) {
	refuse := func(r dht.SendReason, err error) {
		now := e.Now()
		supervisor.Reply(c, dht.Sent{ID: m.ID, Report: dht.Report{
			Tag: m.Message.Tag, Type: m.Message.Type, Size: len(m.Message.Body), Begin: now, End: now, Reason: r, Err: err,
		}})
	}
	if m.Message.Type == dht.TypePing && !e.Pinger.Equal(c.Sender()) {
		refuse(dht.NotSendable, ErrPingType)
		return
	}
	if err := e.sendable(&m.Message); err != nil {
		refuse(dht.NotSendable, err)
		return
	}
	if !e.sendCredit.TryTake(len(m.Message.Body)) {
		refuse(dht.SendOverloaded, fmt.Errorf("actors: %d bytes of messages have no outcome yet: %w", e.sendCredit.Used(), ErrOverloaded))
		return
	}
	e.acceptSend(&acceptedSend{env: e, message: m.Message, reply: c.Sender(), token: m.ID})
}

func (e *Env) acceptSend(s *acceptedSend) {
	if s.message.Tag == 0 {
		s.message.Tag = e.newTag()
	}
	now := e.Now()
	s.id, s.until = e.NewID(), now.Add(s.message.For())
	s.entry = e.Ledger.Accept(now, s.id, &s.message, s.progress)
	e.System.Root.Send(e.Outbound, s)
}

// newTag returns a number that tells a send from others, here and at all who see
// it, and nothing else: not even those who know many can tell the next one. It
// is not 0.
func (e *Env) newTag() uint64 {
	var b [sha256.Size + 8]byte
	copy(b[:], e.tagKey[:])
	binary.LittleEndian.PutUint64(b[sha256.Size:], e.NewID())
	sum := sha256.Sum256(b[:])
	return max(1, binary.LittleEndian.Uint64(sum[:]))
}

// newTagKey makes what the tags of this start are drawn with: whoever passes
// encrypted messages on cannot tell by their tags that one node wrote them.
func newTagKey(s *identity.Secret, now time.Time) [sha256.Size]byte {
	secret := s.Bytes()
	defer clear(secret)
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "gamelan message tags %d", now.UnixNano())
	return [sha256.Size]byte(mac.Sum(nil))
}

// progress is called by the ledger after each change.
func (s *acceptedSend) progress() {
	if s.changed != nil {
		defer s.changed()
	}
	if s.entry == nil || !s.entry.Ended() || !s.paid.CompareAndSwap(false, true) {
		return
	}
	s.env.sendCredit.Return(len(s.message.Body))
	if s.reply != nil {
		s.env.System.Root.Send(s.reply, dht.Sent{ID: s.token, Report: s.entry.Report()})
	}
}

// sendCopy hands one copy of a message to the session of its peer, on behalf of
// the outbound actor, which hears Sent and may withdraw it.
func (m *Messaging) sendCopy(c actor.Context, w dht.Write) {
	q := m.env.newEnqueue(SendBody{ID: w.ID, Peer: w.Peer, Body: w.Frame}, c.Self())
	q.ours, q.unique = true, true
	m.accept(q)
}
