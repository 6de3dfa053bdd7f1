// Package diskpart is the part of a node that watches how much room its disk has.
package diskpart

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/units"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Settings say what is watched.
type Settings struct {
	Path string                 // the directory
	Free func() (uint64, error) // how many bytes are left there; nil: the node keeps nothing on a disk
	Need int64                  // how many must be
}

// every is the time between two looks, and soon that while there is too little.
const (
	every = 5 * time.Second
	soon  = 2 * time.Second
	// rest is the least time between two changes.
	rest = time.Minute
)

// Disk is the part. It outlives the incarnations of its actor.
type Disk struct {
	Settings
	free atomic.Pointer[uint64] // written by the actor space
	full atomic.Bool            // there is too little room; written by the actor space
}

// New returns the part.
func New(s Settings) *Disk { return &Disk{Settings: s} }

const name = "disk"

// Part returns the actor.
func (d *Disk) Part() actors.Part {
	if d.Settings.Free == nil {
		return actors.Part{Name: name}
	}
	return actors.Part{
		Name:     name,
		Actors:   []supervisor.Spec{{Name: "space", Kind: "space", New: func() actor.Actor { return &space{d: d} }}},
		Degraded: d.degraded, Node: func(v *models.Node) { v.Disk = d.section() },
	}
}

// Left returns how many bytes were left at the last look; ok is false before the first one, and where
// the system does not say.
func (d *Disk) Left() (n uint64, ok bool) {
	if p := d.free.Load(); p != nil {
		return *p, true
	}
	return 0, false
}

func (d *Disk) section() *models.Disk {
	n, ok := d.Left()
	if !ok {
		return nil
	}
	return &models.Disk{Path: d.Path, Free: int64(min(n, 1<<62)), Need: d.Need}
}

func (d *Disk) degraded() models.Notices {
	n, ok := d.Left()
	if !ok || !d.full.Load() {
		return nil
	}
	text := fmt.Sprintf("the disk of %s is nearly full: %s are free, and the node needs %s", d.Path, units.Bytes(n), units.Bytes(uint64(d.Need)))
	if n >= uint64(d.Need) {
		text += fmt.Sprintf("; it has room again with %s", units.Bytes(d.roomAgain()))
	}
	return models.Notices{codes.DiskFull.Notice(text,
		d.Path, strconv.FormatUint(n, 10), strconv.FormatInt(d.Need, 10))}
}

// roomAgain returns how many bytes must be free for a full disk to have room again: a tenth more than is needed.
func (d *Disk) roomAgain() uint64 { return uint64(d.Need) + uint64(d.Need)/10 }

// space looks at the disk. A restart looks at once.
//
// In: results of its tasks. Out: nothing.
type space struct {
	d        *Disk
	troubled bool      // the system does not say; logged
	changed  time.Time // when there was too little room, or enough again; zero: neither yet
}

type (
	lookTick struct{}
	looked   struct{ free uint64 }
)

// Receive implements [actor.Actor].
func (a *space) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started, lookTick:
		d := a.d
		supervisor.Do(c, "look", func(context.Context) (l looked, err error) {
			l.free, err = d.Settings.Free()
			return l, err
		})
	case supervisor.Done[looked]:
		a.looked(c, m.Value.free, m.Err)
	default:
		supervisor.Unhandled(c)
	}
}

func (a *space) looked(c actor.Context, free uint64, err error) {
	switch {
	case err == nil:
		a.troubled = false
		a.d.free.Store(&free)
		a.judge(c, free)
	case !a.troubled:
		a.troubled = true
		a.d.free.Store(nil)
		a.d.full.Store(false)
		supervisor.Log(c).Debug("how much room the disk has cannot be told", "path", a.d.Path, "err", err)
	}
	wait := every
	if a.d.full.Load() {
		wait = soon
	}
	supervisor.After(c, wait, lookTick{})
}

// judge notes whether there is too little room. What is free goes up and down by a little all the time.
func (a *space) judge(c actor.Context, free uint64) {
	now, full := supervisor.Now(c), a.d.full.Load()
	is := free < uint64(a.d.Need) || full && free < a.d.roomAgain()
	if is == full || !a.changed.IsZero() && now.Sub(a.changed) < rest {
		return
	}
	a.changed = now
	a.d.full.Store(is)
	if is {
		supervisor.Log(c).Warn("the disk is nearly full", "path", a.d.Path, "free", free, "need", a.d.Need)
	} else {
		supervisor.Log(c).Info("the disk has room again", "path", a.d.Path, "free", free)
	}
}

// String is the actor's line in the tree.
func (a *space) String() string {
	if n, ok := a.d.Left(); ok {
		return units.Bytes(n) + " free"
	}
	return ""
}
