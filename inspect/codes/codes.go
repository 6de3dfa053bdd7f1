// Package codes is the registry of what can be wrong with a node. Each [Code] has a name that
// never changes, a severity, what it means, and what helps. The library says these, and no
// commands; programs turn a code into the commands that they have.
package codes

import (
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Code is something that can be wrong with a node.
type Code struct {
	Name     string // in snake case
	Severity models.Severity
	Meaning  string   // a sentence for people
	Step     string   // what helps, without a command; {NAME} stands for the argument of that name
	Args     []string // names of the arguments
}

// Notice returns a notice of this code. The values of its arguments have the order of Args; those
// that are not given, at the end, are not known.
func (c *Code) Notice(what string, values ...string) models.Notice {
	n := models.Notice{Code: c.Name, Severity: c.Severity, What: what, Step: c.Step}
	for i, v := range values[:min(len(values), len(c.Args))] {
		if n.Args == nil {
			n.Args = make(map[string]string, len(values))
		}
		n.Args[c.Args[i]] = v
	}
	n.Step = Fill(n.Step, n.Args)
	return n
}

// Misaddressed reports whether c is why a peer was not reached, and the address may be the wrong one.
func (c *Code) Misaddressed() bool {
	return c == DialRefused || c == DialOtherKey || c == DialForeign || c == DialUnresolved
}

// Unreached reports whether c is why there is no connection with a peer.
func (c *Code) Unreached() bool { return slices.Contains(dials, c) }

// Fill puts arguments in the place of their names in braces.
func Fill(text string, args map[string]string) string {
	pairs := make([]string, 0, 2*len(args))
	for name, v := range args {
		pairs = append(pairs, "{"+name+"}", v)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// All returns the codes in the order of their names.
func All() iter.Seq[*Code] {
	return slices.Values(slices.SortedFunc(slices.Values(all), func(a, b *Code) int { return strings.Compare(a.Name, b.Name) }))
}

// Named returns the code of a name, or nil.
func Named(name string) *Code {
	for _, c := range all {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// Of returns the code of the first error in the chain of err that has one, or nil.
func Of(err error) *Code {
	for err != nil {
		e, ok := errors.AsType[interface {
			error
			Code() *Code
		}](err)
		if !ok {
			return nil
		}
		if c := e.Code(); c != nil {
			return c
		}
		err = errors.Unwrap(e)
	}
	return nil
}

var all []*Code

// code registers a code.
func code(name string, s models.Severity, meaning, step string, args ...string) *Code {
	if Named(name) != nil {
		panic("codes: " + name + " is there already")
	}
	c := &Code{name, s, meaning, step, args}
	all = append(all, c)
	return c
}
