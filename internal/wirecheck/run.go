package wirecheck

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Target is the node to check.
type Target struct {
	// Dial makes a raw connection to it.
	Dial func(context.Context) (net.Conn, error)
	// Key is the identity that it must have.
	Key     identity.PublicKey
	Network protocol.Network
	// Release is the release that the node must follow where releases differ.
	Release protocol.Release
	// UserAgent is the user agent of the checks, at most 40 bytes of printable ASCII.
	UserAgent string

	learned *learned // in a run
}

// learned is what the checks of a run have found out about the node, so that each of them
// need not wait for what never comes.
type learned struct {
	answersNothing atomic.Bool // to requests for stored messages
	asksNobody     atomic.Bool // for stored messages
}

// Times and sizes. The limits of the node itself stand in the checks.
const (
	patience   = 3 * time.Second        // for an answer, or an end
	quiet      = 250 * time.Millisecond // how long nothing must come to count as silence
	checkLimit = 30 * time.Second       // for one check
)

// Numbers of checks that run in parallel: every release allows three set-ups of one source at
// once (V 8 says four).
const (
	slowLanes  = 2 // checks that only wait
	quickLanes = 1
)

// Options say how to run.
type Options struct {
	// Large includes the checks that send megabytes.
	Large bool
	// Done is called with each result as it comes, one at a time; it may be nil.
	Done func(Result)
}

// UnreachableError reports a target that could not be dialled at all.
type UnreachableError struct{ Err error }

// Error returns the reason.
func (e *UnreachableError) Error() string { return "wirecheck: no connection: " + e.Err.Error() }

// Unwrap returns what the dial returned.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Run runs the checks and returns their results in the same order. Its error
// is an *[UnreachableError], or the context's end.
//
// The first connections find the stage that connections reach. Checks that need a later stage
// are not applicable, so that one broken rule is one failure and not fifty. Run returns the
// error of that stage as blocked; then the node has not passed, whatever the results are.
func Run(ctx context.Context, t Target, checks []Check, o Options) (results []Result, blocked, err error) {
	t.learned = new(learned)
	first, err := t.Dial(ctx)
	if err != nil {
		return nil, nil, &UnreachableError{err}
	}
	first.Close()

	reach, blocked := t.reach(ctx)
	results = make([]Result, len(checks))
	var mu sync.Mutex
	perform := func(i int) {
		r := t.perform(ctx, checks[i], reach, o)
		mu.Lock()
		defer mu.Unlock()
		results[i] = r
		if o.Done != nil && ctx.Err() == nil {
			o.Done(r)
		}
	}
	var lanes sync.WaitGroup
	for _, lane := range []struct {
		slow bool
		n    int
	}{{true, slowLanes}, {false, quickLanes}} {
		queue := make(chan int, len(checks))
		for i, c := range checks {
			if c.slow == lane.slow && !c.pair {
				queue <- i
			}
		}
		close(queue)
		for range lane.n {
			lanes.Go(func() {
				for i := range queue {
					perform(i)
				}
			})
		}
	}
	lanes.Wait()
	for i, c := range checks {
		if c.pair {
			perform(i)
		}
	}
	return results, blocked, ctx.Err()
}

// reach returns the stage that connections reach, and the error of the next one.
func (t Target) reach(ctx context.Context) (stage, error) {
	for _, step := range []struct {
		reached stage // if it fails
		try     func(p *probe) error
	}{{needsNothing, answered}, {needsAnswer, noiseHandshake}, {needsHandshake, rightKey}, {needsKey, connects}, {needsIdentities, muxUnasked}} {
		p, err := t.probe(ctx)
		if err == nil {
			err = step.try(p)
			p.end()
		}
		if err != nil {
			return step.reached, err
		}
	}
	return needsSession, nil
}

// answered checks that anything comes after message 1.
func answered(p *probe) error {
	_, got, _, err := p.answer2(p.message1())
	if err == nil && len(got) == 0 {
		err = differs("an answer to the first message", "none: the node has another network or release than %s %s", p.Network, p.Release)
	}
	return err
}

// rightKey checks that the node has the expected key.
func rightKey(p *probe) error {
	_, _, err := p.secure()
	return err
}

// connects checks that identities are exchanged.
func connects(p *probe) error {
	_, err := p.connect()
	return err
}

// perform runs one check.
func (t Target) perform(ctx context.Context, c Check, reach stage, o Options) Result {
	r := Result{Name: c.Name, Rules: c.Rules, Title: c.Title, Status: NotApplicable}
	switch {
	case ctx.Err() != nil:
		r.Note = "it was not run"
		return r
	case c.large && !o.Large:
		r.Note = "sends megabytes, and was not asked for"
		return r
	case c.needs > reach:
		r.Note = "no connection gets that far"
		return r
	}
	began := time.Now()
	p, err := t.probe(ctx)
	if err == nil {
		err = c.run(p)
		r.Note = p.note
		if err != nil && errors.Is(p.ctx.Err(), context.DeadlineExceeded) {
			err = differs("an end of this check", "none within %v (%v)", checkLimit, err)
		}
		p.end()
	}
	r.MS = time.Since(began).Milliseconds()
	r.judge(err)
	return r
}

// judge sets the result from the error of a check.
func (r *Result) judge(err error) {
	var m *mismatch
	var i inapplicable
	switch {
	case err == nil:
		r.Status = Pass
	case errors.As(err, &i):
		r.Note = string(i)
	case errors.As(err, &m):
		r.Status, r.Expected, r.Got = Fail, m.want, m.got
		if m.where != "" {
			r.Where, r.Offset = m.where, &m.offset
		}
	default:
		r.Status, r.Expected, r.Got = Fail, "a connection that works", err.Error()
	}
}

// probe is one check under way: an identity and its connections.
type probe struct {
	Target
	ctx    context.Context
	cancel context.CancelFunc
	secret *identity.Secret
	note   string // for the result
	hears  bool   // sessions keep the substreams that the node opens

	opened []func()
}

func (t Target) probe(ctx context.Context) (*probe, error) {
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make an identity: %w", err)
	}
	p := &probe{Target: t, secret: secret}
	p.ctx, p.cancel = context.WithTimeout(ctx, checkLimit)
	return p, nil
}

// end closes what the check has opened.
func (p *probe) end() {
	p.cancel()
	for _, c := range p.opened {
		c()
	}
}
