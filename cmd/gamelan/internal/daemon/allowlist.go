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

// undoTime is the time limit for undoing a failed change of the allow list.
const undoTime = 5 * time.Second

// allower are the methods of a node for its allow list.
type allower interface {
	Allow(ctx context.Context, peer identity.NodeID) error
	Disallow(ctx context.Context, peer identity.NodeID) error
}

// allowList is the part of a node's allow list that comes from its settings.
type allowList struct {
	node  allower
	peers map[identity.NodeID]bool // false: a change failed, and the peer may or may not be on the list
	say   func(warn bool, format string, args ...any)
}

// newAllowList returns the list of a node that was started with these peers on it.
func newAllowList(n allower, peers []identity.NodeID, say func(bool, string, ...any)) *allowList {
	l := &allowList{n, make(map[identity.NodeID]bool), say}
	for _, p := range peers {
		l.peers[p] = true
	}
	return l
}

// settled reports whether it is certain which peers are on the list.
func (l *allowList) settled() bool {
	for _, known := range l.peers {
		if !known {
			return false
		}
	}
	return true
}

// replace sets the peers on the list. After an error the list is as before, apart from bans
// that were lifted. If the error is a [partlyError], the list was changed in part, and the
// next call corrects it.
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

// allow puts a peer on the list, even if the disk does not store the end of a ban.
func (l *allowList) allow(ctx context.Context, p identity.NodeID) error {
	err := l.node.Allow(ctx, p)
	if errors.Is(err, actors.ErrStoreFailed) || errors.Is(err, actors.ErrNotDurable) {
		l.say(true, "%s is allowed, but %s.", p, failure.Text(err))
		return nil
	}
	return err
}

// partlyError reports that a setting was applied in part.
type partlyError struct{ err error }

func (e *partlyError) Error() string { return e.err.Error() }
func (e *partlyError) Unwrap() error { return e.err }
