package values

import (
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/internal/queue"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Store holds what a node stores of others. Get one from [New]. One goroutine at a time may
// use it.
type Store struct {
	self    overlay.ID
	limits  overlay.StoreLimits
	entries map[overlay.Key]*entry
	expiry  queue.Queue[*entry]
	cached  rank // cached copies
	held    rank // all others

	total                     use
	publishers, peers, groups uses
}

// New returns an empty store of the node with this id.
func New(self overlay.ID, l overlay.StoreLimits) *Store {
	return &Store{
		self: self, limits: within(l), entries: map[overlay.Key]*entry{},
		expiry: expiryQueue(), cached: newRank(), held: newRank(),
		publishers: uses{}, peers: uses{}, groups: uses{},
	}
}

// Offer is a record that somebody wants to be stored. [record.Check] accepted it.
type Offer struct {
	Record *overlay.Record
	Peer   string // who brings it: its public key, or its address in the overlay Seed
	Group  string // of its IP address; "" for none ([overlay.Address.Group])
	TTL    time.Duration
	Cached bool
	// Nearer is how many live contacts this node knows that are nearer to the key. From
	// [NotCloseAt] on a new record is not taken, unless it is a cached copy.
	Nearer int
}

// Outcome is what became of an offer.
type Outcome struct {
	// Status is OK, Expired, SeqTooLow, NotClose or Quota.
	Status  overlay.Status
	Granted time.Duration // how long the record will be stored; 0 unless OK
	// Current is the newer record that is stored; nil unless SeqTooLow.
	Current *overlay.Record
	// Changed says that another record is stored under the key than before, or that it was
	// none. Otherwise an OK means that the same record lives longer, or as long.
	Changed bool
	// Replicate says that the record is not a cached copy: this node is one of its holders.
	Replicate bool
	// Removed are the keys whose records made way, or whose life had ended.
	Removed []overlay.Key
}

// Put offers a record. now is monotonic, and wall the system's clock.
func (s *Store) Put(o Offer, now, wall time.Time) Outcome {
	out := Outcome{Removed: s.Expire(now)}
	s.put(&out, o, now, wall)
	return out
}

func (s *Store) put(out *Outcome, o Offer, now, wall time.Time) {
	life := s.life(o, wall)
	if life <= 0 {
		out.Status = overlay.Expired
		return
	}
	old := s.get(o.Record.Key, now, wall)
	switch {
	case old == nil && !o.Cached && o.Nearer >= NotCloseAt:
		out.Status = overlay.NotClose
		return
	case old != nil && o.Record.Kind != overlay.Opaque:
		switch c := record.Compare(o.Record, old.record); {
		case c < 0:
			out.Status, out.Current = overlay.SeqTooLow, old.record
			return
		case c == 0:
			s.prolong(old, o, now.Add(life))
			out.Granted, out.Replicate = old.until.Sub(now), !old.cached
			return
		}
	}
	e := &entry{
		record: o.Record, size: sizeOf(o.Record), peer: o.Peer, group: o.Group,
		until: now.Add(life), cached: o.Cached && (old == nil || old.cached), distance: s.self.Distance(o.Record.Key),
	}
	if !s.replace(out, s.entries[o.Record.Key], e) {
		out.Status = overlay.Quota
		return
	}
	out.Granted, out.Changed, out.Replicate = life, true, !e.cached
}

// life returns how long a record may be stored; it is not positive for one that has
// expired.
func (s *Store) life(o Offer, wall time.Time) time.Duration {
	life := s.limits.MaxLife
	if o.TTL > 0 {
		life = min(life, o.TTL)
	}
	if o.Record.Kind != overlay.Mutable {
		return life
	}
	// A clock that is behind makes an end of it that no record may have.
	remains := min(record.Life(o.Record, wall), record.MaxLife+record.ClockSkew)
	if o.Record.Tombstone() {
		return remains
	}
	return min(life, remains)
}

// prolong is for a record that is stored already. A copy that a holder brings is cached no
// more.
func (s *Store) prolong(e *entry, o Offer, until time.Time) {
	if until.After(e.until) {
		e.until = until
		s.expiry.Moved(e)
	}
	if e.cached && !o.Cached {
		s.cached.remove(e)
		e.cached = false
		s.held.add(e)
	}
}

// replace stores e in place of old, which may be nil. If a quota does not allow it, old
// stays.
func (s *Store) replace(out *Outcome, old, e *entry) bool {
	if old != nil {
		s.remove(old)
	}
	ok := s.publishers.fits(publisher(e), e.size, s.limits.Publisher) &&
		s.peers.fits(e.peer, e.size, s.limits.Peer) && s.groups.fits(e.group, e.size, s.limits.Group) &&
		s.makeRoom(out, e)
	switch {
	case ok:
		s.add(e)
	case old != nil:
		s.add(old)
	}
	return ok
}

// makeRoom removes records until e fits into the store: first cached copies, then those
// farther from this node than e, of which the source with most and the distance decide
// ([rank.victim]). It removes nothing if that is not enough. A cached copy makes way for every
// other record, but not for a cached copy that is farther than itself.
func (s *Store) makeRoom(out *Outcome, e *entry) bool {
	if e.size > s.limits.Total.Bytes || s.limits.Total.Records < 1 {
		return false
	}
	var way []*entry
	for !s.total.fits(e.size, s.limits.Total) {
		victim := s.victim(e)
		if victim == nil {
			for _, v := range way {
				s.add(v)
			}
			return false
		}
		s.remove(victim)
		way = append(way, victim)
	}
	for _, v := range way {
		out.Removed = append(out.Removed, v.record.Key)
	}
	return true
}

// victim returns the record that makes way first for e, nil if none does.
func (s *Store) victim(e *entry) *entry {
	switch {
	case e.cached:
		return s.cached.victim(e)
	case s.cached.all.Len() > 0:
		return s.cached.all.First()
	}
	return s.held.victim(e)
}

func (s *Store) add(e *entry) {
	s.entries[e.record.Key] = e
	s.expiry.Add(e)
	s.rank(e).add(e)
	s.total = use{s.total.records + 1, s.total.bytes + e.size}
	s.publishers.add(publisher(e), e.size)
	s.peers.add(e.peer, e.size)
	s.groups.add(e.group, e.size)
}

func (s *Store) remove(e *entry) {
	delete(s.entries, e.record.Key)
	s.expiry.Remove(e)
	s.rank(e).remove(e)
	s.total = use{s.total.records - 1, s.total.bytes - e.size}
	s.publishers.remove(publisher(e), e.size)
	s.peers.remove(e.peer, e.size)
	s.groups.remove(e.group, e.size)
}

func (s *Store) rank(e *entry) *rank {
	if e.cached {
		return &s.cached
	}
	return &s.held
}

func publisher(e *entry) string { return string(e.record.PublicKey) }

// get returns a record whose life has not ended, nil if there is none.
func (s *Store) get(key overlay.Key, now, wall time.Time) *entry {
	e := s.entries[key]
	if e == nil || !now.Before(e.until) || record.Expired(e.record, wall) {
		return nil
	}
	return e
}

// Held is a stored record.
type Held struct {
	Record *overlay.Record
	Life   time.Duration // that remains
	Cached bool
}

// Get returns the record under a key; nothing of it may be changed. What has expired, by
// either clock, is not there, whether it was removed or not. A tombstone is: it tells that
// the value was deleted.
func (s *Store) Get(key overlay.Key, now, wall time.Time) (Held, bool) {
	e := s.get(key, now, wall)
	if e == nil {
		return Held{}, false
	}
	return Held{e.record, e.until.Sub(now), e.cached}, true
}

// Demote makes the record a cached copy: this node is not one of its holders any more. It
// reports whether it was.
func (s *Store) Demote(key overlay.Key) bool {
	e := s.entries[key]
	if e == nil || e.cached {
		return false
	}
	s.held.remove(e)
	e.cached = true
	s.cached.add(e)
	return true
}

// Delete removes the record under a key, and reports whether there was one.
func (s *Store) Delete(key overlay.Key) bool {
	e := s.entries[key]
	if e != nil {
		s.remove(e)
	}
	return e != nil
}

// Expire removes up to [ExpireBatch] records whose life has ended, and returns their keys.
func (s *Store) Expire(now time.Time) (removed []overlay.Key) {
	for len(removed) < ExpireBatch {
		e := s.expiry.First()
		if e == nil || now.Before(e.until) {
			break
		}
		s.remove(e)
		removed = append(removed, e.record.Key)
	}
	return removed
}

// NextExpiry returns when Expire has work, and false for an empty store.
func (s *Store) NextExpiry() (time.Time, bool) {
	e := s.expiry.First()
	if e == nil {
		return time.Time{}, false
	}
	return e.until, true
}

// Size returns how many records are stored, how many of them are cached copies, and their
// bytes.
func (s *Store) Size() (records, cached, bytes int) {
	return s.total.records, s.cached.all.Len(), s.total.bytes
}

// Used returns what a storing peer has of its quota.
func (s *Store) Used(peer string) (records, bytes int) {
	u := s.peers[peer]
	return u.records, u.bytes
}
