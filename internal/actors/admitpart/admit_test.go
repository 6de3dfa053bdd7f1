package admitpart

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// alone is a node without connections.
type alone struct{ key identity.PublicKey }

func (alone) System() *actor.ActorSystem                         { return nil }
func (alone) Now() time.Time                                     { return time.Unix(2000, 0) }
func (alone) Wall() time.Time                                    { return time.Unix(2000, 0) }
func (alone) OnWall(t time.Time) time.Time                       { return t }
func (alone) PID(string) *actor.PID                              { return nil }
func (a alone) Key() identity.PublicKey                          { return a.key }
func (alone) Connection(identity.NodeID) (*actors.ConnRef, bool) { return nil, false }
func (alone) Connections() *view.Map[identity.NodeID, *actors.ConnRef] {
	return new(view.Map[identity.NodeID, *actors.ConnRef])
}
func (alone) NoSecret(time.Time) connections.Knocks    { return connections.Knocks{} }
func (alone) NotAdmitted(time.Time) connections.Knocks { return connections.Knocks{} }
func (alone) Latecomers() []connections.Latecomer      { return nil }

func (alone) Profile() protocol.Profile { return protocol.Tari(protocol.LocalNet) }

// broken is a disk that takes nothing while it fails.
type broken struct {
	kv.DB
	fails bool
}

func (b *broken) Client() kv.Client { return brokenClient{b.DB.Client(), b} }

type brokenClient struct {
	kv.Client
	disk *broken
}

var errDisk = errors.New("the disk fails")

func (c brokenClient) Apply(b *kv.Batch, sync bool) error {
	if c.disk.fails || !sync {
		return errDisk
	}
	return c.Client.Apply(b, sync)
}

func key(b byte) identity.PublicKey {
	s, err := identity.NewSecret(bytes.NewReader(bytes.Repeat([]byte{b}, 64)))
	if err != nil {
		panic(err)
	}
	return s.PublicKey()
}

func open(t *testing.T, db kv.DB, log *strings.Builder) *Admission {
	t.Helper()
	a, err := Open(Settings{DB: db, Seeds: []identity.PublicKey{key(9)}, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	a.Bind(alone{key(1)})
	return a
}

// TestTheListOnTheDisk: what was written is there again, a disk that fails is told of, and a record that
// cannot be read admits nobody.
func TestTheListOnTheDisk(t *testing.T) {
	db, log := &broken{DB: kv.Memory()}, new(strings.Builder)
	a := open(t, db, log)
	for _, k := range []byte{2, 3} {
		if err := a.Change(key(k), false); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Change(key(2), true); err != nil {
		t.Fatal(err)
	}
	db.fails = true
	if err := a.Change(key(4), false); !errors.Is(err, actors.ErrNotDurable) || !errors.Is(err, errDisk) {
		t.Errorf("got %v, want that it is not on the disk", err)
	}
	if got := a.Keys(); len(got) != 2 || !slices.Contains(got, key(4)) {
		t.Errorf("got %v, want that it counts all the same", got)
	}
	db.fails = false
	if err := a.Change(key(1), false); !errors.Is(err, actors.ErrSelf) {
		t.Errorf("the node itself: got %v", err)
	}
	if err := a.Change(key(7), true); !errors.Is(err, ErrNotListed) {
		t.Errorf("one that is not listed: got %v", err)
	}
	if got := open(t, db, log).Keys(); len(got) != 1 || got[0] != key(3) {
		t.Errorf("got %v at the next start, want what the disk has", got)
	}
	if err := a.Change(key(4), false); err != nil { // again
		t.Fatal(err)
	}
	b := new(kv.Batch)
	b.Set([]byte{keyPrefix, 1, 2, 3}, []byte("short"))
	if err := db.Client().Apply(b, true); err != nil {
		t.Fatal(err)
	}
	again := open(t, db, log)
	if got := again.Keys(); len(got) != 2 || !slices.Contains(got, key(4)) || !strings.Contains(log.String(), "cannot be read") {
		t.Errorf("got %v and the log %q, want both, and the damage told", got, log)
	}
	for k, want := range map[byte]bool{3: true, 4: true, 9: true, 2: false, 5: false} {
		again.Only = true
		if got := again.Listed(key(k)) == nil; got != want {
			t.Errorf("key %d: got listed %v, want %v", k, got, want)
		}
		again.Only = false
		if again.Listed(key(k)) != nil {
			t.Errorf("key %d: got it refused where anyone is admitted", k)
		}
	}
}
