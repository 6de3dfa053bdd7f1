package saf

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Limits of what a client accepts from a server (spec: dht 8.5).
const (
	// AnswerLimit is how many messages a client asks for in one request. A server that
	// sends more in one response commits an offence.
	AnswerLimit = 50
	// ClockSkew is how far a server's clock may be ahead of ours without being counted. A
	// message that was stored later than that by the server's clock is delivered like any
	// other, because the server deletes it afterwards, but counts in [Judged.Ahead] and raises
	// no watermark.
	ClockSkew = 5 * time.Minute
	// ClockOffence is how far ahead of our clock the time of a stored message is an
	// offence.
	ClockOffence = 24 * time.Hour
)

// Judge decides on responses with stored messages, and opens the messages (spec: dht
// 8.5). It is not safe for concurrent use.
type Judge struct {
	secret   *identity.Secret
	key      identity.PublicKey
	seen     func(wire.Hash) uint32
	verifier wire.Verifier
}

// NewJudge returns the judge of the node with the secret. Seen returns how often a message
// was delivered here; it only looks, because a message counts as delivered when an actor
// has it.
func NewJudge(secret *identity.Secret, seen func(wire.Hash) uint32) *Judge {
	return &Judge{secret: secret, key: secret.PublicKey(), seen: seen}
}

// Letter is a stored message for this node that is to be delivered. Its signature has
// verified if it has one, and it is decrypted.
type Letter struct {
	Hash     wire.Hash
	StoredAt uint64 // Unix seconds, by the server's clock
	Envelope wire.Envelope
	From     identity.PublicKey // the author; zero if the message is not signed
	Parts    [][]byte           // of the body: a message for the application
}

// Judged is the decision on one response.
type Judged struct {
	// Letters are the messages to deliver, in this order: the response begins with the
	// newest, and they begin with the oldest. If a message of the response is an offence,
	// the good ones before it are still delivered (Q10).
	Letters  []Letter
	Messages int         // how many messages the response has
	Bytes    int         // of the response
	Skipped  Skips       // those that are not delivered, without an offence
	Hashes   []wire.Hash // of the messages that were looked at and have a valid header
	Ahead    int         // Letters that were stored over [ClockSkew] ahead of our clock
	Newest   uint64      // the latest StoredAt of what is delivered now or was before, those ahead excepted; 0 for none

	// Err says why the response, or the rest of it, is refused. Violation is set if that
	// is an offence of the server.
	Err       error
	Violation *protocol.Violation
}

var (
	errNoContent = errors.New("dht: a response without content")
	errTooMany   = fmt.Errorf("dht: a response with more than %d stored messages", AnswerLimit)
)

// Response decides on a response with these parts of its body. It must be a response that
// this node waits for: see [Client.Open]. Wall is the system's clock. It verifies at most
// [AnswerLimit] signatures.
func (j *Judge) Response(wall time.Time, parts [][]byte) Judged {
	if len(parts) == 0 {
		return Judged{Err: errNoContent}
	}
	r, err := wire.DecodeStoredResponse(parts[0])
	switch {
	case errors.Is(err, wire.ErrTooManyItems):
		return Judged{}.offence(protocol.BanLong, errTooMany)
	case err != nil:
		return Judged{Err: err}
	case len(r.Messages) > AnswerLimit:
		return Judged{Messages: len(r.Messages), Bytes: len(parts[0])}.offence(protocol.BanLong, errTooMany)
	}
	d := Judged{Messages: len(r.Messages), Bytes: len(parts[0])}
	now := uint64(max(0, wall.Unix()))
	for i := range r.Messages {
		if ban, err := j.message(&d, now, &r.Messages[i]); err != nil {
			d = d.offence(ban, fmt.Errorf("stored message %d of %d: %w", i+1, len(r.Messages), err))
			break
		}
	}
	slices.Reverse(d.Letters)
	return d
}

func (d Judged) offence(ban time.Duration, err error) Judged {
	d.Err, d.Violation = err, protocol.Violated("dht", ban, err)
	return d
}

var (
	errEmptyBody = errors.New("dht: empty body")
	errAhead     = fmt.Errorf("dht: stored more than %v in the future", ClockOffence)
	errControl   = errors.New("dht: a message of the DHT itself is never stored")
	errForeign   = errors.New("dht: addressed to another node")
)

// message decides on one message of a response, and adds it to d. An error is an offence
// of the server, with the length of the ban. The checks have the order of the reference
// (spec: dht 8.5/4), but a message that was delivered already is skipped before its
// signature is verified. An expired message is delivered as long as an honest server may
// have it, [dht.StoredLife], which is as long as this node remembers those it has delivered.
func (j *Judge) message(d *Judged, now uint64, m *wire.StoredMessage) (ban time.Duration, err error) {
	e, err := m.Envelope()
	switch {
	case errors.Is(err, wire.ErrNoHeader):
		return protocol.BanMedium, err
	case len(m.Body) == 0:
		return protocol.BanMedium, errEmptyBody
	case m.StoredAt > now+uint64(ClockOffence/time.Second):
		return protocol.BanLong, errAhead
	case err != nil:
		return protocol.BanMedium, err
	}
	if err := e.CheckSemantics(); err != nil {
		return protocol.BanLong, err
	}
	h := &e.Header
	switch {
	case h.Type != wire.TypeDomain:
		return protocol.BanLong, fmt.Errorf("%w: %v", errControl, h.Type)
	case h.Destination.Known && h.Destination.Key != j.key:
		return protocol.BanLong, errForeign
	}
	l := Letter{Hash: e.DedupHash(), StoredAt: m.StoredAt, Envelope: e}
	d.Hashes = append(d.Hashes, l.Hash)
	if j.seen(l.Hash) > 0 || slices.ContainsFunc(d.Letters, func(o Letter) bool { return o.Hash == l.Hash }) {
		d.Skipped[SkipDuplicate]++
		d.note(now, m.StoredAt)
		return 0, nil
	}
	signer, err := j.verifier.Verify(&e)
	switch {
	case errors.Is(err, wire.ErrSignatureBytes):
		return protocol.BanMedium, err
	case err != nil:
		return protocol.BanLong, err
	}
	if h.Expired(int64(now) - int64(dht.StoredLife/time.Second)) { // a fingerprint of it may be gone
		d.Skipped[SkipOld]++
		return 0, nil
	}
	if l.From, l.Parts, err = j.open(&e, signer); errors.Is(err, wire.ErrDecryption) {
		d.Skipped[SkipUndecryptable]++
		return 0, nil
	} else if err != nil {
		return protocol.BanMedium, err
	}
	if _, _, err := wire.SplitDomain(l.Parts); err != nil {
		d.Skipped[SkipBadBody]++
		return 0, nil //nolint:nilerr // such a message is skipped, without an offence
	}
	d.Letters = append(d.Letters, l)
	if !d.note(now, m.StoredAt) {
		d.Ahead++
	}
	return 0, nil
}

// note has the time of storing count for the watermark. It reports false if that is too far
// ahead of our clock for it.
func (d *Judged) note(now, stored uint64) bool {
	if stored > now+uint64(ClockSkew/time.Second) {
		return false
	}
	d.Newest = max(d.Newest, stored)
	return true
}

// open returns the author and the parts of a message whose signature has verified.
func (j *Judge) open(e *wire.Envelope, signer identity.PublicKey) (identity.PublicKey, [][]byte, error) {
	if !e.Header.Encrypted() {
		parts, err := wire.DecodeBody(e.Body)
		return signer, parts, err
	}
	o, err := e.Open(j.secret, signer)
	return o.Origin, o.Parts, err
}
