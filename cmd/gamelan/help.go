package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// everyVerb is the group of the flags that all verbs have.
var everyVerb = &kong.Group{Key: "every", Title: "Flags of every command:"}

// printHelp writes the help of a verb: kong's help with the verb's own flags, the flags of all
// verbs, and examples.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	path := "gamelan"
	if n := ctx.Selected(); n != nil {
		path = n.FullPath()
		global := slices.DeleteFunc(slices.Clone(ctx.Model.Flags), func(f *kong.Flag) bool { return f.Hidden })
		hide := func(hidden bool) {
			for _, f := range global {
				f.Hidden = hidden
			}
		}
		hide(true)
		grouped := ungroup(n)
		err := kong.DefaultHelpPrinter(options, ctx)
		grouped()
		hide(false)
		if err != nil {
			return err
		}
		k := *ctx.Kong
		k.Model = &kong.Application{Node: &kong.Node{Type: kong.ApplicationNode, Flags: global}}
		options.NoAppSummary, ctx = true, &kong.Context{Kong: &k}
	}
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	_, err := fmt.Fprint(ctx.Stdout, examplesText(path))
	return err
}

// ungroup takes a verb and those below it out of their groups, which are for the list of all, until grouped is called.
func ungroup(n *kong.Node) (grouped func()) {
	group, below := n.Group, []func(){}
	n.Group = nil
	for _, c := range n.Children {
		below = append(below, ungroup(c))
	}
	return func() {
		n.Group = group
		for _, f := range below {
			f()
		}
	}
}

// examplesText returns the end of the help of a verb.
func examplesText(path string) string {
	var b strings.Builder
	b.WriteString("\nExamples:\n")
	for i, x := range examples[path] {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "  # %s\n  %s\n", x.about, x.line)
	}
	return b.String()
}

// shown returns the help of a flag or an argument, with its default.
func shown(v *kong.Value) string {
	if !v.HasDefault || v.Default == "" || v.IsBool() || strings.Contains(strings.ToLower(v.Help), "default") {
		return v.Help
	}
	return strings.TrimSuffix(v.Help, ".") + " (default: " + v.Default + ")."
}

// formatValue is the kong.HelpValueFormatter of the help: with defaults and variables.
func formatValue(v *kong.Value) string {
	with := *v
	with.Help = shown(v)
	return kong.DefaultHelpValueFormatter(&with)
}
