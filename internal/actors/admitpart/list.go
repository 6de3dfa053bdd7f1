package admitpart

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// Change puts a peer on the list, or with off takes it off. It counts at once; the connection of a peer
// that is no longer listed is closed. The change is on the disk when Change returns; it waits for that, so no
// actor calls it. With [actors.ErrNotDurable] the change holds until the node stops.
func (a *Admission) Change(key identity.PublicKey, off bool) error {
	a.mu.Lock() // one write at a time, in the order of the changes
	defer a.mu.Unlock()
	since, there := a.listed.Get(key)
	_, seed := a.seeds.Get(key)
	switch {
	case key == a.trunk.Key():
		return actors.ErrSelf
	case off && seed:
		return ErrListedSeed
	case off && !there:
		return ErrNotListed
	case !off && !there && a.listed.Len() >= MaxListed:
		return ErrTooMany
	case off:
		a.listed.Delete(key)
		a.hangUp(key)
	case !there:
		since = a.trunk.Wall()
		a.listed.Set(key, since)
	}
	if err := a.write(key, off, since); err != nil { // also of one that is listed: an earlier write may have failed
		return fmt.Errorf("%w: %w", actors.ErrNotDurable, err)
	}
	return nil
}

// hangUp closes the connection of a peer that is not listed any more.
func (a *Admission) hangUp(key identity.PublicKey) {
	if a.Listed(key) != nil {
		a.trunk.System().Root.Send(a.trunk.PID("conns"), connections.CloseConn{Peer: key.NodeID(), Reason: actors.CloseReason{Code: actors.CloseUnlisted, By: "us"}})
	}
}

func (a *Admission) write(key identity.PublicKey, off bool, since time.Time) error {
	b := new(kv.Batch)
	if at := append([]byte{keyPrefix}, key[:]...); off {
		b.Delete(at)
	} else {
		b.Set(at, binary.BigEndian.AppendUint64(nil, uint64(since.Unix())))
	}
	return a.disk.Apply(b, true)
}
