package dht

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Handler decides on a message, or leaves the decision to the next handler.
type Handler func(*Incoming) Verdict

// Layer returns a handler that stands in front of next. The handler must neither
// block nor keep the message. It ends a message by returning
// [Verdict]{Reason: [Stopped]} with an error that says why.
type Layer func(next Handler) Handler

// Position is where a layer of the application's stands in the inbound chain.
type Position uint8

const (
	// BeforeVerify: the header is decoded and has not expired; the signature is
	// not verified yet.
	BeforeVerify Position = iota
	// AfterDedup: the signature verifies, a message for us is decrypted, and it is
	// not a duplicate. Messages for others pass here too.
	AfterDedup
	// BeforeDeliver: the message goes to one of the application's handlers.
	BeforeDeliver
	positions
)

// Valid reports whether the position exists.
func (p Position) Valid() bool { return p < positions }

// String returns the name of the position.
func (p Position) String() string {
	switch p {
	case BeforeVerify:
		return "before verify"
	case AfterDedup:
		return "after dedup"
	case BeforeDeliver:
		return "before deliver"
	}
	return fmt.Sprintf("position %d", uint8(p))
}

// Inbound is the chain of handlers that every message from a peer goes through, in
// one pass without blocking (spec: dht 1.3).
type Inbound struct {
	secret      *identity.Secret
	key         identity.PublicKey
	features    identity.Features
	occurrences uint32
	dedup       *Dedup
	known       func(identity.NodeID) bool
	unreached   *Unreached
	endsHere    bool // nothing is relayed
	chain       Handler
	stored      Handler // of messages that a server had stored for us
	verifier    wire.Verifier
	layered     bool     // there are layers before the signature is verified
	running     Position // of the application's layer that runs now; positions: none
}

// InboundOptions are the settings of an [Inbound].
type InboundOptions struct {
	Secret   *identity.Secret
	Features identity.Features // our own: without StoreForward nothing is relayed
	// NoForwarding says that nothing is relayed, so that no peer is banned for a message
	// that comes back to its destination. The verdicts on other messages do not change.
	NoForwarding bool
	Dedup        *Dedup
	// Known reports whether the peer store has a peer.
	Known func(identity.NodeID) bool
	// Occurrences is how many copies of a message are let through before further
	// ones are duplicates; 0 is one. Copies after the first are let through only of
	// clear messages that name no destination.
	Occurrences uint32
	// Unreached remembers messages that did not reach all peers that they were
	// relayed to. It may be nil.
	Unreached *Unreached
	Layers    map[Position][]Layer // at each position the first is outermost
}

// NewInbound returns the chain.
func NewInbound(o InboundOptions) *Inbound {
	in := &Inbound{
		secret: o.Secret, key: o.Secret.PublicKey(), features: o.Features,
		occurrences: max(1, o.Occurrences), dedup: o.Dedup, known: o.Known, unreached: o.Unreached, endsHere: o.NoForwarding,
	}
	in.stored = in.wrap(in.deliver, o.Layers, BeforeDeliver)
	h := in.dispatch(in.stored)
	h = in.wrap(h, o.Layers, AfterDedup)
	h = in.count(in.relay(h))
	h = in.verify(h)
	in.chain = in.wrap(h, o.Layers, BeforeVerify)
	in.layered = len(o.Layers[BeforeVerify]) > 0
	return in
}

// wrap puts the layers of a position in front of h, and records which layer runs, so
// that Handle can tell a panic of a layer from one of the chain.
func (in *Inbound) wrap(h Handler, layers map[Position][]Layer, at Position) Handler {
	for _, l := range slices.Backward(layers[at]) {
		h = in.during(at, l(in.during(positions, h)))
	}
	return h
}

// during returns h with running set to a position while h runs.
func (in *Inbound) during(at Position, h Handler) Handler {
	return func(m *Incoming) Verdict {
		before := in.running
		in.running = at
		v := h(m)
		in.running = before
		return v
	}
}

