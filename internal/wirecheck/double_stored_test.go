package wirecheck

import (
	"crypto/rand"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
)

// doubleStored is a message that the double keeps for somebody.
type doubleStored struct {
	e  wire.Envelope
	at int64 // Unix seconds
}

// keep stores a message for somebody else.
func (m *doubleMux) keep(e wire.Envelope) {
	now := time.Now().Unix()
	switch {
	case m.has("stores nothing"),
		!e.Header.Encrypted() && !m.has("stores what is clear"),
		e.Header.Expired(now) && !m.has("stores what has expired"):
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = append(m.kept, doubleStored{e, now})
}

// giveStored answers a request for stored messages; false ends the connection.
func (m *doubleMux) giveStored(encrypted bool, body []byte) bool {
	parts, err := wire.DecodeBody(body)
	var ask wire.StoredRequest
	if err == nil && len(parts) > 0 {
		ask, err = wire.DecodeStoredRequest(parts[0])
	}
	switch {
	case err != nil && m.has("ends at malformed requests"):
		return false
	case err != nil && !m.has("answers malformed requests"),
		encrypted && m.has("opens no requests"), m.has("answers no requests"):
		return true
	}
	r := wire.StoredResponse{RequestID: ask.RequestID, Messages: m.storedFor(ask)}
	switch {
	case m.has("answers with another request id"):
		r.RequestID++
	case m.has("answers with type 1"):
		r.Type = 1
	}
	d := draft(wire.TypeStoredMessages, wire.Destination{}, wire.AppendBody(nil, r.Append(nil)))
	switch {
	case m.has("answers requests signed"):
		d.Sign = true
	case m.has("names who asks"):
		d.Destination = wire.To(m.peer)
	}
	m.compose(d)
	return true
}

// compose sends a message of the double's own.
func (m *doubleMux) compose(d wire.Draft) {
	e, _ := wire.Compose(d, m.secret, rand.Reader)
	m.post(e.Append(nil))
}

// storedFor returns the messages for the peer, the newest first.
func (m *doubleMux) storedFor(ask wire.StoredRequest) (all []wire.StoredMessage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range slices.Backward(m.kept) {
		if !k.e.Header.Destination.Is(m.peer) && !m.has("gives stored messages to anybody") || k.at <= int64(ask.Since) && ask.Since > 0 {
			continue
		}
		at := k.at
		if m.has("stores ahead of time") {
			at += 3600
		}
		if m.has("alters stored messages") {
			k.e.Header.Tag++
		}
		all = append(all, wire.NewStoredMessage(k.e, uint64(at)))
	}
	if m.has("lists the oldest message first") {
		slices.Reverse(all)
	}
	if ask.Since > 0 && m.has("deletes what is older") {
		m.kept = slices.DeleteFunc(m.kept, func(k doubleStored) bool { return k.at < int64(ask.Since) })
	}
	limit := 50
	if ask.Limit > 0 && !m.has("gives more than was asked for") {
		limit = min(limit, int(ask.Limit))
	}
	return all[:min(limit, len(all))]
}

// askStored asks the peer for stored messages.
func (m *doubleMux) askStored() {
	if m.has("asks nobody") {
		return
	}
	m.asked++
	ask := wire.StoredRequest{RequestID: 7, Limit: 50}
	if m.has("asks without a limit") {
		ask.Limit = 0
	}
	d := draft(wire.TypeStoredRequest, wire.Destination{}, wire.AppendBody(nil, ask.Append(nil)))
	switch {
	case m.has("asks signed"):
		d.Sign = true
	case m.has("asks with a destination"):
		d.Destination = wire.To(m.peer)
	}
	m.compose(d)
}

// takeStored takes an answer; false ends the connection.
func (m *doubleMux) takeStored(body []byte) bool {
	if m.asked == 0 && !m.has("takes answers that it did not ask for") {
		return true
	}
	m.asked--
	if m.has("takes every answer") {
		return true
	}
	parts, err := wire.DecodeBody(body)
	if err != nil || len(parts) == 0 {
		return true
	}
	r, err := wire.DecodeStoredResponse(parts[0])
	if err != nil {
		return true
	}
	if len(r.Messages) == 0 && m.has("ends at empty answers") {
		return false
	}
	return len(r.Messages) <= 50 && !slices.ContainsFunc(r.Messages, m.hostileStored)
}

// hostileStored reports whether the double bans for a stored message.
func (m *doubleMux) hostileStored(s wire.StoredMessage) bool {
	ahead := 24 * time.Hour
	if m.has("bans clocks that are ahead") {
		ahead = 0
	}
	e, err := s.Envelope()
	if err != nil || len(s.Body) == 0 || s.StoredAt > uint64(time.Now().Add(ahead).Unix()) {
		return true
	}
	_, err = e.VerifyOrigin()
	return err != nil || e.Header.Type != wire.TypeDomain || e.Header.Destination.Known && !e.Header.Destination.Is(m.secret.PublicKey())
}
