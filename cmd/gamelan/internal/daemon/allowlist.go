package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/identity"
)

// undoTime is how long a change of the allow list that failed may take to be undone.
const undoTime = 5 * time.Second

// allower is the part of a node that has its allow list.
type allower interface {
	Allow(ctx context.Context, peer identity.NodeID) error
	Disallow(ctx context.Context, peer identity.NodeID) error
}

// allowList is the allow list of a node, as far as its settings say who is on it.
type allowList struct {
	node  allower
	peers map[identity.NodeID]bool // false: a change failed, the peer may be on it or not
	say   func(warn bool, format string, args ...any)
}

// newAllowList returns the list of a node that has started with these peers on it.
func newAllowList(n allower, peers []identity.NodeID, say func(bool, string, ...any)) *allowList {
	l := &allowList{n, make(map[identity.NodeID]bool), say}
	for _, p := range peers {
		l.peers[p] = true
	}
	return l
}

// settled tells whether it is known who is on the list.
func (l *allowList) settled() bool {
	for _, known := range l.peers {
		if !known {
			return false
		}
	}
	return true
}

// replace makes the peers on the list those given. After an error the list is as
// it was, but for bans that have been lifted, or the error is a [partlyError], and
// the next call puts it right.
func (l *allowList) replace(ctx context.Context, peers []identity.NodeID) error {
	before := slices.SortedFunc(maps.Keys(l.peers), identity.NodeID.Compare)
	before = slices.DeleteFunc(before, func(p identity.NodeID) bool { return !l.peers[p] })
	err := l.change(ctx, peers)
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	if undo := l.change(ctx, before); undo != nil {
		return &partlyError{fmt.Errorf("%w; and undoing it: %w", err, undo)}
	}
	return err
}

func (l *allowList) change(ctx context.Context, peers []identity.NodeID) error {
	for _, p := range peers {
		if l.peers[p] {
			continue
		}
		l.peers[p] = false
		if err := l.allow(ctx, p); err != nil {
			return err
		}
		l.peers[p] = true
	}
	for _, p := range slices.SortedFunc(maps.Keys(l.peers), identity.NodeID.Compare) {
		if slices.Contains(peers, p) {
			continue
		}
		l.peers[p] = false
		if err := l.node.Disallow(ctx, p); err != nil {
			return err
		}
		delete(l.peers, p)
	}
	return nil
}

// allow puts a peer on the list. A disk that does not store the end of a ban keeps
// nobody off it.
func (l *allowList) allow(ctx context.Context, p identity.NodeID) error {
	err := l.node.Allow(ctx, p)
	if errors.Is(err, actors.ErrStoreFailed) || errors.Is(err, actors.ErrNotDurable) {
		l.say(true, "%s is allowed, but %s.", p, failure.Text(err))
		return nil
	}
	return err
}

// partlyError says that a setting was taken over in part.
type partlyError struct{ err error }

func (e *partlyError) Error() string { return e.err.Error() }
func (e *partlyError) Unwrap() error { return e.err }
