package admitpart

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Change puts a peer on the list, or takes it off. It counts at once; the connection of a peer that is
// no longer listed is closed. Reply: Changed, when the change is on the disk.
type Change struct {
	Token uint64
	Key   identity.PublicKey
	Off   bool
}

// Changed replies to Change.
type Changed struct {
	Token uint64
	Key   identity.PublicKey
	Err   error
}

// list is the only writer of the list, in memory and on the disk. Writes follow each other in the order of
// the changes.
//
// In: Change. Out: Changed, CloseConn to conns. A restart answers the changes that wait with an error;
// what it has changed in memory stays.
type list struct {
	a       *Admission
	waiting []waiting // the first is being written
}

type waiting struct {
	Change
	reply *actor.PID
}

func (l *list) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		supervisor.OwnFunc(c, l.abandon)
	case Change:
		l.change(c, m)
	case supervisor.Done[struct{}]:
		l.written(c, m.Err)
	default:
		supervisor.Unhandled(c)
	}
}

// String is the actor's line in the tree.
func (l *list) String() string {
	if !l.a.Only {
		return fmt.Sprintf("admits anyone, %d listed", l.a.listed.Len())
	}
	return fmt.Sprintf("admits %d listed peers", l.a.listed.Len())
}

func (l *list) change(c actor.Context, m Change) {
	a := l.a
	_, there := a.listed.Get(m.Key)
	var refused error
	switch {
	case m.Key == a.trunk.Key():
		refused = actors.ErrSelf
	case m.Off && !there:
		refused = ErrNotListed
	case !m.Off && !there && a.listed.Len() >= MaxListed:
		refused = ErrTooMany
	}
	if refused != nil {
		c.Respond(Changed{m.Token, m.Key, refused})
		return
	}
	switch {
	case m.Off:
		a.listed.Delete(m.Key)
		if a.Listed(m.Key) != nil {
			c.Send(a.trunk.PID("conns"), connections.CloseConn{Peer: m.Key.NodeID(), Reason: actors.CloseReason{Code: actors.CloseUnlisted, By: "us"}})
		}
	case !there:
		a.listed.Set(m.Key, supervisor.Wall(c))
	}
	l.waiting = append(l.waiting, waiting{m, c.Sender()})
	if len(l.waiting) == 1 {
		l.write(c)
	}
}

// write writes the first change. That of a peer that is listed already is written again: an earlier write may
// have failed.
func (l *list) write(c actor.Context) {
	m, disk := l.waiting[0].Change, l.a.disk
	key := append([]byte{keyPrefix}, m.Key[:]...)
	at := supervisor.Wall(c)
	supervisor.Do(c, "write", func(context.Context) (struct{}, error) {
		b := new(kv.Batch)
		if m.Off {
			b.Delete(key)
		} else {
			b.Set(key, binary.BigEndian.AppendUint64(nil, uint64(at.Unix())))
		}
		return struct{}{}, disk.Apply(b, true)
	})
}

func (l *list) written(c actor.Context, err error) {
	if len(l.waiting) == 0 {
		return
	}
	m := l.waiting[0]
	l.waiting = l.waiting[1:]
	if err != nil {
		err = fmt.Errorf("%w: %w", actors.ErrNotDurable, err)
		supervisor.Log(c).Error("the list of admitted peers cannot be written; the change holds until the node stops", "peer", m.Key, "err", err)
	}
	if m.reply != nil {
		c.Send(m.reply, Changed{m.Token, m.Key, err})
	}
	if len(l.waiting) > 0 {
		l.write(c)
	}
}

var errLost = errors.New("admission: the answer of the disk was lost")

// abandon answers the changes that wait for the disk when this incarnation ends.
func (l *list) abandon() {
	for _, m := range l.waiting {
		if m.reply != nil {
			l.a.trunk.System().Root.Send(m.reply, Changed{m.Token, m.Key, fmt.Errorf("%w: %w", actors.ErrNotDurable, errLost)})
		}
	}
}
