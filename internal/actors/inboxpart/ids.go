package inboxpart

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"
	"unique"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
)

// mark is the id of a message; the zero one is none.
type mark struct {
	of     unique.Handle[epoch]
	number uint64
}

type epoch struct {
	from identity.PublicKey
	of   outcomes.Epoch
}

func markOf(m *KeptMessage) mark {
	if m.ID.IsZero() {
		return mark{}
	}
	return mark{unique.Make(epoch{m.From, outcomes.Epoch(m.ID.Epoch)}), m.ID.Number}
}

// id returns the id, if the mark is of one.
func (m mark) id() (id outcomes.MessageID, ok bool) {
	if m == (mark{}) {
		return id, false
	}
	e := m.of.Value()
	return outcomes.MessageID{From: e.from, Epoch: e.of, Number: m.number}, true
}

// news is what is written, and the senders are to be told when it is synced.
type news struct {
	kept, handled, dropped []outcomes.MessageID
	states                 []outcomes.Remembered
}

func (n *news) add(o news) {
	n.kept, n.handled = append(n.kept, o.kept...), append(n.handled, o.handled...)
	n.dropped, n.states = append(n.dropped, o.dropped...), append(n.states, o.states...)
}

// remember adds to changes what the store is to have of senders. Sync says that a sender waits.
func (b *Inbox) remember(changes []change, n *news) (_ []change, sync bool) {
	if b.senders == nil {
		return changes, false
	}
	n.states, sync = b.senders.States(n.kept, n.handled, n.dropped)
	for _, s := range n.states {
		changes = append(changes, senderChange(s))
	}
	return changes, sync
}

// tellSenders tells senders what is synced.
func (b *Inbox) tellSenders(n news) {
	if b.senders != nil {
		b.senders.Kept(n.kept)
		b.senders.Handled(n.handled)
		b.senders.Dropped(n.dropped)
		b.senders.Stored(n.states)
	}
}

// Keys of what is known of senders, behind the prefix.
const (
	keySender    = 's'
	senderKeyLen = 2 + len(identity.PublicKey{}) + 8
)

func senderKey(from identity.PublicKey, e outcomes.Epoch) []byte {
	return binary.BigEndian.AppendUint64(append([]byte{keyPrefix, keySender}, from[:]...), uint64(e))
}

func senderChange(r outcomes.Remembered) change {
	c := change{key: senderKey(r.From, r.Epoch)}
	if r.State != nil {
		c.record = append(binary.BigEndian.AppendUint64(nil, uint64(r.Used.Unix())), r.State...)
	}
	return c
}

// openSenders reads what is known of senders. A store that has no name for new books gets one: senders hear it before anything
// of theirs is written.
func (s *store) openSenders() error {
	named := false
	entries, scanErr := s.disk.Scan([]byte{keyPrefix, keySender})
	for key, value := range entries {
		if len(key) != senderKeyLen || len(value) < 8 {
			continue
		}
		var r outcomes.Remembered
		copy(r.From[:], key[2:])
		r.Epoch = outcomes.Epoch(binary.BigEndian.Uint64(key[2+len(r.From):]))
		r.Used, r.State = time.Unix(int64(binary.BigEndian.Uint64(value)), 0), append([]byte{}, value[8:]...)
		s.senders = append(s.senders, r)
		named = named || r.Named()
	}
	if err := scanErr(); err != nil || named {
		return err
	}
	name := make([]byte, 8)
	rand.Read(name)
	r := outcomes.Named(outcomes.Store(binary.BigEndian.Uint64(name) | 1))
	s.senders = append(s.senders, r)
	c, b := senderChange(r), new(kv.Batch)
	b.Set(c.key, c.record)
	if err := s.disk.Apply(b, true); err != nil {
		return fmt.Errorf("open the inbox: %w", err)
	}
	return nil
}

// Senders returns what the store has of senders. It is called once.
func (b *Inbox) Senders() []outcomes.Remembered {
	known := b.store.senders
	b.store.senders = nil
	return known
}

// Tell names who knows the senders. It is called once, before the node's actors start.
func (b *Inbox) Tell(s outcomes.Senders) { b.senders = s }
