package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Options of Start. The zero value works.
type Options struct {
	Runtime     Runtime       // nil: Real()
	Logger      *slog.Logger  // nil: slog.Default()
	Phases      []Phase       // in order, paths relative to tree; what is named nowhere stops with tree
	DontWait    bool          // Start returns at once; Root.Ready waits
	StopTimeout time.Duration // for a stop caused by failure, or with a context without deadline; 0: 10 s

	// Contained is told of every contained panic, in the turn of the actor at
	// path. It must not block.
	Contained func(source any, path string, err *PanicError)
	// Panicked is told, once, of every panic of an actor whose Spec.OnPanic is
	// not Supervised, in that actor's turn or in its parent's; it does the
	// logging, too. It must not block. Contained is not told of those.
	Panicked func(Panic)
	// Fault, for tests, is called before an actor of the tree gets a message,
	// with the type of the message, and at the beginning of each task, with
	// "task" and its name. It may panic there, as a bug of that actor would.
	Fault func(path, point string)

	// Published is told of every Publish, in the publisher's turn. It must not
	// block.
	Published func(event any)
}

// Phase is a step of the shutdown: Drain is sent to the actors of Drain, and
// when they have answered, those of Stop are stopped. A step that does not end
// is given three quarters of the time that is left. Actors that do not exist
// are passed over.
type Phase struct{ Drain, Stop []string }

// StuckError names every actor and task that did not end in time. An actor that
// only waits for one that is named already is left out; a task is named after
// its actor's path, as "path (task name)".
type StuckError struct{ Paths []string }

// Error lists the paths.
func (e *StuckError) Error() string {
	return "supervisor: did not stop: " + strings.Join(e.Paths, ", ") + "; see the stacks of these actors for what they wait for"
}

// Start spawns tree under a trivial parent that holds the top policy: a
// failure that reaches it runs the phases as Stop does, with that cause. The
// actors' paths begin with name/tree.Name. Several roots may share one system.
//
// Start returns when every actor that was spawned on the way up, by a Group or
// in some actor's Started, has got through its own Started. An actor that blocks
// there blocks Start. That an actor failed in Started is no error of Start: its
// parent's policy decides.
func Start(sys *actor.ActorSystem, name string, tree Spec, o Options) (*Root, error) {
	if !ValidName(name) || reserved(name) {
		return nil, fmt.Errorf("supervisor: start: the name %q is reserved or not of [a-z0-9._-]", name)
	}
	if !ValidName(tree.Name) || tree.New == nil {
		return nil, fmt.Errorf("supervisor: start: the tree %q needs a name of [a-z0-9._-] and a New", tree.Name)
	}
	if o.StopTimeout <= 0 {
		o.StopTimeout = 10 * time.Second
	}
	officeOf(sys)
	r := &Root{root{
		host: newHost(sys, o),
		tree: sys.NewLocalPID(name + "/" + tree.Name),
		done: make(chan struct{}),
	}}
	spec := Spec{
		Name:     name,
		Kind:     "top",
		New:      func() actor.Actor { return &top{root: &r.root, spec: tree} },
		Children: Policy{Action: stopTree},
	}
	pid, err := r.host.spawn(actor.NewRootContext(sys, nil), nil, spec)
	if err != nil {
		return nil, err
	}
	r.top = r.host.lookup(pid.Id)
	if s, ok := r.host.rt.(*Seeded); ok {
		s.settle(r.host.ready)
	}
	if !o.DontWait {
		<-r.host.ready
	}
	return r, nil
}

// Ready waits until every actor of the tree has got through its first Started;
// it is for a tree that was started with DontWait. When ctx ends before, the
// error wraps ctx's and names the actors that are still in it.
func (r *Root) Ready(ctx context.Context) error {
	select {
	case <-r.host.ready:
		return nil
	case <-ctx.Done():
	}
	var paths []string
	for _, i := range r.Snapshot() {
		if i.State == StateStarting {
			paths = append(paths, i.Path)
		}
	}
	return fmt.Errorf("%w: not through Started: %s; see what it waits for, and have tasks do what waits", ctx.Err(), strings.Join(paths, ", "))
}

// reserved reports whether protoactor or this package names processes so.
func reserved(name string) bool {
	for _, prefix := range [...]string{"future", "guardian", "deadletter", "eventstream", "ask"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// Root is a running tree.
type Root struct{ root }

// PID is the tree's topmost actor.
func (r *Root) PID() *actor.PID { return r.tree }

// Stop runs the phases, stops the tree, waits for its tasks and returns cause.
// What has not ended when ctx ends is named by a *StuckError that is joined with
// cause; it is left running, Done is closed nevertheless. Stop is idempotent:
// the first cause counts, a later call waits for the same end.
func (r *Root) Stop(ctx context.Context, cause error) error { return r.stop(ctx, cause) }

// Done is closed when the tree has ended, or when a stop has given up on it.
func (r *Root) Done() <-chan struct{} { return r.done }

// Err is nil until Done is closed, then what Stop returns.
func (r *Root) Err() error { return r.err() }

// OnWall translates a time of Now, such as those of Snapshot, into one of the
// system's clock: see [Runtime].
func (r *Root) OnWall(t time.Time) time.Time { return OnWall(r.host.rt, t) }

// Now is the clock that measures: see [Runtime].
func (r *Root) Now() time.Time { return r.host.rt.Now() }

// Snapshot returns what the registry knows of all actors, ordered by path. It
// asks nobody, so a stuck actor is in it as well.
func (r *Root) Snapshot() []Info { return r.host.snapshot() }

// Stacks returns the goroutines of one actor, its turn and its tasks, as the
// goroutine profile prints them. It stops the world for a moment.
func (r *Root) Stacks(path string) []byte { return stacks(path) }

type root struct {
	host *host
	top  *cell
	tree *actor.PID
	done chan struct{}

	mu       sync.Mutex
	finished bool
	result   error
	cause    error
}

func (r *root) err() error {
	select {
	case <-r.done:
	default:
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.result
}

func (r *root) stop(ctx context.Context, cause error) error {
	if isClosed(r.done) {
		return r.err()
	}
	req := stopRequest{cause: cause, began: make(chan bool, 1)}
	if s, ok := r.host.rt.(*Seeded); ok { // ctx knows nothing of virtual time
		r.top.PostUserMessage(req)
		s.settleBefore(r.done, r.host.options.StopTimeout)
		select {
		case <-r.done:
		default:
			r.finish(r.host.stuck())
		}
		return r.err()
	}
	req.deadline, req.bound = ctx.Deadline()
	r.top.PostUserMessage(req)
	select {
	case <-r.done:
		return r.err()
	case <-ctx.Done():
	}
	stuck := r.host.stuck()
	select {
	case first := <-req.began:
		if first {
			r.finish(stuck)
			return r.err()
		}
	default:
	}
	select {
	case <-r.done:
		return r.err()
	default:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return joined(r.cause, stuck)
}

// finish closes done, once.
func (r *root) finish(stuck []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finished {
		return
	}
	r.finished = true
	r.result = joined(r.cause, stuck)
	r.host.endWatch()
	close(r.done)
}

// ended is called when the trivial parent itself has stopped.
func (r *root) ended() { r.finish(nil) }

func joined(cause error, stuck []string) error {
	if len(stuck) == 0 {
		return cause
	}
	if cause == nil {
		return &StuckError{stuck}
	}
	return errors.Join(cause, &StuckError{stuck})
}
