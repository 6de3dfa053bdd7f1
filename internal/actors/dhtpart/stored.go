package dhtpart

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// offer offers a message for another node to the part that stores such messages. It is
// false if there is no such part, or the message may not be stored.
func (a *inbound) offer(c actor.Context, f Frame, m *dht.Incoming, v dht.Verdict) bool {
	if v.Store == nil {
		return false
	}
	store, ok := a.dht.trunk.Provider(dht.Store)
	if !ok {
		return false
	}
	c.Request(store, dht.Offered{
		Heard:  dht.Heard{Incoming: m, Conn: f.Conn, Credit: f.pass()},
		IfKept: v.Store, Otherwise: v.Relay,
	})
	return true
}

// storedMessage is a message, stored for us by a server, that waits for its handler.
type storedMessage struct {
	dht.Received
	hash wire.Hash
	end  *storedEnd
}

// Discard gives the credit of a message back that has waited in vain: its inbound actor was
// restarted.
func (m storedMessage) Discard() {
	m.Received.Discard()
	m.end.tell(dht.HandlerFailed)
}

// storedEnd is the reply to a dht.DeliverStored. It is sent once, also by the mailbox of an
// actor that has ended.
type storedEnd struct {
	system *actor.ActorSystem
	to     *actor.PID
	id     uint64
	once   sync.Once
}

func (e *storedEnd) tell(why dht.Reason) {
	e.once.Do(func() { e.system.Root.Send(e.to, dht.StoredHandled{ID: e.id, Reason: why}) })
}

// stored delivers a message that a server had stored for us. It is counted as seen when its
// handler has finished it, so that a later answer of a server brings what no handler has
// taken, and what was in hand when the node crashed.
func (a *inbound) stored(c actor.Context, m dht.DeliverStored) {
	credit := m.Credit.HandOver().(passedCredit)
	if !credit.permit.Held() {
		return
	}
	end := &storedEnd{system: a.dht.trunk.System(), to: c.Sender(), id: m.ID}
	why := dht.Panicked
	defer func() {
		if why != dht.Delivered {
			credit.Discard()
			end.tell(why)
		}
	}()
	f := Frame{Peer: m.Incoming.Source, Key: m.Key, Conn: m.Conn, permit: credit.permit, origin: credit.origin}
	var err error
	why, err = a.judgeStored(c, f, m.Incoming, end)
	a.endedStored(c, f, end, why, err)
}

// judgeStored returns how the message has ended, and why if it was dropped. With Delivered
// its handler has it, or it waits for the handler.
func (a *inbound) judgeStored(c actor.Context, f Frame, m *dht.Incoming, end *storedEnd) (dht.Reason, error) {
	v := a.handleStored(c, f, m)
	if v.Reason != dht.Delivered {
		return v.Reason, v.Err
	}
	kind := v.Domain.Type
	handler, ok := a.dht.Types.Get(kind)
	switch {
	case !ok:
		return dht.NoHandler, noHandler(kind)
	case handler.failed():
		return dht.HandlerFailed, handlerFailed(kind)
	}
	msg := storedMessage{toHandler(f, m, v.Domain, f.pass()), m.Hash, end}
	fate, held := a.backlog.Add(supervisor.Now(c), f.Peer, kind, handler.work, f.permit.Cost(), msg)
	switch fate {
	case dht.FateGive:
		a.giveStored(c, handler.PID, msg, held)
	case dht.FateWait:
		a.watch(c)
	case dht.FateDrop:
		return dht.HandlerStuck, handlerStuck(kind)
	}
	return dht.Delivered, nil
}

// handleStored returns the verdict of the chain. A panic in the chain is counted.
func (a *inbound) handleStored(c actor.Context, f Frame, m *dht.Incoming) dht.Verdict {
	panicked := true
	defer func() {
		if panicked {
			a.chainPanicked(supervisor.Now(c), f)
		}
	}()
	v := a.chain.HandleStored(m)
	panicked = false
	a.layerPanicked(f, v)
	if v.Reason == dht.Delivered {
		a.dht.trunk.MarkUseful(f.Peer, f.Conn)
	}
	return v
}

// giveStored sends a stored message to its handler, unless the message has come another
// way meanwhile.
func (a *inbound) giveStored(c actor.Context, to *actor.PID, m storedMessage, held *dht.Held) {
	permit := m.Credit.(passedCredit).permit
	if !a.dht.Dedup.Hold(m.hash) {
		holdBy(permit, held)
		m.Credit.Discard()
		a.endedStored(c, Frame{Peer: m.Peer, Conn: m.Conn}, m.end, dht.Duplicate, nil)
		return
	}
	m.Received.Credit = &handlerCredit{passedCredit: m.Credit.(passedCredit), dht: a.dht, hash: m.hash, copies: 1, stored: m.end}
	a.give(c, to, permit, held, m.Received)
}

// releaseStored gives a stored message that has waited to its handler, or drops it.
func (a *inbound) releaseStored(c actor.Context, m storedMessage, r dht.Released[any]) {
	f := Frame{Peer: m.Peer, Conn: m.Conn}
	if r.Fate == dht.FateDrop {
		m.Credit.Discard()
		a.endedStored(c, f, m.end, dht.HandlerStuck, handlerStuck(m.Type))
		return
	}
	handler, ok := a.dht.Types.Get(m.Type)
	if ok && !handler.failed() {
		a.giveStored(c, handler.PID, m, r.Held)
		return
	}
	holdBy(m.Credit.(passedCredit).permit, r.Held)
	m.Credit.Discard()
	if ok {
		a.endedStored(c, f, m.end, dht.HandlerFailed, handlerFailed(m.Type))
		return
	}
	a.endedStored(c, f, m.end, dht.NoHandler, noHandler(m.Type))
}

// endedStored counts a stored message that no handler took, and tells its asker. This node asked for it, so it
// does not count towards a flood.
func (a *inbound) endedStored(c actor.Context, f Frame, end *storedEnd, why dht.Reason, err error) {
	if why == dht.Delivered { // counted when the handler gets it, and told when it has finished it
		return
	}
	end.tell(why)
	a.counts.add(why)
	if err != nil {
		a.counts.failed(why, supervisor.Now(c), f.Peer, err)
		supervisor.Log(c).Debug("stored message dropped", "peer", f.Peer, "conn", f.Conn, "err", err)
	}
}