// Handle returns the decision on a message, and the message as far as it was decoded.
// It must not be called concurrently. Now is a clock that never steps; wall is the
// system's clock, which decides whether a message has expired. A panic in a layer ends
// the message as [Panicked], with a [*LayerPanic]; any other panic goes on. The caller
// ends the first copy of a [Delivered] message with [Dedup.Release].
func (in *Inbound) Handle(now, wall time.Time, f Frame) (m *Incoming, v Verdict) {
	m = &Incoming{Now: now, Wall: wall, Source: f.Source, Key: f.Key, proof: f.Proof}
	var err error
	if m.Envelope, err = wire.DecodeEnvelope(f.Body); errors.Is(err, wire.ErrEnvelope) {
		return m, Verdict{Reason: Undecodable, Err: err}
	}
	if !in.known(f.Source) {
		return m, Verdict{Reason: UnknownSource}
	}
	if err != nil { // the header is refused
		return m, Verdict{Reason: Undecodable, Err: err}
	}
	h := &m.Envelope.Header
	switch {
	case h.Type == wire.TypeStoredRequest && in.features&identity.FeatureStoreForward == 0:
		return m, Verdict{Reason: NoStore}
	case h.Expired(wall.Unix()):
		return m, Verdict{Reason: Expired}
	}
	defer func() {
		if m.Copies == 1 && v.Reason != Delivered && m.forHandler() {
			in.dedup.Release(m.Hash, m.Source, m.Wall, true)
		}
	}()
	return m, in.guard(func() Verdict { return in.chain(m) })
}

// forHandler reports whether the message is for a handler of the application, once its
// signature has verified.
func (m *Incoming) forHandler() bool {
	return !m.Sealed && m.Envelope.Header.Type == wire.TypeDomain
}

// guard calls h. If a layer of the application panics in it, the message ends as
// [Panicked].
func (in *Inbound) guard(h func() Verdict) (v Verdict) {
	in.running = positions
	defer func() {
		if at := in.running; at.Valid() {
			v = Verdict{Reason: Panicked, Err: &LayerPanic{Layer: at.String(), Value: recover(), Stack: debug.Stack()}}
		}
	}()
	return h()
}

// verify verifies the message's signature, and decrypts a message for us. A duplicate
// ends before that at the cost of one hash; it is counted, so that dedup does not
// forget a message that keeps coming. A message is counted only after its signature
// has verified, so a tampered copy never suppresses the genuine message (spec: dht
// 4.2). A copy of a message that did not reach all peers that it was relayed to is
// verified like the first copy, and goes to the missed peers alone.
func (in *Inbound) verify(next Handler) Handler {
	return func(m *Incoming) Verdict {
		e := &m.Envelope
		if err := e.CheckSemantics(); err != nil {
			return Verdict{Reason: BadSemantics, Err: err, Violation: violation(err)}
		}
		if m.Hash = m.proof.hash; !m.proof.hashed {
			m.Hash = e.DedupHash()
		}
		if seen := in.dedup.Seen(m.Hash); seen > 0 && in.unreached.Has(m.Hash) {
			m.Again = true
		} else if seen >= in.occurrences {
			m.Copies = in.dedup.Count(m.Hash, m.Source, m.Wall)
			return Verdict{Reason: Duplicate}
		}
		signer := m.proof.signer
		if !m.proof.proven {
			var err error
			if signer, err = in.verifier.Verify(e); err != nil {
				return Verdict{Reason: BadSignature, Err: err, Violation: violation(err)}
			}
		}
		var err error
		switch {
		case !e.Header.Encrypted():
			if m.Parts, err = wire.DecodeBody(e.Body); err != nil {
				return Verdict{Reason: BadBody, Err: err}
			}
			m.Origin = signer
		case !e.Header.Destination.Is(in.key):
			m.Sealed = true
		default:
			o, err := e.Open(in.secret, signer)
			if err != nil {
				return Verdict{Reason: Undecryptable, Err: err}
			}
			m.Origin, m.Parts = o.Origin, o.Parts
		}
		if m.Again {
			return in.again(m)
		}
		return next(m)
	}
}

