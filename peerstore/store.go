package peerstore

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// DefaultMaxPeers is how many peers a store holds unless told otherwise.
//
// spec: V31.
const DefaultMaxPeers = 50_000

// Errors of [Store.Add].
var (
	ErrBadPeer = errors.New("peerstore: not a peer")
	ErrSelf    = errors.New("peerstore: this node's own key")
	ErrFull    = errors.New("peerstore: full")
)

// Options configure a store. The zero value is a store of a public network.
type Options struct {
	Self          identity.NodeID // our own id, which is never stored
	TestAddresses bool            // keep claimed addresses that are not external (V4)
	MaxPeers      int             // 0: DefaultMaxPeers

	// Now is the system's clock. A ban that was made later than that, before the
	// clock was set back, begins anew: it lasts no longer than it was meant to.
	// Zero: bans stay as they are.
	Now time.Time

	// Connected reports peers that must not be removed to make room, because
	// we are connected to them. nil: none. It must be quick and not use the
	// store.
	Connected func(identity.NodeID) bool
}

// Store is the peer store. Its methods are for its one writer and do not block;
// any number of goroutines may use its View meanwhile.
type Store struct {
	db     kv.Client
	o      Options
	shared *shared // the writer's

	mu      sync.RWMutex // short: held over memory only
	index   index
	dirty   map[identity.NodeID]change // what is not on the disk, or not surely
	fresh   []identity.NodeID          // of these, what no open Batch holds
	version uint64
	space   pruner
	opened  time.Time // Options.Now, shifted as bans are

	commit   sync.Mutex  // one Commit at a time
	lost     bool        // under commit: the disk has lost what was not synced, and has not got it back
	unsynced atomic.Bool // something was written since the last sync

	damaged int
}

// keyPrefix is the first byte of a record's key; the node id follows.
const keyPrefix = 'p'

func recordKey(id identity.NodeID) []byte { return append([]byte{keyPrefix}, id[:]...) }

// Open loads the store that db holds. Records that cannot be read are left where
// they are, and counted: see [Store.Damaged]. The caller closes db, after the
// last Commit.
func Open(db kv.DB, o Options) (*Store, error) {
	if o.MaxPeers <= 0 {
		o.MaxPeers = DefaultMaxPeers
	}
	s := &Store{db: db.Client(), o: o, shared: newShared(), dirty: make(map[identity.NodeID]change)}
	parts, err := readParts(db)
	if err != nil {
		return nil, fmt.Errorf("read the peer store: %w", err)
	}
	for _, part := range parts { // in the order of the ids
		s.damaged += part.damaged
		for _, p := range part.peers {
			s.index.put(p)
			s.space.added(p)
		}
	}
	s.startBans(o.Now)
	return s, nil
}

// MaxPeers returns how many peers the store holds at most.
func (s *Store) MaxPeers() int { return s.o.MaxPeers }

// Damaged returns how many records could not be read when the store was opened.
func (s *Store) Damaged() int { return s.damaged }

// Add stores a peer, or merges it into the record there is, and returns the
// result. A claim in it must have been verified. Addresses that may not be kept
// are left out. It fails with ErrBadPeer, ErrSelf, or ErrFull when the store is
// at its limit with peers that must stay.
//
// spec: comms 1.5, 12.2; V4, V5, V11, V31.
func (s *Store) Add(now time.Time, p Peer) (Peer, error) {
	if p.Key.IsZero() {
		return Peer{}, fmt.Errorf("%w: it has no key", ErrBadPeer)
	}
	id := p.Key.NodeID()
	switch {
	case !p.ID.IsZero() && p.ID != id:
		return Peer{}, fmt.Errorf("%w: key %s belongs to node %s, not %s", ErrBadPeer, p.Key, id, p.ID)
	case id == s.o.Self:
		return Peer{}, ErrSelf
	}
	now = moment(now)
	p.ID = id
	if p.AddedAt.IsZero() {
		p.AddedAt = now
	}
	if !p.BannedUntil.IsZero() && p.BannedAt.IsZero() { // it was made elsewhere
		p.BannedAt = now
	}
	p = clean(p, s.o.TestAddresses)
	s.shared.share(&p)

	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.index.get(id); old != nil {
		m := merge(old, p, now)
		s.replace(m)
		return *m, nil
	}
	if !s.room(now, &p) {
		return Peer{}, fmt.Errorf("%w: all %d peers are connected, configured, reached or banned; allow more of them or forget some", ErrFull, s.index.n)
	}
	if len(p.Addresses) == 0 {
		p.Claim = nil // it says nothing that we use (V5)
	}
	p.Addresses = slices.Clip(rank(p.Addresses, now))
	s.replace(&p)
	return p, nil
}

// Import stores a record that was exported, whose claim has been verified: as
// Add does, and if it is but a ban of a node id, as BanNode. It also says whether
// the peer was unknown.
func (s *Store) Import(now time.Time, p Peer) (merged Peer, added bool, err error) {
	_, known := s.View().Get(p.ID)
	if p.Key.IsZero() {
		if p.ID == s.o.Self {
			return Peer{}, false, ErrSelf
		}
		return s.BanNode(now, p.ID, p.BannedUntil, p.BanReason), !known, nil
	}
	merged, err = s.Add(now, p)
	return merged, !known, err
}

