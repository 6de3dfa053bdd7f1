package kad

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/credit"
)

// Keeper keeps on a disk what a client must not lose. A client without one keeps everything
// in memory.
//
// Its methods are called in tasks, and may block. Commit is called once at a time, and so is
// SaveContacts; the two may run at the same time. All times are by the system's clock.
//
// spec: kad B12
type Keeper interface {
	// Load returns what is kept. It is called when the client starts, and when its actor
	// store restarts. Damaged entries are left out and counted. It fails with [ErrSchema] if
	// a newer release has written the entries; the client then does not start.
	Load(ctx context.Context) (*Kept, error)
	// Commit writes changes, all of them or none. With Sync they are on the disk when Commit
	// returns.
	Commit(ctx context.Context, b Batch) error
	// SaveContacts replaces the kept contacts.
	SaveContacts(ctx context.Context, contacts []KeptContact, former []KeptFormer) error
	// Close releases the Keeper after the last call of the other methods.
	Close() error
}

// turn has the tasks of several incarnations of an actor use a [Keeper] one after the other. A
// task goes on when its incarnation has ended, and could otherwise write older content after the
// tasks of the next one.
type turn struct {
	place *credit.Account // holds credit while a task uses the Keeper
	of    atomic.Uint64   // the present incarnation
}

func newTurn() *turn { return &turn{place: credit.NewBudget(credit.Cost(0)).Account(0)} }

// errEnded is the result, which nobody gets, of a task whose incarnation ended before its turn.
var errEnded = errors.New("kad: a later incarnation uses the disk")

// next begins an incarnation. Tasks of earlier ones that have not had their turn do nothing.
func (t *turn) next() (incarnation uint64) { return t.of.Add(1) }

// wait waits until no task uses the Keeper, and keeps all others from it until release.
func (t *turn) wait(ctx context.Context) error { return t.place.Take(ctx, 0) }

func (t *turn) release() { t.place.Return(0) }

// inTurn calls f when it is the turn of a task of an incarnation.
func inTurn[T any](ctx context.Context, t *turn, incarnation uint64, f func() (T, error)) (v T, err error) {
	if err := t.wait(ctx); err != nil {
		return v, err
	}
	defer t.release()
	if t.of.Load() != incarnation {
		return v, errEnded
	}
	return f()
}

// Kept is what a [Keeper] has.
type Kept struct {
	ID       ID // of this node in the overlay Seed; zero: none yet
	Records  []KeptRecord
	Own      []KeptOwn
	Contacts []KeptContact
	Former   []KeptFormer
	Damaged  int // entries that could not be read
}

// Batch is a set of changes that are written together.
type Batch struct {
	ID        ID // zero: no change
	Records   []KeptRecord
	Removed   []Key // records of others
	Own       []KeptOwn
	Forgotten []Key // own publications
	Sync      bool
}

type (
	// KeptRecord is a stored record of another node.
	KeptRecord struct {
		Record *Record
		Until  time.Time // it is stored
		Peer   string    // who brought it
		Group  string    // of that peer
		Cached bool
	}
	// KeptOwn is a publication of this node.
	KeptOwn struct {
		Record *Record
		Due    time.Time     // next publication
		TTL    time.Duration // life asked for; 0: as long as possible
	}
	// KeptContact is a contact of the routing table.
	KeptContact struct {
		Contact         Contact
		Since, Answered time.Time
		Score           int
		RTT             RTT
	}
	// KeptFormer is a contact that was lost.
	KeptFormer struct {
		Contact    Contact
		Lost, Rest time.Time
		Failures   int
	}
)

// StoreReport is what a check of the store says of the entries of all clients of the key-value DHT.
type StoreReport struct {
	Schema   int   // schema version of the entries; 0: there are none yet
	Current  int   // schema version that this release writes
	Clients  int   // of which there are entries
	Records  int   // of others
	Own      int   // publications
	Contacts int   // former ones included
	Bytes    int64 // of all entries
	Damaged  int   // entries that cannot be read; a node deletes them
}
