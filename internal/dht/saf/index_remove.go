package saf

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// Expire removes up to most records whose time is over, and returns their numbers: those
// that were stored for as long as their priority allows, and those that were confirmed
// and whose grace is over (spec: dht 8.6). Call it again at once if it returns most.
func (x *Index) Expire(now time.Time, most int) (gone []uint64) {
	at := x.since(now)
	for c := range classes {
		for len(gone) < most {
			i := x.all.chains[c].oldest
			if i == 0 || x.records.at(i).due > at {
				break
			}
			gone = append(gone, x.remove(i))
		}
	}
	x.counts.expired += uint64(len(gone))
	return gone
}

// Due returns when Expire has something to remove, the zero time if never.
func (x *Index) Due() time.Time {
	first := time.Duration(-1)
	for c := range classes {
		if i := x.all.chains[c].oldest; i != 0 {
			if due := max(0, x.records.at(i).due); first < 0 || due < first {
				first = due
			}
		}
	}
	if first < 0 {
		return time.Time{}
	}
	return x.begin.Add(first)
}

// Remove removes a record, because its message cannot be read or was not written. If it has
// made way for another one, it is never taken back. Remove returns false if there is no such
// record.
func (x *Index) Remove(r Ref) bool {
	delete(x.away, r.Seq)
	if _, ok := x.find(r); !ok {
		return false
	}
	x.remove(r.place)
	x.counts.removed++
	return true
}

// Purge removes up to most records for a destination, and returns their numbers. Call it
// again if it returns most.
func (x *Index) Purge(destination identity.NodeID, most int) (gone []uint64) {
	for len(gone) < most {
		of := x.targets.find(destination)
		if of == nil {
			break
		}
		gone = append(gone, x.remove(of.first()))
	}
	x.counts.removed += uint64(len(gone))
	return gone
}

// PurgeAll removes up to most records, and returns their numbers. Call it again if it
// returns most.
func (x *Index) PurgeAll(most int) (gone []uint64) {
	for len(gone) < most && x.all.messages > 0 {
		gone = append(gone, x.remove(x.all.first()))
	}
	x.counts.removed += uint64(len(gone))
	return gone
}
