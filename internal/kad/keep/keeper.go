package keep

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/kad"
)

// Keeper is the entries of one client in a store. Its methods block on the disk, and may be
// called from any goroutine. When two writes that are under way at the same time change one
// entry, either may be the last.
type Keeper struct {
	db   kv.Client
	keys keys
	name string

	versioned atomic.Bool // the version is on the disk

	// contacts is another client of the store, because all contacts are written again when
	// it was opened anew.
	contacts kv.Client
	turn     sync.Mutex        // one load or save of contacts at a time
	saved    map[string]string // entries of contacts as they are on the disk
}

var _ kad.Keeper = (*Keeper)(nil)

// New returns the keeper of the client with this name. It reads nothing yet.
func New(db kv.DB, name string, o kad.Overlay) *Keeper {
	return &Keeper{db: db.Client(), contacts: db.Client(), keys: keysOf(name, o), name: name}
}

// Load returns everything that is kept. What cannot be read, or is not as it was written, is
// deleted and counted. Signatures and hashes are not verified anew. It fails with
// [kad.ErrSchema] for entries of a newer release, and changes nothing then.
func (k *Keeper) Load(ctx context.Context) (*kad.Kept, error) {
	kept, err := k.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the key-value DHT %q: %w", k.name, err)
	}
	return kept, nil
}

func (k *Keeper) load(ctx context.Context) (*kad.Kept, error) {
	if err := k.version(); err != nil {
		return nil, err
	}
	kept := new(kad.Kept)
	id, err := k.db.Get(k.keys.of(kindMeta, metaID))
	switch {
	case errors.Is(err, kv.ErrNotFound):
	case err != nil:
		return nil, err
	case len(id) == len(kept.ID):
		kept.ID = kad.ID(id)
	default:
		kept.Damaged++ // a new one will be made
	}
	err = errors.Join(
		k.scan(ctx, kindRecord, kept, func(key kad.Key, b []byte) bool {
			r, ok := decodeRecord(key, b)
			if ok {
				kept.Records = append(kept.Records, r)
			}
			return ok
		}),
		k.scan(ctx, kindOwn, kept, func(key kad.Key, b []byte) bool {
			o, ok := decodeOwn(key, b)
			if ok {
				kept.Own = append(kept.Own, o)
			}
			return ok
		}),
		k.loadContacts(ctx, kept),
	)
	if err != nil {
		return nil, err
	}
	return kept, nil
}

// version checks the version of the entries.
func (k *Keeper) version() error {
	value, err := k.db.Get(k.keys.of(kindMeta, metaVersion))
	if errors.Is(err, kv.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	name, err := checkVersion(value)
	if err == nil && name != k.name {
		err = ErrName
	}
	if err == nil {
		k.versioned.Store(true)
	}
	return err
}

// scan calls use for each entry of a kind with the id in its key and its content. What use
// rejects is deleted and counted.
func (k *Keeper) scan(ctx context.Context, kind string, kept *kad.Kept, use func(id kad.ID, b []byte) bool) error {
	prefix := k.keys.of(kind, nil)
	var wrong kv.Batch
	entries, scanErr := k.db.Scan(prefix)
	for key, value := range entries {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		id := key[len(prefix):]
		if b, ok := unseal(append([]byte(nil), value...)); !ok || len(id) != len(kad.ID{}) || !use(kad.ID(id), b) {
			wrong.Delete(append([]byte(nil), key...))
		}
	}
	if err := scanErr(); err != nil {
		return err
	}
	if kept.Damaged += wrong.Len(); wrong.Len() > 0 {
		_ = k.apply(k.db, &wrong, false) // after a failure they stay for the next load
	}
	return nil
}

// Commit makes all changes of b or none. With Sync they, and everything before, survive a
// loss of power when it has returned nil. Without, the end of the process loses nothing, and
// a loss of power, or a disk that fails and recovers, the last changes. After an error the
// changes may or may not be there, and may be committed again.
func (k *Keeper) Commit(_ context.Context, b kad.Batch) error {
	var w kv.Batch
	if !b.ID.IsZero() {
		w.Set(k.keys.of(kindMeta, metaID), b.ID[:])
	}
	for i := range b.Records {
		w.Set(k.keys.of(kindRecord, b.Records[i].Record.Key[:]), seal(appendRecord(nil, &b.Records[i])))
	}
	for i := range b.Removed {
		w.Delete(k.keys.of(kindRecord, b.Removed[i][:]))
	}
	for i := range b.Own {
		w.Set(k.keys.of(kindOwn, b.Own[i].Record.Key[:]), seal(appendOwn(nil, &b.Own[i])))
	}
	for i := range b.Forgotten {
		w.Delete(k.keys.of(kindOwn, b.Forgotten[i][:]))
	}
	if w.Len() == 0 && !b.Sync {
		return nil
	}
	return k.written(k.apply(k.db, &w, b.Sync))
}

// apply writes a batch, and with the first one the version.
func (k *Keeper) apply(db kv.Client, b *kv.Batch, sync bool) error {
	if !k.versioned.Load() {
		b.Set(k.keys.of(kindMeta, metaVersion), versionOf(k.name))
		sync = true
	}
	err := kv.Reapplied(func(bool) error { return db.Apply(b, sync) })
	if err == nil {
		k.versioned.Store(true)
	}
	return err
}

func (k *Keeper) written(err error) error {
	if err != nil {
		return fmt.Errorf("write the key-value DHT %q: %w", k.name, err)
	}
	return nil
}

// Close does nothing: the store belongs to the node.
func (k *Keeper) Close() error { return nil }
