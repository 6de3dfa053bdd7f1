package gateway

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/limit"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// probeEpoch is how long the ids of probes are made with one number. An answer is late after
// one to two of them.
const probeEpoch = limit.ProbeEvery

// probes makes the ids of probes. Nothing of a probe is remembered, so that nobody can fill
// anything with them: the id is a keyed hash of the address, of the node that is to answer, and
// of the time.
type probes struct {
	secret [32]byte
	idLen  int
	begun  time.Time // of the first epoch
}

func newProbes(idLen int, r overlay.Rand) *probes {
	return &probes{secret: overlay.RandomID(32, r), idLen: idLen}
}

// id returns the id of a probe that is sent now.
func (p *probes) id(to overlay.Address, peer overlay.ID, now time.Time) overlay.RequestID {
	return p.hash(to, peer, p.epoch(now))
}

// sent reports whether an id is that of a probe to an address, sent lately.
func (p *probes) sent(id overlay.RequestID, to overlay.Address, peer overlay.ID, now time.Time) bool {
	for epoch := p.epoch(now); ; epoch-- {
		if own := p.hash(to, peer, epoch); hmac.Equal(own[:], id[:]) {
			return true
		}
		if epoch == 0 || epoch < p.epoch(now) {
			return false
		}
	}
}

func (p *probes) epoch(now time.Time) uint64 {
	if p.begun.IsZero() {
		p.begun = now
	}
	return uint64(max(now.Sub(p.begun), 0) / probeEpoch)
}

func (p *probes) hash(to overlay.Address, peer overlay.ID, epoch uint64) (id overlay.RequestID) {
	h := hmac.New(sha256.New, p.secret[:])
	h.Write(binary.BigEndian.AppendUint64(nil, epoch))
	h.Write(peer[:])
	h.Write([]byte(to))
	copy(id[:cmp.Or(p.idLen, len(id))], h.Sum(nil))
	return id
}

// probe asks an address without a fresh proof for this node's own id, if its bytes allow that.
// A request of this node that is under way there proves as much.
func (m *Machine) probe(now time.Time, r *Request) {
	if m.proofs == nil || m.proofs.Proven(r.Address, r.From.ID, now) && m.rpc.Waits(r.Address) {
		return
	}
	message := overlay.Message{Verb: overlay.FindNode, Sender: m.o.Self, Target: m.o.Self}
	if m.o.Check != nil && m.o.Check(r.Address, &message) != nil ||
		!m.proofs.Probe(r.Address, r.From.ID, m.size(&message), now) {
		return
	}
	message.ID, message.Timeout = m.probes.id(r.Address, r.From.ID, now), probeEpoch
	m.do(&Send{Packet: overlay.Packet{Address: r.Address, Message: message}, Ref: MaxRef})
}

// probed takes in the answer to a probe, and reports false for any other message. A second
// answer changes nothing.
func (m *Machine) probed(now time.Time, r *Request) bool {
	if m.proofs == nil || !r.Message.Verb.Answers(overlay.FindNode) || !m.probes.sent(r.Message.ID, r.Address, r.From.ID, now) {
		return false
	}
	when, known := m.proofs.Probed(r.Address, r.From.ID, now)
	if !known && m.proofs.Proven(r.Address, r.From.ID, now) {
		return false
	}
	m.prove(now, r)
	met := &Met{Contact: r.From}
	if known {
		met.Took, met.Measured = now.Sub(when), true
	}
	m.do(met)
	return true
}

// prove notes that a node receives what is sent to its address. What has waited for that is
// sent.
func (m *Machine) prove(now time.Time, r *Request) {
	m.proofs.Prove(r.Address, r.From.ID, now)
	m.firstSeen.Note(r.Address, now)
	m.release(now, r.Address)
}
