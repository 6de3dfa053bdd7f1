package wirecheck

import (
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// storedChecks are those of store and forward. A node of release 6.2 has none and is not
// blamed for it.
func storedChecks() []Check {
	return needSession(append([]Check{
		{Name: "stored.answered", Rules: "dht 99", Title: "a request is answered, if only with nothing: its id, type 0", run: storedAnswered},
		{Name: "stored.encrypted", Rules: "dht 99", Title: "an encrypted request is answered too", run: storedEncrypted},
		{Name: "stored.malformed", Rules: "dht 99", Title: "what is no request gets neither an answer nor a ban", run: storedMalformed},
		{Name: "stored.unasked", Rules: "dht 101", Title: "an answer that it did not ask for is dropped without a ban", run: storedUnasked},
		{Name: "stored.owner", Rules: "dht 92, 98", Title: "a stored message comes to the one it is for, unaltered", pair: true, run: storedOwner},
		{Name: "stored.others", Rules: "dht 98", Title: "nobody else gets it", pair: true, run: storedOthers},
		{Name: "stored.limit", Rules: "dht 98", Title: "an answer holds no more messages than were asked for", pair: true, run: storedLimit},
		{Name: "stored.order", Rules: "dht 98", Title: "an answer lists the newest message first", pair: true, run: storedOrder},
		{Name: "stored.kinds", Rules: "dht 92", Title: "what is clear, or has expired, is not stored", pair: true, run: storedKinds},
		{Name: "stored.since", Rules: "dht 98, 100", Title: "a request for newer ones deletes nothing of other people's", pair: true, run: storedSince},
	}, storedClientChecks()...))
}

func storedAnswered(p *probe) error {
	m, err := p.asker()
	if err != nil {
		return err
	}
	r, err := m.mustStored(wire.StoredRequest{Limit: storedLimitOf})
	if err != nil {
		return err
	}
	if len(r.Messages) > 0 {
		return differs("no messages for a new key", "%d", len(r.Messages))
	}
	return m.goesOn(1)
}

// storedLimitOf is how many messages every node asks for.
const storedLimitOf = 50

func storedEncrypted(p *probe) error {
	m, err := p.asker()
	if err != nil {
		return err
	}
	r, err := m.stored(wire.StoredRequest{Limit: storedLimitOf}, true)
	if err == nil && r == nil {
		err = differs("an answer to an encrypted request", "none within %v", patience)
	}
	if err != nil {
		return err
	}
	return m.goesOn(1)
}

func storedMalformed(p *probe) error {
	m, err := p.asker()
	if err != nil {
		return err
	}
	for _, part := range [][]byte{[]byte("\xff\xff\xff"), {0x08}} {
		b, err := m.request(part, false)
		if err != nil {
			return err
		}
		if err := m.post(b); err != nil {
			return err
		}
		what := "a request that is " + around(part, 0)
		raw, _, err := m.letter(wire.TypeStoredMessages, 2*quiet)
		if err == nil && raw != nil {
			err = differs("no answer", "%s", around(raw, 0))
		}
		if err != nil {
			return after(what, err)
		}
		if err := m.goesOn(1); err != nil {
			return after(what, err)
		}
	}
	_, err = m.mustStored(wire.StoredRequest{Limit: storedLimitOf})
	return after("requests that are none", err)
}

func storedUnasked(p *probe) error {
	m, err := p.enter(identity.FeatureNone)
	if err != nil {
		return err
	}
	b, err := m.hostile(nil) // for which it would ban if it had asked
	if err != nil {
		return err
	}
	if err := m.reply(wire.StoredResponse{RequestID: uint32(nonce()), Messages: []wire.StoredMessage{b}}); err != nil {
		return err
	}
	return after("an answer that it did not ask for", m.stays(1))
}

// aheadMost is how far a node's clock may be ahead of ours.
const aheadMost = 5 * time.Minute

// owner connects as somebody who was away when the writer sent count messages.
func (p *probe) owner(count int) (owner, writer *member, letters [][]byte, err error) {
	if err := p.away(); err != nil {
		return nil, nil, nil, err
	}
	if writer, err = p.writer(); err != nil {
		return nil, nil, nil, err
	}
	if letters, err = writer.leave(p.secret.PublicKey(), count); err != nil {
		return nil, nil, nil, err
	}
	owner, err = p.enter(identity.FeatureNone)
	return owner, writer, letters, err
}

func storedOwner(p *probe) error {
	began := time.Now()
	m, _, letters, err := p.owner(1)
	if err != nil {
		return err
	}
	r, err := m.fetch(wire.StoredRequest{Limit: storedLimitOf}, letters...)
	if err != nil {
		return err
	}
	i, err := find(r, letters[0])
	if err != nil {
		return err
	}
	at := time.Unix(int64(r.Messages[i].StoredAt), 0)
	if at.After(time.Now().Add(aheadMost)) || at.Before(began.Add(-aheadMost)) {
		return differs(fmt.Sprintf("the time at which it was stored, %d ± 300", began.Unix()), "%d", r.Messages[i].StoredAt)
	}
	return m.goesOn(1)
}

func storedOthers(p *probe) error {
	m, writer, letters, err := p.owner(1)
	if err != nil {
		return err
	}
	// Before its owner asks, and after.
	foreign := func() error {
		r, err := writer.mustStored(wire.StoredRequest{Limit: storedLimitOf})
		if err == nil && len(r.Messages) > 0 {
			err = differs("no messages for one to whom nobody wrote", "%d", len(r.Messages))
		}
		return err
	}
	if err := foreign(); err != nil {
		return err
	}
	if _, err := m.fetch(wire.StoredRequest{Limit: storedLimitOf}, letters...); err != nil {
		return err
	}
	return foreign()
}

func storedLimit(p *probe) error {
	m, _, letters, err := p.owner(3)
	if err != nil {
		return err
	}
	for range 2 {
		r, err := m.fetch(wire.StoredRequest{Limit: 1}, letters...)
		if err == nil && len(r.Messages) > 1 {
			err = differs("one message", "%d", len(r.Messages))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// storedApart is longer than what tells times apart when messages are stored.
const storedApart = 1100 * time.Millisecond

func storedOrder(p *probe) error {
	if err := p.away(); err != nil {
		return err
	}
	writer, err := p.writer()
	if err != nil {
		return err
	}
	var letters [][]byte
	for range 2 {
		l, err := writer.leave(p.secret.PublicKey(), 1)
		if err != nil {
			return err
		}
		letters = append(letters, l...)
		writer.Wait(storedApart, func() bool { return false })
	}
	m, err := p.enter(identity.FeatureNone)
	if err != nil {
		return err
	}
	for range 3 { // the first answer may come before both are stored
		r, err := m.fetch(wire.StoredRequest{Limit: storedLimitOf}, letters...)
		if err != nil {
			return err
		}
		older, err := find(r, letters[0])
		if err != nil {
			return err
		}
		newer, err := find(r, letters[1])
		switch {
		case err != nil:
			return err
		case older < 0 || newer < 0:
			continue
		case newer > older:
			return differs("the newest message first", "it as number %d, the older one as number %d", newer+1, older+1)
		}
		return nil
	}
	return inapplicable("it had no answer with both messages")
}

func storedKinds(p *probe) error {
	if err := p.away(); err != nil {
		return err
	}
	writer, err := p.writer()
	if err != nil {
		return err
	}
	key := p.secret.PublicKey()
	for _, change := range []func(d *wire.Draft){
		func(d *wire.Draft) { d.EncryptFor, d.Sign = identity.PublicKey{}, true },
		func(d *wire.Draft) { d.Expires = uint64(time.Now().Add(-time.Hour).Unix()) },
	} {
		b, err := writer.sealedFor(key, change)
		if err != nil {
			return err
		}
		if err := writer.post(b); err != nil {
			return err
		}
	}
	letters, err := writer.leave(key, 1)
	if err != nil {
		return err
	}
	m, err := p.enter(identity.FeatureNone)
	if err != nil {
		return err
	}
	r, err := m.fetch(wire.StoredRequest{Limit: storedLimitOf}, letters...)
	if err != nil {
		return err
	}
	for i := range r.Messages {
		e, err := r.Messages[i].Envelope()
		switch {
		case err != nil:
			return differs("messages that decode", "%v", err)
		case !e.Header.Encrypted():
			return differs("encrypted messages only", "a clear one")
		case e.Header.Expired(time.Now().Unix()):
			return differs("messages that have not expired", "one that expired at %d", e.Header.Expires)
		}
	}
	return nil
}

func storedSince(p *probe) error {
	if p.Release != protocol.Release6 { // it would delete what others wait for
		return inapplicable("release " + p.Release.String() + " does otherwise")
	}
	// That something is stored for the one shows that its key is close enough.
	m, writer, letters, err := p.owner(1)
	if err != nil {
		return err
	}
	if _, err := m.fetch(wire.StoredRequest{Limit: storedLimitOf}, letters...); err != nil {
		return err
	}
	if err := m.goesOn(1); err != nil { // the node knows that its answer has come
		return err
	}
	m.wire.Close() // it goes away again, because what it reads at once need not be kept
	m.Wait(patience, func() bool { return m.Err() != nil })
	if letters, err = writer.leave(p.secret.PublicKey(), 1); err != nil {
		return err
	}
	writer.Wait(storedApart, func() bool { return false })
	future := uint64(time.Now().Add(time.Hour).Unix())
	r, err := writer.mustStored(wire.StoredRequest{Since: future, Limit: storedLimitOf})
	switch {
	case err != nil:
		return err
	case len(r.Messages) > 0:
		return differs("no messages that are newer than now", "%d", len(r.Messages))
	}
	if m, err = p.enter(identity.FeatureNone); err != nil {
		return err
	}
	_, err = m.fetch(wire.StoredRequest{Limit: storedLimitOf}, letters...)
	if _, none := err.(inapplicable); none {
		err = differs("a message that is still stored", "none")
	}
	return after("another's request with a time in since", err)
}
