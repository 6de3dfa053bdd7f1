package supervisor

import (
	"context"
	"fmt"
)

// Detail is what an actor says of itself.
type Detail struct {
	Line  string // its String(): one line for the tree
	Value any    // its Inspect(): a value that can be printed as JSON
}

// Inspectable may be implemented by an actor; Inspect is called in its own turn
// and returns a copy of what may be shown. String, for the tree's line, is
// called likewise.
type Inspectable interface{ Inspect() any }

// Inspect asks the actor at path for its own words, in its own turn. What the
// actor does not implement stays empty. Errors: ctx's, when the actor does not
// get to it in time; ErrNoActor; a *PanicError.
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
	if s, ok := c.life.inner.(fmt.Stringer); ok {
		d.Line = s.String()
	}
	if i, ok := c.life.inner.(Inspectable); ok {
		d.Value = i.Inspect()
	}
	return d, nil
}
