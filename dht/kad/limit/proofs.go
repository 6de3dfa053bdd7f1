package limit

import (
	"math"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/kad"
)

// Amplification is how many times the bytes that an address sent may be sent to it, until
// it is proven that its owner sent them.
const Amplification = 3

// Times of proofs (spec: kad B10.3).
const (
	ProofLife   = 12 * time.Hour   // of a proof
	AccountLife = 10 * time.Minute // after that what an address sent and got is forgotten
	ProbeEvery  = 10 * time.Second // between two probes of an address
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
// A PONG proves nothing: nodes of the overlay Seed send it with a message id of their own.
type Proofs struct {
	proofs   *recent[kad.Address, proof]
	accounts *recent[kad.Address, account]
}

type proof struct {
	id            kad.ID
	until, probed time.Time
}

// account is what an address without proof sent and got since its beginning.
type account struct {
	begin   time.Time
	in, out int
	probed  time.Time
}

// NewProofs returns proofs that have seen nobody.
func NewProofs() *Proofs {
	return &Proofs{newRecent[kad.Address, proof](ProofEntries), newRecent[kad.Address, account](ProofEntries)}
}

// Received counts a datagram of n bytes from an address.
func (p *Proofs) Received(from kad.Address, n int, now time.Time) {
	if p.Reached(from, now) {
		p.proofs.use(from)
		return
	}
	p.account(from, now).in += n
}

// Room returns how many bytes may be sent to an address now.
func (p *Proofs) Room(to kad.Address, now time.Time) int {
	if p.Reached(to, now) {
		return math.MaxInt
	}
	a := p.accounts.get(to)
	if a == nil || now.Sub(a.begin) >= AccountLife {
		return 0
	}
	return Amplification*a.in - a.out
}

// Send reports whether a datagram of n bytes may be sent to an address, and counts it if
// so: of every answer, every probe, and every repetition of a probe.
func (p *Proofs) Send(to kad.Address, n int, now time.Time) bool {
	if p.Reached(to, now) {
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
// overlay Seed the time to answer. A proven address is probed for another id: a node of
// that overlay has a new one after each start.
func (p *Proofs) Probe(to kad.Address, id kad.ID, n int, now time.Time) bool {
	if p.Reached(to, now) {
		known := p.proofs.get(to)
		if known.id == id || !known.probed.IsZero() && now.Sub(known.probed) < ProbeEvery {
			return false
		}
		known.probed = now
		return true
	}
	a := p.account(to, now)
	if !a.probed.IsZero() && now.Sub(a.probed) < ProbeEvery || !p.Send(to, n, now) {
		return false
	}
	a.probed = now
	return true
}

// Prove says that a message id which was sent to an address came back from there, in a
// list of contacts or with a value, from the node with this id.
func (p *Proofs) Prove(at kad.Address, id kad.ID, now time.Time) {
	known := p.proofs.use(at)
	*known = proof{id: id, until: now.Add(ProofLife), probed: known.probed}
	p.accounts.delete(at)
}

// Reached reports whether somebody at the address has proved to be there.
func (p *Proofs) Reached(at kad.Address, now time.Time) bool {
	known := p.proofs.get(at)
	return known != nil && now.Before(known.until)
}

// Proven reports whether the node with this id has proved to be at the address. Records of
// others are not kept (spec: kad B10.3).
func (p *Proofs) Proven(at kad.Address, id kad.ID, now time.Time) bool {
	return p.Reached(at, now) && p.proofs.get(at).id == id
}

// Remembered returns how many addresses with and without proof are remembered.
func (p *Proofs) Remembered() (proven, unproven int) { return p.proofs.len(), p.accounts.len() }

// account returns the account of an address without proof; one that is too old begins anew.
func (p *Proofs) account(at kad.Address, now time.Time) *account {
	a := p.accounts.use(at)
	if a.begin.IsZero() || now.Sub(a.begin) >= AccountLife {
		*a = account{begin: now, probed: a.probed}
	}
	return a
}
