package safpart

import (
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// SetMoved says when bytes were last written to a peer. It is called before the actors start.
func (f *Saf) SetMoved(moved func(identity.NodeID) time.Time) { f.moved = moved }
