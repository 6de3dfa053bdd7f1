package store

import (
	"fmt"
	"sync"

	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// keyWatermark is the kind of the entries of [Watermarks], whose keys end with the server's
// id.
const keyWatermark = 'w'

// Watermarks has on the disk up to when each server's messages were received (spec: dht
// 107). Save may be called from any goroutine.
type Watermarks struct {
	disk   kv.Client
	loaded []saf.Watermark
	turn   sync.Mutex
	whole  bool // the disk may lack some; guarded by turn

	// Damaged is how many entries could not be read. They are left as they are; their servers
	// are asked for everything they have.
	Damaged int
}

// OpenWatermarks reads all watermarks.
func OpenWatermarks(disk kv.Client) (*Watermarks, error) {
	w := &Watermarks{disk: disk}
	entries, scanErr := disk.Scan([]byte{keyPrefix, keyWatermark})
	for _, value := range entries {
		if m, err := saf.DecodeWatermark(value); err == nil {
			w.loaded = append(w.loaded, m)
		} else {
			w.Damaged++
		}
	}
	if err := scanErr(); err != nil {
		return nil, fmt.Errorf("read the watermarks of stored messages: %w", err)
	}
	return w, nil
}

// Loaded returns the watermarks that were on the disk.
func (w *Watermarks) Loaded() *saf.Watermarks {
	all := new(saf.Watermarks)
	for _, m := range w.loaded {
		all.Load(m)
	}
	return all
}

// Save writes the watermarks that were raised, or all of them if the disk may lack some.
// After an error the next Save writes all.
func (w *Watermarks) Save(raised, all []saf.Watermark) error {
	w.turn.Lock()
	defer w.turn.Unlock()
	err := kv.Reapplied(func(bool) error {
		if w.whole {
			raised = all
		}
		b := new(kv.Batch)
		for _, m := range raised {
			b.Set(append([]byte{keyPrefix, keyWatermark}, m.Server[:]...), m.Append(nil))
		}
		err := w.disk.Apply(b, true)
		w.whole = err != nil
		return err
	})
	if err != nil {
		return fmt.Errorf("write the watermarks of stored messages: %w", err)
	}
	return nil
}