// again relays a copy to the peers that an earlier one did not reach.
func (in *Inbound) again(m *Incoming) Verdict {
	m.Copies = in.dedup.Count(m.Hash, m.Source, m.Wall)
	h := &m.Envelope.Header
	switch {
	case !m.Sealed || !h.Type.Relayable():
		return Verdict{Reason: Duplicate}
	case h.Destination.Is(m.Key):
		return in.returned()
	}
	return Verdict{Reason: RelayedAgain, Relay: Propagate{To: h.Destination.Key, Exclude: []identity.NodeID{m.Source}}}
}

// violation returns the offence of a peer that sends what it could have refused
// itself.
func violation(err error) *protocol.Violation {
	return protocol.Violated("dht", protocol.BanLong, err)
}

// count counts the message, whose signature has verified.
func (in *Inbound) count(next Handler) Handler {
	return func(m *Incoming) Verdict {
		if m.forHandler() {
			m.Copies = in.dedup.countOpen(m.Hash, m.Source, m.Wall)
		} else {
			m.Copies = in.dedup.Count(m.Hash, m.Source, m.Wall)
		}
		h := &m.Envelope.Header
		switch {
		case m.Copies > in.occurrences:
			return Verdict{Reason: Duplicate}
		case m.Copies > 1 && (h.Type != wire.TypeDomain || h.Destination.Known):
			return Verdict{Reason: NotRepeated}
		}
		return next(m)
	}
}

var errReturned = errors.New("dht: a message for the peer that sent it")

// returned returns the verdict on a message that came from its own destination. Only a node
// that relays holds it against the peer (spec: dht 6).
func (in *Inbound) returned() Verdict {
	v := Verdict{Reason: ReturnedToOwner, Err: errReturned}
	if !in.endsHere {
		v.Violation = protocol.Violated("dht", protocol.BanMedium, errReturned)
	}
	return v
}

// relay relays a message that is encrypted for somebody else (spec: dht 6).
func (in *Inbound) relay(next Handler) Handler {
	return func(m *Incoming) Verdict {
		v := next(m)
		if !m.Sealed || v.Reason != ForOthers {
			return v
		}
		if in.features&identity.FeatureStoreForward == 0 {
			return v
		}
		h := &m.Envelope.Header
		switch {
		case !h.Type.Relayable(), h.Destination.Key.IsZero(): // nobody has the key zero
			return v
		case h.Destination.Is(m.Key):
			return in.returned()
		}
		exclude := []identity.NodeID{m.Source}
		v.Relay = Propagate{To: h.Destination.Key, Exclude: exclude}
		if storable(m) {
			v.Store = DirectOrClosest{To: h.Destination.Key.NodeID(), Exclude: exclude, ConnectedOnly: true}
		}
		return v
	}
}

// dispatch ends messages for others and messages of the DHT itself.
func (in *Inbound) dispatch(deliver Handler) Handler {
	return func(m *Incoming) Verdict {
		switch {
		case m.Sealed:
			return Verdict{Reason: ForOthers}
		case m.Envelope.Header.Type != wire.TypeDomain:
			return Verdict{Reason: Handled}
		}
		return deliver(m)
	}
}

// deliver decodes a message for the application.
func (in *Inbound) deliver(m *Incoming) Verdict {
	h, body, err := wire.SplitDomain(m.Parts)
	if err != nil {
		return Verdict{Reason: BadBody, Err: err}
	}
	return Verdict{Reason: Delivered, Domain: &Domain{Type: h.Type, Nonce: h.Nonce, Body: body}}
}
