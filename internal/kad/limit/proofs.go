package limit

import (
	"math"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/lru"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Amplification is how many times the bytes that an address sent may be sent to it, until
// it is proven that its owner sent them.
const Amplification = 3

// Times of proofs (spec: kad B10.3).
const (
	ProofLife   = 12 * time.Hour   // of a proof
	FreshLife   = 10 * time.Minute // after that the proof is stale: bytes are counted again
	AccountLife = 10 * time.Minute // after that what an address sent and got is forgotten
	ProbeEvery  = 10 * time.Second // between two probes of an address without proof
	AgainEvery  = time.Second      // … of one whose proof is stale
)

// ProofEntries is how many addresses with proof [Proofs] remembers, and how many without.
const ProofEntries = 65_536

// Proofs knows which addresses of UDP belong to who sends from there. The source of a
// datagram can be invented; who answers to a random message id that was sent to an address
// receives what is sent there. Until then the address gets at most [Amplification] times
// what it sent, so that nobody can turn small requests into a flood of somebody else
// (spec: kad B10.3, A9.4). Requests of the node's own lookups are not counted: they answer
// nobody.
//
// A stale proof lets its node store records. Yet bytes to its address are counted again, until
// the next proof: the address may have another owner by now.
//
// When there are too many proofs, the group of addresses ([overlay.Address.Group]) that has most of
// them loses its oldest. Addresses of use ([Proofs.Useful]) go last.
//
// A PONG proves nothing: nodes of the overlay Seed send it with a message id of their own.
type Proofs struct {
	proofs   *shared[overlay.Address, proof]
	accounts *lru.Map[overlay.Address, account]
}

// proof is the last proof of an address. The account counts while it is stale.
type proof struct {
	id      overlay.ID
	at      time.Time
	account account
}

// account is what an address without a fresh proof sent and got since its beginning.
type account struct {
	begin   time.Time
	in, out int
	probed  time.Time
}

// NewProofs returns proofs that have seen nobody.
func NewProofs() *Proofs { return newProofs(ProofEntries) }

func newProofs(entries int) *Proofs {
	return &Proofs{newShared[overlay.Address, proof](entries), lru.New[overlay.Address, account](entries)}
}

// Received counts a datagram of n bytes from an address.
func (p *Proofs) Received(from overlay.Address, n int, now time.Time) {
	if p.Reached(from, now) {
		p.proofs.use(from, overlay.Address.Group)
	}
	if !p.Fresh(from, now) {
		p.account(from, now).in += n
	}
}

// Room returns how many bytes may be sent to an address now.
func (p *Proofs) Room(to overlay.Address, now time.Time) int {
	if p.Fresh(to, now) {
		return math.MaxInt
	}
	a := p.accounts.Get(to)
	if p.Reached(to, now) {
		a = &p.proofs.get(to).account
	}
	if a == nil || now.Sub(a.begin) >= AccountLife {
		return 0
	}
	return Amplification*a.in - a.out
}

// Send reports whether a datagram of n bytes may be sent to an address, and counts it if
// so: of every answer, every probe, and every repetition of a probe.
func (p *Proofs) Send(to overlay.Address, n int, now time.Time) bool {
	if p.Fresh(to, now) {
		return true
	}
	if p.Room(to, now) < n {
		return false
	}
	p.account(to, now).out += n
	return true
}

// Probe reports whether an address from which something came in the name of a node is to
// be asked for a proof with a datagram of n bytes, and counts that datagram if so. It is
// not, if the address was probed less than [ProbeEvery] ago, which leaves a slow node of the
// overlay Seed the time to answer; where the proof is stale, less than [AgainEvery] ago. An
// address with a fresh proof is probed for another id: a node of that overlay has a new one
// after each start.
func (p *Proofs) Probe(to overlay.Address, id overlay.ID, n int, now time.Time) bool {
	every := ProbeEvery
	switch fresh, known := p.Fresh(to, now), p.Proven(to, id, now); {
	case fresh && known:
		return false
	case fresh:
		a := &p.proofs.get(to).account
		if now.Sub(a.probed) < every && !a.probed.IsZero() {
			return false
		}
		a.probed = now
		return true
	case known:
		every = AgainEvery
	}
	a := p.account(to, now)
	if !a.probed.IsZero() && now.Sub(a.probed) < every || !p.Send(to, n, now) {
		return false
	}
	a.probed = now
	return true
}

// Probed returns when the address was probed last, and false if that is not known, or if the
// node with this id has proved since to be there.
func (p *Proofs) Probed(at overlay.Address, id overlay.ID, now time.Time) (when time.Time, ok bool) {
	a := p.accounts.Get(at)
	if p.Reached(at, now) {
		known := p.proofs.get(at)
		if known.id == id && !known.at.Before(known.account.probed) {
			return time.Time{}, false
		}
		a = &known.account
	}
	if a == nil {
		return time.Time{}, false
	}
	return a.probed, !a.probed.IsZero()
}

// Prove says that a message id which was sent to an address came back from there, in a
// list of contacts or with a value, from the node with this id.
func (p *Proofs) Prove(at overlay.Address, id overlay.ID, now time.Time) {
	known := p.proofs.use(at, overlay.Address.Group)
	*known = proof{id: id, at: now, account: account{probed: known.account.probed}}
	p.accounts.Delete(at)
}

// Useful has the proof of an address go last when there are too many: its node has stored a
// record here, or has answered a request of this node.
func (p *Proofs) Useful(at overlay.Address) { p.proofs.keep(at) }

// Reached reports whether somebody at the address has proved to be there.
func (p *Proofs) Reached(at overlay.Address, now time.Time) bool {
	known := p.proofs.get(at)
	return known != nil && now.Sub(known.at) < ProofLife
}

// Fresh reports whether somebody at the address has proved lately to be there.
func (p *Proofs) Fresh(at overlay.Address, now time.Time) bool {
	known := p.proofs.get(at)
	return known != nil && now.Sub(known.at) < FreshLife
}

// Age returns how long ago somebody at the address has proved to be there; 0 without proof.
func (p *Proofs) Age(at overlay.Address, now time.Time) time.Duration {
	if !p.Reached(at, now) {
		return 0
	}
	return now.Sub(p.proofs.get(at).at)
}

// Proven reports whether the node with this id has proved to be at the address. Records of
// others are not kept (spec: kad B10.3).
func (p *Proofs) Proven(at overlay.Address, id overlay.ID, now time.Time) bool {
	return p.Reached(at, now) && p.proofs.get(at).id == id
}

// Remembered returns how many addresses with and without proof are remembered.
func (p *Proofs) Remembered() (proven, unproven int) { return p.proofs.len(), p.accounts.Len() }

// account returns the account of an address; one that is too old begins anew.
func (p *Proofs) account(at overlay.Address, now time.Time) *account {
	var a *account
	if p.Reached(at, now) {
		a = &p.proofs.get(at).account
	} else {
		a = p.accounts.Use(at)
	}
	if a.begin.IsZero() || now.Sub(a.begin) >= AccountLife {
		*a = account{begin: now, probed: a.probed}
	}
	return a
}
