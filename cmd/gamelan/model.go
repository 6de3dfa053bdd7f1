package main

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/inspect/control"
)

// verb is one command of the command line's model: gamelan itself, peers, peers add.
type verb struct {
	path string // "gamelan peers add"
	node *kong.Node
}

// verbs lists gamelan and all its commands, each before those below it.
func verbs(k *kong.Kong) []verb {
	var all []verb
	var walk func(path string, n *kong.Node)
	walk = func(path string, n *kong.Node) {
		all = append(all, verb{path, n})
		for _, c := range n.Children {
			if !c.Hidden {
				walk(path+" "+c.Name, c)
			}
		}
	}
	walk("gamelan", k.Model.Node)
	return all
}

// flags returns the verb's own flags.
func (v verb) flags() []*kong.Flag {
	var all []*kong.Flag
	for _, f := range v.node.Flags {
		if !f.Hidden {
			all = append(all, f)
		}
	}
	return all
}

// own returns the verb's own flags and those of its default verb.
func (v verb) own() []*kong.Flag {
	all := v.flags()
	if d := v.node.DefaultCmd; d != nil {
		all = append(all, verb{"", d}.flags()...)
	}
	return all
}

// every returns the flags that can follow the verb: its own, and those of all verbs.
func (v verb) every(root verb) []*kong.Flag {
	all := v.own()
	if v.node != root.node {
		all = append(all, root.flags()...)
	}
	return all
}

// choices returns the possible values of a flag, if they can be listed.
func choices(f *kong.Flag) []string {
	switch {
	case f.Enum != "":
		return f.EnumSlice()
	case f.Name == "strategy":
		return strings.Split(strings.ReplaceAll(control.StrategyNames, "random:N", "random:5"), ", ")
	}
	for _, s := range daemonconfig.Settings {
		if s.FlagName() == f.Name {
			return s.Choices
		}
	}
	return nil
}

// takesValue reports whether a value follows the flag.
func takesValue(f *kong.Flag) bool { return !f.IsBool() }

// takesPeer reports whether an argument of the verb stands for a peer, so that a name may
// follow.
func (v verb) takesPeer() bool {
	return slices.ContainsFunc(v.node.Positional, func(p *kong.Positional) bool { return p.Tag.Has("peer") })
}

// words returns the words that can follow the verb, apart from flags: the commands below
// it, or the possible values of its argument.
func (v verb) words() []string {
	var all []string
	for _, c := range v.node.Children {
		if !c.Hidden {
			all = append(all, c.Name)
		}
	}
	for _, p := range v.node.Positional {
		if p.Enum != "" {
			all = append(all, p.EnumSlice()...)
		}
	}
	if v.path == "gamelan config explain" {
		for _, s := range daemonconfig.Settings {
			all = append(all, s.Key)
		}
	}
	return all
}
