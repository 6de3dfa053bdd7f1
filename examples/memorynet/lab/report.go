package lab

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Report is what came of a run.
type Report struct {
	Lab      *Lab
	Phases   []Phase
	Steps    []Step // how the newcomer joined
	Searches []Search
	Graph    Graph // when all phases had ended
}

// OK reports whether every phase has reached its goal.
func (r *Report) OK() bool {
	for _, p := range r.Phases {
		if !p.OK {
			return false
		}
	}
	return true
}

// Run runs all phases. A phase that does not reach its goal does not end the run.
func (l *Lab) Run(ctx context.Context) (*Report, error) {
	r := &Report{Lab: l}
	for _, run := range []func() (Phase, error){
		func() (Phase, error) { return l.Start(ctx) },
		func() (Phase, error) { return l.Join(ctx) },
		func() (p Phase, err error) { p, r.Steps, err = l.Newcome(ctx); return p, err },
		func() (Phase, error) { return l.JoinWallets(ctx) },
		func() (p Phase, err error) { p, r.Searches, err = l.Discover(ctx, l.WalletPairs()); return p, err },
		func() (p Phase, err error) { p, _, err = l.Propagate(ctx, 1, 0); return p, err },
		func() (Phase, error) { return l.Away(ctx, 10) },
	} {
		p, err := run()
		if err != nil {
			return nil, fmt.Errorf("phase %s: %w", p.Name, err)
		}
		r.Phases = append(r.Phases, p)
	}
	r.Graph = l.graph()
	return r, nil
}

// Text writes the table of phases.
func (r *Report) Text(w io.Writer) error {
	var took time.Duration
	messages := 0
	if _, err := fmt.Fprintf(w, "%-12s %9s %9s  %s\n", "phase", "time", "messages", "result"); err != nil {
		return err
	}
	for _, p := range r.Phases {
		took, messages = took+p.Took, messages+p.Messages
		missed := ""
		if !p.OK {
			missed = "GOAL MISSED: "
		}
		if _, err := fmt.Fprintf(w, "%-12s %7.2f s %9d  %s%s\n", p.Name, p.Took.Seconds(), p.Messages, missed, p.Result); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%-12s %7.2f s %9d\n", "all", took.Seconds(), messages)
	return err
}
