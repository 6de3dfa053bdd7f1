package values

import (
	"time"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

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

// Parts of a store that a peer and a group of IP addresses may have at most.
const (
	peerPart  = 16
	groupPart = 4
	// leastPart is what a part has at least in bytes, so that one record fits.
	leastPart = 16 << 10
)

// within returns the limits with quotas of peers and groups of at most their part of Total.
func within(l overlay.StoreLimits) overlay.StoreLimits {
	l.Peer, l.Group = part(l.Peer, l.Total, peerPart), part(l.Group, l.Total, groupPart)
	return l
}

func part(q, total overlay.StoreQuota, n int) overlay.StoreQuota {
	return overlay.StoreQuota{Records: min(q.Records, max(1, total.Records/n)), Bytes: min(q.Bytes, max(leastPart, total.Bytes/n))}
}

// DefaultLimits returns the limits of a node in a program: 16 MiB or 20,000 records.
func DefaultLimits(o overlay.Overlay) overlay.StoreLimits {
	l := overlay.StoreLimits{
		MaxLife:   MaxLife,
		Total:     overlay.StoreQuota{Records: 20_000, Bytes: 16 << 20},
		Publisher: overlay.StoreQuota{Records: 256, Bytes: 1 << 20},
		Peer:      overlay.StoreQuota{Records: 1024, Bytes: 1 << 20},
		Group:     overlay.StoreQuota{Records: 4096, Bytes: 4 << 20},
	}
	if o == overlay.Seed {
		l.MaxLife = MaxLifeSeed
	}
	return l
}

// DaemonLimits returns the limits of a daemon: 256 MiB or 200,000 records.
func DaemonLimits(o overlay.Overlay) overlay.StoreLimits {
	l := DefaultLimits(o)
	l.Total = overlay.StoreQuota{Records: 200_000, Bytes: 256 << 20}
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
