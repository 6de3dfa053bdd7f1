package gamelan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/nodeview"
)

// Part is a subsystem of the node: its actors in the tree, its section in the inspector, what one
// can do to it, its warnings, and its stage of the stop. The node's own subsystems are Parts, and
// yours runs beside them with [WithPart].
type Part = actors.Part

// Stage is a step of the orderly stop of a node; see [Part].Stages. Actors that use connections
// finish in StopProtocols.
type Stage = actors.Stage

// The stages of a stop, in their order.
const (
	StopIntake      = actors.StopIntake
	StopSenders     = actors.StopSenders
	StopMessages    = actors.StopMessages
	StopReceivers   = actors.StopReceivers
	StopProtocols   = actors.StopProtocols
	StopConnections = actors.StopConnections
	StopStores      = actors.StopStores
)

// WithPart runs a subsystem of yours in the node. Its make is called once, before the node accepts
// its first connection; an error of it fails Start. The part's name and those of its sections must
// be free. For less than a part see [WithActor], [WithSection], [WithHealth] and [WithStop]. What
// belongs together can be one option: see [Options].
func WithPart(make func(n *Node) (Part, error)) Option {
	return func(o *options) error {
		if make == nil {
			return errors.New("gamelan: WithPart was given no function")
		}
		o.parts = append(o.parts, make)
		return nil
	}
}

// Options returns an option that is several, in their order. A package with a part of its own
// offers one such option.
func Options(opts ...Option) Option {
	return func(o *options) error {
		for _, opt := range opts {
			if err := opt(o); err != nil {
				return err
			}
		}
		return nil
	}
}

// WithSection adds a section to the inspector: show returns its content, which becomes JSON. It may
// wait until ctx ends. The name must be free; those of the node's own are in [Inspection].
func WithSection(name string, show func(ctx context.Context) any) Option {
	return func(o *options) error {
		if show == nil || name == "" {
			return errors.New("gamelan: WithSection was given no name, or no function")
		}
		if o.Sections[name] != nil {
			return fmt.Errorf("gamelan: WithSection was given twice for %q", name)
		}
		if o.Sections == nil {
			o.Sections = make(map[string]func(context.Context) any)
		}
		o.Sections[name] = show
		return nil
	}
}

// WithHealth adds a check of your program to the health of the node: check returns why the program
// does not work as it should, or nil. The node is then degraded, with that reason. The check must
// not wait. It may be given several times.
func WithHealth(check func() error) Option {
	return func(o *options) error {
		if check == nil {
			return errors.New("gamelan: WithHealth was given no function")
		}
		o.Checks = append(o.Checks, check)
		return nil
	}
}

// WithStop has [Node.Close] call stop before anything of the node closes: it can still send. Its
// ctx has half of the time of the Close, and Close goes on when that is over. An error of stop is
// part of Close's. It may be given several times: the last one is called first. It is not called
// when the node fails.
func WithStop(stop func(ctx context.Context, n *Node) error) Option {
	return func(o *options) error {
		if stop == nil {
			return errors.New("gamelan: WithStop was given no function")
		}
		o.stops = append(o.stops, stop)
		return nil
	}
}

// stops are the functions of [WithStop].
type stops struct {
	list  []func(context.Context, *Node) error
	begin sync.Once
	ended chan struct{} // closed when all have returned
	err   error         // set before ended is closed
}

// run calls the functions, unless another Close has. It waits until they have returned, for half of
// the time of ctx, or until the node has ended.
func (s *stops) run(ctx context.Context, n *Node) error {
	if len(s.list) == 0 {
		return nil
	}
	over, _ := ctx.Deadline()
	within, cancel := context.WithTimeout(ctx, time.Until(over)/2)
	defer cancel()
	s.begin.Do(func() {
		go func() {
			defer close(s.ended)
			for _, stop := range slices.Backward(s.list) {
				s.err = errors.Join(s.err, nodeview.Safely(func() error { return stop(within, n) }))
			}
		}()
	})
	select {
	case <-s.ended:
	case <-n.e.Root.Done():
	case <-within.Done():
	}
	select {
	case <-s.ended: // also when the node has ended meanwhile
		if s.err != nil {
			return fmt.Errorf("gamelan: close: %w", s.err)
		}
	default:
		if err := cmp.Or(ctx.Err(), within.Err()); err != nil {
			return fmt.Errorf("gamelan: close: a function of WithStop has not returned: %w", err)
		}
	}
	return nil
}
