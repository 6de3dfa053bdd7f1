package doctorpart

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// probes tries the addresses of one examination, all side by side. It is attached to the group of the
// part, and detached when the examination ends.
//
// In: more, results of its tasks. Out: results. It is not restarted: whoever waits for results asks again,
// and hears that it is gone.
type probes struct {
	d       *Doctor
	targets []target
	results []probed
	asking  *actor.PID // who waits for results beyond the first have
	have    int
}

// target is what is to be tried.
type target struct {
	step string // of the examination
	who  string // whom the address is of, for people; "": the step says it
	addr ma.Multiaddr
	key  identity.PublicKey // zero: whichever it has
	soft bool               // a failure is no fault of this node
}

// probed is how it went.
type probed struct {
	target
	i      int                // of the target
	proven identity.PublicKey // by the node there
	took   time.Duration
	err    error
}

type (
	// more asks for the results beyond the first have. The answer, results, comes when there are some.
	more    struct{ have int }
	results struct{ list []probed }
)

// Receive implements [actor.Actor].
func (a *probes) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		for i, to := range a.targets {
			supervisor.Do(c, i, func(ctx context.Context) (probed, error) { return a.d.try(ctx, i, to), nil })
		}
	case supervisor.Done[probed]:
		p := m.Value
		if m.Err != nil { // the program's transport has panicked
			i := m.Key.(int)
			p = probed{target: a.targets[i], i: i, err: m.Err}
		}
		a.results = append(a.results, p)
		if a.asking != nil {
			c.Send(a.asking, results{a.results[a.have:]})
			a.asking = nil
		}
	case more:
		if m.have < len(a.results) {
			supervisor.Reply(c, results{a.results[m.have:]})
			return
		}
		a.asking, a.have = c.Sender(), m.have
	default:
		supervisor.Unhandled(c)
	}
}

// try tries one address.
func (d *Doctor) try(ctx context.Context, i int, to target) probed {
	p, from := probed{target: to, i: i}, d.trunk.Now()
	p.proven, p.err = d.trunk.Probe(ctx, to.addr, to.key, probeLimit)
	p.took = d.trunk.Now().Sub(from)
	return p
}

// String is the actor's line in the tree.
func (a *probes) String() string {
	return fmt.Sprintf("%d of %d addresses", len(a.results), len(a.targets))
}

// mostRuns is how many examinations can be under way.
const mostRuns = 4

var errLost = errors.New("the actor that tries addresses has failed; try again")

// enter takes a place for an examination. ok is false if all are taken.
func (d *Doctor) enter() (leave func(), ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running >= mostRuns {
		return nil, false
	}
	d.running++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.running--
	}, true
}

// askAgain is the time after which the actor is asked again for results: it may have failed meanwhile.
const askAgain = 5 * time.Second

// probe tries addresses, tells each step as it ends, and returns them in the order of the targets.
func (x *examination) probe(targets []target) ([]probed, error) {
	if len(targets) == 0 {
		return nil, nil
	}
	d, sys := x.d, x.d.trunk.System()
	group, path := d.trunk.PID(name), fmt.Sprintf("probes-%d", d.count.Add(1))
	defer sys.Root.Send(group, supervisor.Detach{Name: path})
	attached, err := trunk.AskAgain[supervisor.Attached](x.ctx, &d.Host, sys, group, supervisor.Attach{Spec: supervisor.Spec{
		Name: path, Kind: "probes", New: func() actor.Actor { return &probes{d: d, targets: targets} },
	}})
	if err = cmp.Or(err, attached.Err); err != nil {
		return nil, trunk.VerbError(err, "try again")
	}
	all := make([]probed, len(targets))
	for have := 0; have < len(targets); {
		next, err := x.more(attached.PID, have)
		if err != nil {
			return nil, trunk.VerbError(err, "try again")
		}
		for _, p := range next {
			all[p.i] = p
			if err := x.step(p.checked()); err != nil {
				return nil, err
			}
		}
		have += len(next)
	}
	return all, nil
}

// more waits for results beyond the first have.
func (x *examination) more(pid *actor.PID, have int) ([]probed, error) {
	for x.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(x.ctx, askAgain)
		next, err := supervisor.Ask[results](ctx, x.d.trunk.System(), pid, more{have})
		cancel()
		switch {
		case err == nil:
			return next.list, nil
		case !errors.Is(err, context.DeadlineExceeded):
			return nil, errLost
		}
	}
	return nil, x.ctx.Err()
}
