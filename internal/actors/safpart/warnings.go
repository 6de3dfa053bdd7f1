package safpart

import (
	"fmt"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/words"
)

// Degraded returns why the node is degraded because of what it stores for others.
func (f *Saf) Degraded() (list models.Notices) {
	t := f.Trouble()
	if t.Err != nil {
		list = append(list, codes.StoredFailed.Notice("messages for other nodes cannot be stored, and are relayed only: "+words.Sentence(t.Err)))
	}
	return list
}

// Warnings returns what else is to be known of what the node stores for others. A store that is full is the usual state of a
// busy one, and strangers can fill it.
func (f *Saf) Warnings() (list models.Notices) {
	if t := f.Trouble(); t.Full {
		list = append(list, codes.StoredFull.Notice(fmt.Sprintf("the store of messages for other nodes is full, with %s: new ones evict those of the source with most",
			inspect.Count(uint64(t.Messages), "message"))))
	}
	return list
}
