package supervisor

import (
	"context"
	"fmt"
)

// Detail is an actor's description of itself.
type Detail struct {
	Line  string // its String(): one line for the tree
	Value any    // its Inspect(): a value that can be printed as JSON
}

// Inspectable is an optional interface of actors. Inspect is called in the actor's
// own turn and returns a copy of the values that may be shown. So is String, which
// gives the actor's line in the tree.
type Inspectable interface{ Inspect() any }

// Inspect calls String and Inspect of the actor at path, in its own turn. A method
// that the actor does not have leaves its field empty. Inspect returns ctx's error
// when the actor is too busy to answer in time, ErrNoActor, or a *PanicError.
func (r *Root) Inspect(ctx context.Context, path string) (Detail, error) {
	c := r.host.lookup(path)
	if c == nil {
		return Detail{}, fmt.Errorf("%w: %s", ErrNoActor, path)
	}
	type answer struct {
		Detail
		err error
	}
	answers := make(chan answer, 1)
	c.PostUserMessage(&order{
		run: func(c *cell) {
			d, err := c.describe()
			answers <- answer{d, err}
		},
		dropped: func() { answers <- answer{err: fmt.Errorf("%w: %s", ErrNoActor, path)} },
	})
	if s, ok := r.host.rt.(*Seeded); ok {
		s.settleSome()
	}
	select {
	case a := <-answers:
		return a.Detail, a.err
	case <-ctx.Done():
		return Detail{}, fmt.Errorf("supervisor: inspect %s: %w", path, ctx.Err())
	}
}

// describe runs in the actor's turn.
func (c *cell) describe() (d Detail, err error) {
	defer func() {
		if r := recover(); r != nil {
			d, err = Detail{}, newPanicError(c.path(), "Inspect", r)
		}
	}()
	if s, ok := c.current.inner.(fmt.Stringer); ok {
		d.Line = s.String()
	}
	if i, ok := c.current.inner.(Inspectable); ok {
		d.Value = i.Inspect()
	}
	return d, nil
}
