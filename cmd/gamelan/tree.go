package main

import (
	"io"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
)

type treeCmd struct {
	Path     string        `arg:"" optional:"" help:"Show only this actor and those below it, written as the tree prints it: node/conns."`
	Depth    int           `help:"Levels below the first actor (default: all, which is -1)." default:"-1" placeholder:"N"`
	Format   string        `help:"One of text, json and dot." enum:"text,json,dot" default:"text" placeholder:"FORM"`
	Watch    bool          `help:"Show it again and again, until Ctrl-C."`
	Interval time.Duration `help:"How often to look with --watch." default:"1s" placeholder:"TIME"`
	Count    int           `help:"How many times to look with --watch; 0 is without end." default:"0" placeholder:"N"`
}

// Run shows the tree, with --watch until the user ends it.
func (c *treeCmd) Run(a *app) error {
	err := c.show(a)
	if c.Watch {
		return a.unlessInterrupted(err)
	}
	return err
}

func (c *treeCmd) show(a *app) error {
	switch {
	case c.Depth < -1:
		return failure.Usage("give 0 or more, or leave it out for the whole tree", "--depth cannot be %d", c.Depth)
	case c.Count < 0:
		return failure.Usage("give 0 or more", "--count cannot be %d", c.Count)
	case c.Interval < time.Millisecond:
		return failure.Usage("give a millisecond or more", "--interval cannot be %s", c.Interval)
	case a.JSON && c.Format == "dot":
		return failure.Usage("leave one of them out", "choose either --json or --format dot")
	case a.JSON:
		c.Format = "json"
	}
	if !c.Watch {
		c.Count = 1
	}
	node, part := a.client(), client.Part{Path: a.actorPath(c.Path), Depth: c.Depth}
	var before *inspect.Tree
	for n := 1; ; n++ {
		if c.Format == "dot" {
			if err := copyTree(a, node, part); err != nil {
				return err
			}
		} else {
			t, err := node.Tree(a.ctx, part)
			if err != nil {
				return err
			}
			if before != nil {
				measure(before, t)
			}
			if err := render.Tree(a.Output, t, c.Format == "json", c.Watch, n); err != nil {
				return err
			}
			before = t
		}
		if n == c.Count {
			return nil
		}
		if !a.pause(c.Interval) {
			return nil
		}
	}
}

// copyTree copies the node's drawing to the output.
func copyTree(a *app, node *client.Client, part client.Part) error {
	drawn, err := node.DrawnTree(a.ctx, part)
	if err != nil {
		return err
	}
	defer drawn.Close()
	_, err = io.Copy(a.Out, drawn)
	return err
}

// measure replaces the rates of now by those since before, for the actors
// that are in both.
func measure(before, now *inspect.Tree) {
	span := now.At.Sub(before.At).Seconds()
	if span <= 0 {
		return
	}
	old := map[string]uint64{}
	each(before.Branches, func(a *inspect.Actor) { old[a.ID] = a.Processed })
	each(now.Branches, func(a *inspect.Actor) {
		if was, ok := old[a.ID]; ok && a.Processed >= was {
			a.Rate = new(float64(a.Processed-was) / span)
		}
	})
}

func each(bs []inspect.Branch, f func(*inspect.Actor)) {
	for i := range bs {
		f(&bs[i].Actor)
		each(bs[i].Children, f)
	}
}
