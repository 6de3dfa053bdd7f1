package connections

import (
	"net/netip"
)

// MoveListener has a listener listen on another IP address of the machine. Sent to
// node/listeners/0. Reply: ListenerMoved.
type MoveListener struct{ To netip.Addr }

// ListenerMoved replies to MoveListener. Err nil: it listens there.
type ListenerMoved struct{ Err error }
