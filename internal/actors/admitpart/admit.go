// Package admitpart is the part of a node that decides with whom the node has connections: with
// everybody, or with listed peers alone. It keeps the list.
//
// The list counts for connections. It says nothing about the authors of messages that listed peers
// relay.
package admitpart

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/view"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Trunk names what the part needs of a node. [trunk.Trunk] implements and documents it.
type Trunk interface {
	System() *actor.ActorSystem
	Now() time.Time
	Wall() time.Time
	OnWall(t time.Time) time.Time
	PID(path string) *actor.PID
	Key() identity.PublicKey
	Connection(peer identity.NodeID) (*actors.ConnRef, bool)
	Connections() *view.Map[identity.NodeID, *actors.ConnRef]
	NoSecret(since time.Time) connections.Knocks
	NotAdmitted(since time.Time) connections.Knocks
	Latecomers() []connections.Latecomer
	Profile() protocol.Profile
}

var _ Trunk = trunk.Trunk{}

// Settings are the settings of the part.
type Settings struct {
	Only   bool                           // listed peers alone
	Seeds  []identity.PublicKey           // they are listed as long as the settings have them
	Ask    func(identity.PublicKey) error // the program's decision beside the list; nil: it has none
	DB     kv.DB                          // keeps the list
	Logger *slog.Logger
}

// Admission is the part. It has no actor: its views are read by everybody, and who changes the list writes it.
// It exists before the trunk, which asks it about every peer.
type Admission struct {
	Settings
	disk   kv.Client
	trunk  Trunk
	seeds  view.Map[identity.PublicKey, struct{}]
	listed view.Map[identity.PublicKey, time.Time] // since when, on the system's clock

	mu sync.Mutex // for changes of listed, in memory and on the disk
}

const (
	name = "admission"
	// keyPrefix begins the keys of the list on the disk; other parts of the node have different ones.
	keyPrefix = 'a'
	// MaxListed is how many peers can be listed.
	MaxListed = 100_000
)

// ErrTooMany reports that the list is full.
var ErrTooMany = fmt.Errorf("gamelan: %d peers are admitted, and there is room for no more; take some off the list", MaxListed)

// ErrNotListed reports that a peer is not on the list, so that it cannot be taken off.
var ErrNotListed = errors.New("gamelan: the peer was not admitted")

// ErrListedSeed reports that a peer cannot be taken off the list, because it is a seed.
var ErrListedSeed = errors.New("gamelan: the peer is a seed of the settings, and admitted as long as it is; take it out there first")

// Open reads the list.
func Open(s Settings) (*Admission, error) {
	a := &Admission{Settings: s, disk: s.DB.Client()}
	for _, key := range s.Seeds {
		a.seeds.Set(key, struct{}{})
	}
	all, damaged := make(map[identity.PublicKey]time.Time), 0
	entries, scanErr := a.disk.Scan([]byte{keyPrefix})
	for k, value := range entries {
		key, err := identity.PublicKeyFromBytes(k[1:])
		if err != nil || len(value) != 8 {
			damaged++
			continue
		}
		all[key] = time.Unix(int64(binary.BigEndian.Uint64(value)), 0)
	}
	if err := scanErr(); err != nil {
		return nil, fmt.Errorf("gamelan: list of admitted peers: %w", err)
	}
	if damaged > 0 {
		s.Logger.Warn("records of admitted peers cannot be read; those peers are not admitted", "n", damaged)
	}
	a.listed.SetAll(all)
	return a, nil
}

// Listed returns a [*actors.NotAdmittedError] if only listed peers are admitted and this one is not. It
// does not wait.
func (a *Admission) Listed(key identity.PublicKey) error {
	if !a.Only {
		return nil
	}
	if _, ok := a.listed.Get(key); ok {
		return nil
	}
	if _, ok := a.seeds.Get(key); ok {
		return nil
	}
	return &actors.NotAdmittedError{Key: key}
}

// Admit is Listed, and asks the program as well, which may wait. If the program panics, the peer is not
// admitted.
func (a *Admission) Admit(key identity.PublicKey) error {
	if err := a.Listed(key); err != nil || a.Ask == nil {
		return err
	}
	if err := a.ask(key); err != nil {
		return &actors.NotAdmittedError{Key: key, Err: err}
	}
	return nil
}

var errPanicked = errors.New("its function has panicked")

func (a *Admission) ask(key identity.PublicKey) (err error) {
	defer func() {
		if r := recover(); r != nil {
			a.Logger.Error("Config.Admit has panicked; the peer is not admitted", "peer", key, "panic", r, "stack", string(debug.Stack()))
			err = errPanicked
		}
	}()
	return a.Ask(key)
}

// Bind gives the part the node. It is called before the tree starts.
func (a *Admission) Bind(t Trunk) { a.trunk = t }

// SetSeeds lists the seeds that the settings have now, in place of those before. The connections of former ones
// that are not listed any more are closed.
func (a *Admission) SetSeeds(keys []identity.PublicKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := make(map[identity.PublicKey]struct{})
	for _, key := range keys {
		now[key] = struct{}{}
	}
	var gone []identity.PublicKey
	for key := range a.seeds.All() {
		if _, ok := now[key]; !ok {
			gone = append(gone, key)
		}
	}
	a.seeds.SetAll(now) // beside those before
	slices.SortFunc(gone, func(x, y identity.PublicKey) int { return bytes.Compare(x[:], y[:]) })
	for _, key := range gone {
		a.seeds.Delete(key)
		a.hangUp(key)
	}
}

// Part returns the part.
func (a *Admission) Part() actors.Part {
	return actors.Part{Name: name, Sections: a.sections(), Metrics: func(context.Context) any { return a.Section() }, Verbs: a.verbs(), Warnings: a.warnings}
}
