package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
)

// failingNode is the allow list of a node of which some calls fail, by number;
// true: although they did what was asked.
type failingNode struct {
	on    map[identity.NodeID]bool
	calls int
	fail  map[int]bool
	with  error
}

func (n *failingNode) Allow(ctx context.Context, p identity.NodeID) error {
	return n.call(ctx, func() { n.on[p] = true })
}

func (n *failingNode) Disallow(ctx context.Context, p identity.NodeID) error {
	return n.call(ctx, func() { delete(n.on, p) })
}

func (n *failingNode) call(ctx context.Context, do func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	effect, fails := n.fail[n.calls]
	n.calls++
	if !fails || effect {
		do()
	}
	if fails {
		return n.with
	}
	return nil
}

func (n *failingNode) want(t *testing.T, what string, peers ...identity.NodeID) {
	t.Helper()
	got := slices.SortedFunc(maps.Keys(n.on), identity.NodeID.Compare)
	if !slices.Equal(got, peers) {
		t.Errorf("%s: got %v on the list, want %v", what, got, peers)
	}
}

// TestAllowListIsAsItWas has a change of the allow list fail at each of its steps,
// with and without having done it.
func TestAllowListIsAsItWas(t *testing.T) {
	a, b, c, d, e := identity.NodeID{1}, identity.NodeID{2}, identity.NodeID{3}, identity.NodeID{4}, identity.NodeID{5}
	fault := errors.New("it failed")
	silent := func(bool, string, ...any) {}
	for step := range 4 { // two to allow, two to disallow
		for _, effect := range []bool{false, true} {
			t.Run(fmt.Sprintf("step %d, done %v", step, effect), func(t *testing.T) {
				n := &failingNode{on: map[identity.NodeID]bool{a: true, b: true, c: true}, fail: map[int]bool{step: effect}, with: fault}
				l := newAllowList(n, []identity.NodeID{a, b, c}, silent)
				err := l.replace(t.Context(), []identity.NodeID{c, d, e})
				if partly := (*partlyError)(nil); !errors.Is(err, fault) || errors.As(err, &partly) {
					t.Errorf("got %v, want the fault, and that the list is as it was", err)
				}
				n.want(t, "after a change that failed", a, b, c)
				if !l.settled() {
					t.Error("got a list that is not settled, want it undone")
				}
				if err := l.replace(t.Context(), []identity.NodeID{c, d, e}); err != nil {
					t.Errorf("got %v, want none", err)
				}
				n.want(t, "after one that did not", c, d, e)

				// Undoing it fails, too.
				n.calls, n.fail = 0, map[int]bool{step: effect, step + 1: !effect}
				err = l.replace(t.Context(), []identity.NodeID{a, b, c})
				if partly := (*partlyError)(nil); !errors.Is(err, fault) || !errors.As(err, &partly) {
					t.Errorf("got %v, want that it was changed in part", err)
				}
				if l.settled() {
					t.Error("got a list that is settled, want that it is not known who is on it")
				}
				if err := l.replace(t.Context(), []identity.NodeID{c}); err != nil || !l.settled() {
					t.Errorf("got %v, settled %v, want none, true", err, l.settled())
				}
				n.want(t, "after the next change", c)
			})
		}
	}
}

// TestAllowListWithoutTime: a change that ran out of time is undone all the same.
func TestAllowListWithoutTime(t *testing.T) {
	a, b := identity.NodeID{1}, identity.NodeID{2}
	n := &failingNode{on: map[identity.NodeID]bool{a: true}}
	l := newAllowList(n, []identity.NodeID{a}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.replace(ctx, []identity.NodeID{b}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	n.want(t, "after it", a)
	if n.calls == 0 {
		t.Error("got no call that undoes it")
	}
}

// TestAllowListOnAFullDisk: a peer is on the list although the disk did not store
// that its ban has ended; that is said.
func TestAllowListOnAFullDisk(t *testing.T) {
	a := identity.NodeID{1}
	for _, fault := range []error{actors.ErrStoreFailed, actors.ErrNotDurable} {
		n := &failingNode{on: map[identity.NodeID]bool{}, fail: map[int]bool{0: true}, with: fault}
		said := 0
		l := newAllowList(n, nil, func(bool, string, ...any) { said++ })
		if err := l.replace(t.Context(), []identity.NodeID{a}); err != nil || said != 1 {
			t.Errorf("%v: got %v, said %d times, want no error, said once", fault, err, said)
		}
		n.want(t, fault.Error(), a)
	}
}
