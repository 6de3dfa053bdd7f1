package connpool

import (
	"net/netip"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/lru"
)

// Knocks remembers by source who was refused for one reason, such as a dialer without the secret of the
// network, and says when that is logged: the first of a source at once, further ones once a minute
// with their number, and all sources together not oftener than knocksSaid times in a minute. However many
// keys a source has, it is one source.
type Knocks struct {
	of     lru.Map[netip.Prefix, Knock]
	total  uint64
	minute time.Time // when the present minute of log records began
	said   int       // log records in it
	unsaid uint64    // refusals of sources that are forgotten, without a log record
}

// Knock is what is known of one source.
type Knock struct {
	Source netip.Prefix       // not valid: one without an address, such as in memory
	Times  uint64             // since the source is remembered
	Last   time.Time          // of the node's clock
	Key    identity.PublicKey // the last that was proved; zero: none was

	unsaid uint64
	toldAt time.Time
}

const (
	// knocksKept is how many sources are remembered.
	knocksKept = 256
	// knocksSaid is how many log records of all sources there are in a minute.
	knocksSaid = 16
	// knocksEvery is the least time between two log records of one source.
	knocksEvery = time.Minute
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
	x.Source, x.Last = from, now
	x.Times++
	if !key.IsZero() {
		x.Key = key
	}
	if x.toldAt.IsZero() || now.Sub(x.toldAt) >= knocksEvery {
		if k.mayTell(now) {
			n, x.unsaid, x.toldAt = x.unsaid, 0, now
			return true, n
		}
	}
	x.unsaid++
	return false, 0
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
func (k *Knocks) Unsaid(now time.Time) (n uint64, most Knock) {
	n, k.unsaid = k.unsaid, 0
	var least uint64
	for _, x := range k.of.Newest() {
		n += x.unsaid
		if x.unsaid > least {
			least, most = x.unsaid, *x
		}
		if x.unsaid > 0 {
			x.unsaid, x.toldAt = 0, now
		}
	}
	return n, most
}

// Total returns the number of all refusals.
func (k *Knocks) Total() uint64 { return k.total }

// All returns the sources that were refused since a time, the last one first.
func (k *Knocks) All(since time.Time) (all []Knock) {
	for _, x := range k.of.Newest() {
		if x.Last.Before(since) {
			break
		}
		all = append(all, *x)
	}
	return all
}
