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
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// probes tries the addresses of one examination, all side by side. It is attached to the group of the
// part, and detached when the examination ends.
//
// In: more, results of its tasks. Out: results. A restart begins anew, and whoever waits for
// results hears of the failure.
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
	dialling.Probed
	i    int // of the target
	took time.Duration
	err  error
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
		a.results = append(a.results, m.Value)
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
	p.Probed, p.err = d.trunk.Probe(ctx, to.addr, to.key, probeLimit)
	p.took = d.trunk.Now().Sub(from)
	return p
}

// String is the actor's line in the tree.
func (a *probes) String() string {
	return fmt.Sprintf("%d of %d addresses", len(a.results), len(a.targets))
}

// mostRuns is how many examinations can try addresses at a time.
const mostRuns = 4

var (
	errBusy = errors.New("4 examinations are under way; wait for one to end")
	errLost = errors.New("the actor that tries addresses has failed; try again")
)

// enter takes a place for an examination that tries addresses, and returns its number.
func (d *Doctor) enter() (n uint64, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running >= mostRuns {
		return 0, false
	}
	d.running++
	d.count++
	return d.count, true
}

func (d *Doctor) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
}

// probe tries addresses, tells each step as it ends, and returns them in the order of the targets.
func (x *examination) probe(targets []target) ([]probed, error) {
	if len(targets) == 0 {
		return nil, nil
	}
	d, sys := x.d, x.d.trunk.System()
	n, ok := d.enter()
	if !ok {
		return nil, trunk.VerbError(errBusy, "")
	}
	defer d.leave()
	group, path := d.trunk.PID(name), fmt.Sprintf("probes-%d", n)
	attached, err := trunk.AskAgain[supervisor.Attached](x.ctx, &d.Host, sys, group, supervisor.Attach{Spec: supervisor.Spec{
		Name: path, Kind: "probes", New: func() actor.Actor { return &probes{d: d, targets: targets} },
	}})
	if err = cmp.Or(err, attached.Err); err != nil {
		return nil, trunk.VerbError(err, "try again")
	}
	defer sys.Root.Send(group, supervisor.Detach{Name: path})
	all := make([]probed, len(targets))
	for have := 0; have < len(targets); {
		next, err := supervisor.Ask[results](x.ctx, sys, attached.PID, more{have})
		if err != nil && x.ctx.Err() == nil {
			err = errLost
		}
		if err != nil {
			return nil, trunk.VerbError(err, "try again")
		}
		for _, p := range next.list {
			all[p.i] = p
			if err := x.step(p.checked()); err != nil {
				return nil, err
			}
		}
		have += len(next.list)
	}
	return all, nil
}
