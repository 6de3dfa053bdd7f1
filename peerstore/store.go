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

// DefaultMaxPeers is how many peers a store holds by default.
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

	// Now is the time of the system's clock. A ban that was made later than Now,
	// before the clock was set back, starts again at Now, with the same duration.
	// Zero: bans stay as they are.
	Now time.Time

	// Connected reports whether this node is connected to a peer, which then is not
	// removed to make room. nil: to none. It must be quick and not use the store.
	Connected func(identity.NodeID) bool
}

// Store is the peer store. Its methods are for its one writer and do not block;
// any number of goroutines may use its View meanwhile.
type Store struct {
	db     kv.Client
	o      Options
	shared *shared // used only by the writer

	mu      sync.RWMutex // short: held over memory only
	index   index
	dirty   map[identity.NodeID]change // changed records that may not be on the disk yet
	fresh   []identity.NodeID          // of these, the ones that no open Batch holds
	version uint64
	space   pruner
	opened  time.Time // Options.Now, shifted as bans are

	commit   sync.Mutex  // one Commit at a time
	lost     bool        // under commit: the disk has lost unsynced records that were not written again
	unsynced atomic.Bool // records were written since the last sync

	damaged int
}

// keyPrefix is the first byte of a record's key; the node id follows.
const keyPrefix = 'p'

func recordKey(id identity.NodeID) []byte { return append([]byte{keyPrefix}, id[:]...) }

// Open loads the peer store in db. It counts records that cannot be read and leaves
// them in db: see [Store.Damaged]. The caller closes db, after the last Commit.
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

// MaxPeers returns the greatest number of peers that the store holds.
func (s *Store) MaxPeers() int { return s.o.MaxPeers }

// Damaged returns how many records could not be read when the store was opened.
func (s *Store) Damaged() int { return s.damaged }

// Add stores a peer, or merges it into its record, and returns the result. The caller
// must have verified the claim. Add omits addresses that may not be kept. It fails with
// ErrBadPeer, with ErrSelf, or with ErrFull when the store is full of peers that must
// stay.
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
	if !p.BannedUntil.IsZero() && p.BannedAt.IsZero() { // the ban comes from elsewhere
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
		p.Claim = nil // without a usable address (V5)
	}
	p.Addresses = slices.Clip(rank(p.Addresses, now))
	s.replace(&p)
	return p, nil
}

// Import stores an exported record, whose claim the caller has verified. It does so as
// Add, or as BanNode for a record that is only the ban of a node id. added reports
// whether the peer was unknown.
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

// Ban bans the node with the given key, known or not, until the given time. If the node
// has a longer ban, that one stays, with its reason. Readers see the ban at once, and it
// holds even if it cannot be written to the disk.
//
// spec: comms 11.6, 14.1 point 3; V31.
func (s *Store) Ban(now time.Time, key identity.PublicKey, until time.Time, reason string) Peer {
	p, _ := s.BanFrom(now, key.NodeID(), key, until, reason, 0)
	return p
}

// BanNode is Ban for a node whose key may be unknown.
func (s *Store) BanNode(now time.Time, id identity.NodeID, until time.Time, reason string) Peer {
	p, _ := s.BanFrom(now, id, identity.PublicKey{}, until, reason, 0)
	return p
}

// BanFrom is Ban for an offence on a connection from origin; the key may be zero. It
// does not store the ban, and returns false, when the peer was never reached, there are
// MaxBans bans of such peers, and origin is a source: then the caller should refuse
// that source. It stores any other ban.
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
		s.room(now, &p) // a ban is stored even if nothing can be removed
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

// Seen notes that a dial of the peer at addr succeeded, and the latency of the handshake
// if it is not 0. It is only for addresses that this node dialled: an inbound connection
// proves no address. Seen reports whether the peer has that address.
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

// DialTook notes how long it took to open the transport's connection to addr, which is a
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

// Forget removes a peer's record, including a ban, and reports whether there was one.
func (s *Store) Forget(id identity.NodeID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remove(id)
}

// update calls change with a copy of a record, and replaces the record by the copy if
// change returns true.
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

// replace puts p into the index; p must not change after that. The caller holds mu.
func (s *Store) replace(p *Peer) {
	s.space.removed(s.index.get(p.ID))
	s.index.put(p)
	s.space.added(p)
	s.mark(p.ID)
}

// remove removes a record. The caller holds mu.
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
