package connpool

import (
	"net/netip"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/lru"
)

// Knocks remembers by source who was refused for one reason, such as a dialer without the secret of the
// network, and says when that is logged: the first of a source at once, further ones once a minute
// with their number, and all sources together not oftener than knocksSaid times in a minute. However many
// keys a source has, it is one source.
type Knocks struct {
	of     lru.Map[netip.Prefix, knocker]
	total  uint64
	minute time.Time // when the present minute of log records began
	said   int       // log records in it
	unsaid uint64    // refusals of sources that are forgotten, without a log record
}

// Knock is what is known of one source, and of one key that it has proved: a source may be the address of
// many nodes.
type Knock struct {
	Source netip.Prefix       // not valid: one without an address, such as in memory
	Key    identity.PublicKey // that was proved; zero: none was, or more than are remembered
	Times  uint64             // in the time that was asked for, but for a part of its first minute
	Last   time.Time          // of the node's clock
}

// knocker is a source.
type knocker struct {
	keys   []knocked // the last one first
	others knocked   // of no key, or of keys that are forgotten
	unsaid uint64
	toldAt time.Time
}

// knocked are the refusals of one key.
type knocked struct {
	key   identity.PublicKey
	last  time.Time
	times minutes
}

// minutes count by the minute.
type minutes struct {
	at int64                 // the last minute of n, since 1970
	n  [knocksMinutes]uint32 // by minute, modulo their number
}

// move forgets what is too old at a time.
func (m *minutes) move(to int64) {
	if to-m.at >= knocksMinutes {
		m.n, m.at = [knocksMinutes]uint32{}, to
	}
	for m.at < to {
		m.at++
		m.n[m.at%knocksMinutes] = 0
	}
}

func (m *minutes) add(now time.Time) {
	at := now.Unix() / 60
	m.move(at)
	m.n[at%knocksMinutes]++ // of an earlier minute, if the clock was set back
}

// merge adds what others have counted.
func (m *minutes) merge(o minutes) {
	m.move(o.at)
	o.move(m.at)
	for i := range m.n {
		m.n[i] += o.n[i]
	}
}

// since counts the minutes that began at or after a time.
func (m *minutes) since(t time.Time) (n uint64) {
	for at := max(m.at-knocksMinutes+1, 0); at <= m.at; at++ {
		if at*60 >= t.Unix() {
			n += uint64(m.n[at%knocksMinutes])
		}
	}
	return n
}

const (
	// knocksKept is how many sources are remembered.
	knocksKept = 256
	// knocksSaid is how many log records of all sources there are in a minute.
	knocksSaid = 16
	// knocksEvery is the least time between two log records of one source.
	knocksEvery = time.Minute
	// knocksKeys is how many keys of a source are remembered.
	knocksKeys = 8
	// knocksMinutes is how many minutes are counted: ten whole ones, and the present one.
	knocksMinutes = 11
)

// Add notes a refusal. With say it is logged now, n more than the one that is said.
func (k *Knocks) Add(now time.Time, from netip.Prefix, key identity.PublicKey) (say bool, n uint64) {
	k.of.Most = knocksKept
	k.total++
	if k.of.Len() == knocksKept && k.of.Get(from) == nil {
		if _, oldest, ok := k.of.Oldest(); ok {
			k.unsaid += oldest.unsaid
		}
	}
	x := k.of.Use(from)
	x.add(now, key)
	if x.toldAt.IsZero() || now.Sub(x.toldAt) >= knocksEvery {
		if k.mayTell(now) {
			n, x.unsaid, x.toldAt = x.unsaid, 0, now
			return true, n
		}
	}
	x.unsaid++
	return false, 0
}

// add counts a refusal of a key.
func (x *knocker) add(now time.Time, key identity.PublicKey) {
	if key.IsZero() {
		x.others.last = now
		x.others.times.add(now)
		return
	}
	i := slices.IndexFunc(x.keys, func(k knocked) bool { return k.key == key })
	of := knocked{key: key}
	switch {
	case i >= 0:
		of = x.keys[i]
		x.keys = slices.Delete(x.keys, i, i+1)
	case len(x.keys) >= knocksKeys:
		oldest := x.keys[len(x.keys)-1]
		x.keys = x.keys[:len(x.keys)-1]
		if oldest.last.After(x.others.last) {
			x.others.last = oldest.last
		}
		x.others.times.merge(oldest.times)
	}
	of.last = now
	of.times.add(now)
	x.keys = slices.Insert(x.keys, 0, of)
}

// mayTell counts a log record.
func (k *Knocks) mayTell(now time.Time) bool {
	if k.minute.IsZero() || now.Sub(k.minute) >= knocksEvery {
		k.minute, k.said = now, 0
	}
	if k.said >= knocksSaid {
		return false
	}
	k.said++
	return true
}

// Unsaid returns how many refusals have no log record, of which source most, and counts them as said.
func (k *Knocks) Unsaid(now time.Time) (n uint64, most netip.Prefix) {
	n, k.unsaid = k.unsaid, 0
	var least uint64
	for source, x := range k.of.Newest() {
		n += x.unsaid
		if x.unsaid > least {
			least, most = x.unsaid, source
		}
		if x.unsaid > 0 {
			x.unsaid, x.toldAt = 0, now
		}
	}
	return n, most
}

// Total returns the number of all refusals.
func (k *Knocks) Total() uint64 { return k.total }

// All returns the sources and keys that were refused since a time, at most ten minutes ago, the last one first.
func (k *Knocks) All(since time.Time) (all []Knock) {
	for source, x := range k.of.Newest() {
		for _, of := range append(slices.Clone(x.keys), x.others) {
			if !of.last.IsZero() && !of.last.Before(since) {
				all = append(all, Knock{source, of.key, max(1, of.times.since(since)), of.last})
			}
		}
	}
	slices.SortStableFunc(all, func(x, y Knock) int { return y.Last.Compare(x.Last) })
	return all
}
