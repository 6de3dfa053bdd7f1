package storypart

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// Reader collects the events in the store of a node that does not run. The zero value is ready.
type Reader struct{ events []models.Event }

// Visit takes an entry of the store, in the order of keys.
func (r *Reader) Visit(key, value []byte) {
	var e models.Event
	if !bytes.HasPrefix(key, []byte{kv.Bulk, keyPrefix}) || json.Unmarshal(value, &e) != nil {
		return
	}
	r.events = append(r.events, e)
	if len(r.events) >= 2*inMemory {
		r.events = slices.Delete(r.events, 0, inMemory)
	}
}

// Events returns the last events, oldest first, at most 1,000.
func (r *Reader) Events() []models.Event {
	return append([]models.Event{}, r.events[max(0, len(r.events)-inMemory):]...)
}