// Ban bans the node with the given key until the given time, known or not. A
// longer ban that is there stays, with its reason. Readers see the ban at once,
// and it holds whether or not it can be written.
//
// spec: comms 11.6, 14.1 point 3; V31.
func (s *Store) Ban(now time.Time, key identity.PublicKey, until time.Time, reason string) Peer {
	p, _ := s.BanFrom(now, key.NodeID(), key, until, reason, 0)
	return p
}

// BanNode is Ban for a node whose key may not be known.
func (s *Store) BanNode(now time.Time, id identity.NodeID, until time.Time, reason string) Peer {
	p, _ := s.BanFrom(now, id, identity.PublicKey{}, until, reason, 0)
	return p
}

// BanFrom is Ban for an offence that came from there; the key may be zero. A ban
// of a peer that was never reached is not stored, and ok false, when there are
// MaxBans of such and the origin is a source: that is to be refused instead. Any
// other ban is stored.
//
// spec: V31.
func (s *Store) BanFrom(now time.Time, id identity.NodeID, key identity.PublicKey, until time.Time, reason string, origin Origin) (_ Peer, ok bool) {
	now = moment(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := Peer{ID: id, Key: key, AddedAt: now, Origin: origin}
	old := s.index.get(id)
	if old != nil {
		p = *old
		if p.Key.IsZero() {
			p.Key = key
		}
	}
	if until = moment(until); until.After(p.BannedUntil) {
		p.BannedUntil, p.BannedAt, p.BanReason = until, now, printable(reason)
	}
	if condemned(&p) && (old == nil || !condemned(old)) && !s.roomForBan(now, origin) {
		return p, false
	}
	if old == nil {
		s.room(now, &p) // a ban is kept even where nothing else can go
	}
	s.replace(&p)
	return p, true
}

// Unban ends a ban and reports whether there was one.
func (s *Store) Unban(id identity.NodeID) bool {
	return s.update(id, func(p *Peer) bool {
		if p.BannedUntil.IsZero() {
			return false
		}
		p.BannedUntil, p.BannedAt, p.BanReason = time.Time{}, time.Time{}, ""
		return true
	})
}

// Seen notes that we reached the peer at addr, and the latency of the handshake
// if it is not 0. It is for addresses that we dialled: an inbound connection
// proves none. It reports whether the peer has that address.
//
// spec: comms 12.2; V10.
func (s *Store) Seen(now time.Time, id identity.NodeID, addr ma.Multiaddr, latency time.Duration) bool {
	return s.stat(now, id, addr, func(a *Address, now time.Time) {
		a.seen(now)
		if latency > 0 {
			a.Latency = a.Latency.with(latency)
		}
	})
}

// DialTook notes how long it took to open the transport to addr, which is a
// sign of life too.
//
// spec: comms 12.2.
func (s *Store) DialTook(now time.Time, id identity.NodeID, addr ma.Multiaddr, took time.Duration) bool {
	return s.stat(now, id, addr, func(a *Address, now time.Time) {
		a.DialTime = a.DialTime.with(took)
		a.LastSeen = now
	})
}

// DialFailed notes that a dial of addr failed, and why.
//
// spec: comms 12.2.
func (s *Store) DialFailed(now time.Time, id identity.NodeID, addr ma.Multiaddr, reason string) bool {
	if reason = printable(reason); reason == "" {
		reason = "failed"
	}
	return s.stat(now, id, addr, func(a *Address, now time.Time) { a.failed(now, reason) })
}

func (s *Store) stat(now time.Time, id identity.NodeID, addr ma.Multiaddr, change func(*Address, time.Time)) bool {
	now = moment(now)
	return s.update(id, func(p *Peer) bool {
		i := find(p.Addresses, addr)
		if i < 0 {
			return false
		}
		change(&p.Addresses[i], now)
		p.Addresses = rank(p.Addresses, now)
		return true
	})
}

// Forget removes a peer with all that is known of it, also a ban, and reports
// whether it was there.
func (s *Store) Forget(id identity.NodeID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remove(id)
}

// update changes a copy of a record and puts it in the record's place if change
// says so.
func (s *Store) update(id identity.NodeID, change func(*Peer) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.index.get(id)
	if old == nil {
		return false
	}
	p := *old
	p.Addresses = slices.Clone(old.Addresses)
	if !change(&p) {
		return false
	}
	s.replace(&p)
	return true
}

// replace puts p, never to be changed again, in the index. The caller holds mu.
func (s *Store) replace(p *Peer) {
	s.space.removed(s.index.get(p.ID))
	s.index.put(p)
	s.space.added(p)
	s.mark(p.ID)
}

// remove takes a record out. The caller holds mu.
func (s *Store) remove(id identity.NodeID) bool {
	old := s.index.get(id)
	if old == nil {
		return false
	}
	s.space.removed(old)
	s.index.remove(id)
	s.mark(id)
	return true
}
