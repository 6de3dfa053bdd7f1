package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Options of Start. The zero value works.
type Options struct {
	Runtime     Runtime       // nil: Real()
	Logger      *slog.Logger  // nil: slog.Default()
	Phases      []Phase       // in order, paths relative to tree; actors without a phase stop with tree
	DontWait    bool          // Start returns at once; Root.Ready waits
	StopTimeout time.Duration // for a stop caused by failure, or with a context without deadline; 0: 10 s

	// Contained is called for every contained panic, in the turn of the actor at
	// path. It must not block.
	Contained func(source Source, path string, err *PanicError)
	// Panicked is called once for every panic of an actor whose Spec.OnPanic is
	// not Supervised, in that actor's turn or in its parent's; Contained is not
	// called for those. Panicked does the logging, too. It must not block.
	Panicked func(Panic)
	// Failed is called when an actor has failed, and its parent's policy decides about it, in the turn
	// of the actor at path. It is not called for those actors of whose panics Panicked is. It must not block.
	Failed func(path string, err *PanicError)
	// ByHand is called when the actor at path has been restarted or stopped because [Root.Restart] or [Root.StopActor] asked for
	// it, in that actor's turn, also when the asker waits no longer. It must not block.
	ByHand func(path string, stopped bool)
	// Fault is for tests. It is called before an actor of the tree receives a
	// message, with the type of the message, and at the beginning of each task,
	// with "task" and its name. It may panic, as a bug of that actor would.
	Fault func(path, point string)

	// Published is called for every Publish, in the publisher's turn. It must not
	// block.
	Published func(event any)
}

// Phase is a step of the shutdown. It sends a Drain message to the actors named by
// Drain; when they have answered, it stops those named by Stop. A step may take at
// most three quarters of the time that is left. Actors that do not exist are
// skipped.
type Phase struct{ Drain, Stop []string }

// StuckError names every actor and task that did not end in time. It leaves out an
// actor that only waits for one that is named. A task is named "path (task name)",
// with its actor's path.
type StuckError struct{ Paths []string }

// Error lists the paths.
func (e *StuckError) Error() string {
	return "supervisor: did not stop: " + strings.Join(e.Paths, ", ") + "; see the stacks of these actors for what they wait for"
}

// Start spawns tree and returns its Root. A failure that no policy in the tree
// handles stops the tree as [Root.Stop] does, with the failure as the cause. The
// actors' paths begin with name/tree.Name. Several roots may share one system.
//
// Start returns when Started has returned in every actor that was spawned by a
// Group or in another actor's Started. An actor that blocks in Started blocks
// Start. A failure in Started is no error of Start: the parent's policy decides.
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
	if strconv.IntSize == 32 {
		fit32(sys)
	}
	officeOf(sys)
	r := &Root{root{
		host: newHost(sys, o),
		tree: sys.NewLocalPID(name + "/" + tree.Name),
		done: make(chan struct{}),
		gone: make(chan struct{}),
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

// Ready waits until the first Started of every actor of the tree has returned. It
// is for a tree that was started with DontWait. When ctx ends earlier, the error
// wraps ctx's and names the actors whose Started has not returned.
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

// reserved reports whether protoactor or this package uses the name for a process.
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

// Stop runs the phases, stops the tree, waits for its tasks and returns cause. When
// ctx ends earlier, Stop joins cause with a *StuckError that names the actors and
// tasks that have not ended; they are left running, and Done is closed. Stop is
// idempotent: the first cause counts, and a later call waits for the same end.
func (r *Root) Stop(ctx context.Context, cause error) error { return r.stop(ctx, cause) }

// Done is closed when the tree has ended, or when a stop has given up on it.
func (r *Root) Done() <-chan struct{} { return r.done }

// Gone returns a channel that is closed when the last actor of the tree has ended. That is after Done if a stop has taken too long.
func (r *Root) Gone() <-chan struct{} { return r.gone }

// Err returns nil until Done is closed, and then the result of Stop.
func (r *Root) Err() error { return r.err() }

// OnWall converts a time of Now, such as those of Snapshot, into a time of the
// system's clock: see [Runtime].
func (r *Root) OnWall(t time.Time) time.Time { return OnWall(r.host.rt, t) }

// Now reads the clock for measuring: see [Runtime].
func (r *Root) Now() time.Time { return r.host.rt.Now() }

// Snapshot describes all actors, ordered by path. It reads the registry and asks no
// actor, so it includes stuck ones.
func (r *Root) Snapshot() []Info { return r.host.snapshot() }

// Stacks returns the goroutines of one actor, its turn and its tasks, as the
// goroutine profile prints them. It stops the world for a moment.
func (r *Root) Stacks(path string) []byte { return stacks(path) }

type root struct {
	host *host
	top  *cell
	tree *actor.PID
	done chan struct{}
	gone chan struct{}

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
func (r *root) ended() {
	r.finish(nil)
	close(r.gone)
}

func joined(cause error, stuck []string) error {
	if len(stuck) == 0 {
		return cause
	}
	if cause == nil {
		return &StuckError{stuck}
	}
	return errors.Join(cause, &StuckError{stuck})
}
