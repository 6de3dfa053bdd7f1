package values

import (
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Quota bounds records and their bytes. A record counts with the length of all its fields,
// and [Overhead].
type Quota struct {
	Records int
	Bytes   int
}

// Overhead is what a record counts beside its fields, in bytes: about what it takes in
// memory and on the disk without them.
const Overhead = 256

// Lives of records (spec: kad B9.2, B9.5).
const (
	MaxLife       = 48 * time.Hour
	MaxLifeSeed   = 60 * time.Minute
	MinCachedLife = 5 * time.Minute
)

// NotCloseAt is how many nearer contacts a node knows that takes no new record.
const NotCloseAt = 40

// ExpireBatch is how many records one call removes because their life has ended.
const ExpireBatch = 512

// Limits are the limits of a store.
type Limits struct {
	MaxLife   time.Duration // that is granted to a record; tombstones live until they expire
	Total     Quota
	Publisher Quota // of one signing key
	Peer      Quota // of one peer or address that stores here; at most a sixteenth of Total
	Group     Quota // of one group of IP addresses; at most a quarter of Total
}

// Parts of a store that a peer and a group of IP addresses may have at most.
const (
	peerPart  = 16
	groupPart = 4
	// leastPart is what a part has at least in bytes, so that one record fits.
	leastPart = 16 << 10
)

// within returns the limits with quotas of peers and groups of at most their part of Total.
func (l Limits) within() Limits {
	l.Peer, l.Group = l.Peer.part(l.Total, peerPart), l.Group.part(l.Total, groupPart)
	return l
}

func (q Quota) part(total Quota, n int) Quota {
	return Quota{min(q.Records, max(1, total.Records/n)), min(q.Bytes, max(leastPart, total.Bytes/n))}
}

// DefaultLimits returns the limits of a node in a program: 16 MiB or 20,000 records.
func DefaultLimits(o overlay.Overlay) Limits {
	l := Limits{
		MaxLife:   MaxLife,
		Total:     Quota{20_000, 16 << 20},
		Publisher: Quota{256, 1 << 20},
		Peer:      Quota{1024, 1 << 20},
		Group:     Quota{4096, 4 << 20},
	}
	if o == overlay.Seed {
		l.MaxLife = MaxLifeSeed
	}
	return l
}

// DaemonLimits returns the limits of a daemon: 256 MiB or 200,000 records.
func DaemonLimits(o overlay.Overlay) Limits {
	l := DefaultLimits(o)
	l.Total = Quota{200_000, 256 << 20}
	l.Peer.Bytes, l.Group.Bytes = 4<<20, 16<<20
	return l
}

// CachedLife returns how long a copy may live at the node nearest to a key that lacked the
// value: half of the remaining life for each live contact known between that node and the
// key, but at least [MinCachedLife], and never longer than what remains.
func CachedLife(remaining time.Duration, between int) time.Duration {
	life := remaining >> min(max(0, between), 62)
	return min(max(life, MinCachedLife), remaining)
}

func sizeOf(r *overlay.Record) int {
	return len(r.Value) + len(r.PublicKey) + len(r.Salt) + len(r.Signature) + Overhead
}
