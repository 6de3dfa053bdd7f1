package protocol

import (
	"errors"
	"fmt"
	"net/netip"
)

// ErrLimit reports that a limit is reached. Every [LimitError] matches it.
var ErrLimit = errors.New("connpool: limit reached")

// LimitError reports the limit that refused an inbound connection.
type LimitError struct {
	Name  string       // of the setting
	Limit int          // its value
	Scope netip.Prefix // the network that shares it; zero: all networks
}

// Error names the limit, its value and its scope.
func (e *LimitError) Error() string {
	if e.Scope.IsValid() {
		return fmt.Sprintf("connpool: limit %s (%d) of %s reached", e.Name, e.Limit, e.Scope)
	}
	return fmt.Sprintf("connpool: limit %s (%d) reached", e.Name, e.Limit)
}

// Key returns the key of the setting in the daemon's configuration, such as
// connections.max_inbound.
func (e *LimitError) Key() string {
	key := []byte("connections.")
	for i, c := range []byte(e.Name) {
		if c >= 'A' && c <= 'Z' {
			if c += 'a' - 'A'; i > 0 {
				key = append(key, '_')
			}
		}
		key = append(key, c)
	}
	return string(key)
}

// Is makes every LimitError match ErrLimit.
func (e *LimitError) Is(target error) bool { return target == ErrLimit }
