package main

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

type statusCmd struct {
	Timeout time.Duration `help:"How long the node may take to answer." default:"${patience}" placeholder:"TIME"`
}

// Help returns the text of gamelan status --help below the flags.
func (*statusCmd) Help() string {
	return "When all is well there are five lines. What is not as it should be has lines of its own, and -v shows everything. " +
		"The line next says what helps against the cause in the first line. docs/trouble.md has a section for each code of --json."
}

func (c *statusCmd) Run(a *app) error {
	if c.Timeout <= 0 {
		return failure.Usage("give a positive duration, such as 5s", "--timeout cannot be %s", c.Timeout)
	}
	node := a.client()
	node.Await(a.ctx) // its time is not the node's
	ctx, cancel := context.WithTimeout(a.ctx, c.Timeout)
	defer cancel()
	node, a.patience = a.asks(client.Options{Answer: c.Timeout}), "--timeout"
	var s render.Status
	var err error
	if s.Node, err = node.Node(ctx); err != nil {
		return err
	}
	if s.DHT, err = ifThere(node.DHT(ctx)); err != nil {
		return err
	}
	if s.Discovery, err = ifThere(node.Network(ctx)); err != nil {
		return err
	}
	if s.Stored, err = ifThere(node.StoreForward(ctx)); err != nil {
		return err
	}
	if s.Kad, err = ifThere(node.Kad(ctx)); err != nil {
		return err
	}
	if s.Private {
		v, err := ifThere(node.Admission(ctx))
		if err != nil {
			return err
		}
		if v != nil && v.Private != nil {
			s.Secret, s.Accept = v.Private.Secret, v.Private.Accept
		}
	}
	conns, err := node.Connections(ctx, false)
	if err != nil && ctx.Err() != nil {
		return err
	}
	for _, c := range conns { // none of a program that does not show them
		if c.SilentMS > 0 {
			s.Silent, s.SilentWho = s.Silent+1, c.Peer
		}
	}
	h, err := node.Health(ctx)
	if err != nil {
		return err
	}
	s.Healthy, s.Health, s.Reasons = h.OK, h.State, h.Reasons
	s.Warnings = slices.Concat(besides(h.Degraded, s.Warnings), s.Warnings, besides(h.Warnings, s.Warnings))
	return render.ShowStatus(a.Output, s, time.Now())
}

// besides returns the notices that are not among others, and that the state does not say.
func besides(list, others models.Notices) (more models.Notices) {
	for _, n := range list {
		said := n.Code == codes.PeersUnwritten.Name || slices.ContainsFunc(others, func(o models.Notice) bool {
			return o.Code == n.Code && maps.Equal(o.Args, n.Args) && (o.Code != "" || o.What == n.What)
		})
		if !said {
			more = append(more, n)
		}
	}
	return more
}

// ifThere returns a section, and nil for one that the program of the node does not have.
func ifThere[T any](section T, err error) (*T, error) {
	if client.CodeOf(err) == inspect.CodeNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &section, nil
}
