package dht

import (
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
)

// Store is the name under which the actor is provided that keeps messages for other
// nodes. It receives [Offered].
const Store = "dht/store"

// Offered offers a message for another node to the actor that is provided as [Store], which
// may keep it (spec: dht 8.2). The actor has it relayed all the same: with
// [NewRelayHeard], to IfKept or to Otherwise. A message that was kept before was also
// relayed before, and is not relayed again. Its credit is that of a [Heard].
type Offered struct {
	Heard
	IfKept, Otherwise Strategy
}

// Reached tells the actor that is provided as [Store] that a relayed message was written to
// its destination, and that the destination has acknowledged the bytes. The actor need not
// keep that message. It may be one that was never kept.
type Reached struct {
	Hash        wire.Hash
	Destination identity.NodeID
}

// Missed tells the actor that is provided as [ProviderOf] of stored messages that no handler
// here has finished a message that was encrypted for this node: servers may have stored it.
// Many such messages may cause one Missed, up to a second before the last of them.
type Missed struct{}

// DeliverStored asks the actor that sent a [Heard] to deliver one of the messages that
// came with it to the application: the node asked the source of the Heard for messages
// that were stored for this node. Incoming has all that the chain finds out about a
// message, up to its parts, and Stored set. It is neither stored nor relayed (spec: dht
// 8.5). Make it with [NewDeliverStored]. Reply: [StoredHandled].
type DeliverStored struct {
	Heard
	ID uint64 // chosen by the asker; StoredHandled repeats it
}

// StoredHandled replies to [DeliverStored] when the message has ended: with the reason
// [Delivered] when its handler has finished it, which a slow handler may do much later. A
// message that no handler has finished does not count as seen, so that it is delivered when
// a server sends it again.
type StoredHandled struct {
	ID     uint64
	Reason Reason
}

// NewDeliverStored returns the requests to deliver the messages, in their order, that came
// with h. They take over the credit of h, which goes back when the last of them has ended.
// Their ids count up from first.
func NewDeliverStored(h Heard, first uint64, all []*Incoming) []DeliverStored {
	lengths := make([]int, len(all))
	for i, m := range all {
		lengths[i] = len(m.Envelope.Body)
	}
	list := make([]DeliverStored, len(all))
	for i, credit := range h.Credit.Split(lengths...) {
		list[i] = DeliverStored{Heard{all[i], h.Conn, credit}, first + uint64(i)}
	}
	return list
}

// HandleStored returns the decision on a message of a [DeliverStored]. Only layers at
// [BeforeDeliver] see it. The caller has a [Delivered] message counted with [Dedup.Hold] when
// its handler gets it; every other one but a [Duplicate] is counted here. Like Handle,
// HandleStored must not be called concurrently.
func (in *Inbound) HandleStored(m *Incoming) (v Verdict) {
	if in.dedup.Handled(m.Hash) > 0 || in.dedup.InHand(m.Hash) {
		return Verdict{Reason: Duplicate}
	}
	v = Verdict{Reason: Panicked}
	defer func() {
		if v.Reason != Delivered {
			in.dedup.judged(m.Hash, m.Source, m.Wall)
		}
	}()
	return in.guard(func() Verdict { return in.stored(m) })
}

// storable reports whether the message may be offered to the [Store], as far as the
// message alone decides (spec: dht 8.2).
func storable(m *Incoming) bool {
	return m.Envelope.Header.Type == wire.TypeDomain && len(m.Envelope.Body) > 0
}
