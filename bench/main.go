// Command bench measures Gamelan beside the anchors it is compared with and
// prints one table of ratios. It is a module of its own, so that what it
// compares with never becomes a dependency of the library.
//
//	cd bench
//	go run .                      # everything, about five minutes
//	go run . -run oneway          # groups and cases by regular expression
//	go run . -list
//
// Timings are never a test: a target that was missed does not fail the run, a
// case that could not be measured does.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/bench/peers"
	"github.com/gamelan-p2p/gamelan/bench/product"
	"github.com/gamelan-p2p/gamelan/tests/onion/tornet"
)

// How long floods and attacks last; with -long, long.
const (
	floodShort  = 4 * time.Second
	attackShort = 10 * time.Second
	long        = time.Minute
)

func main() {
	for _, other := range []func() (bool, error){product.Flooder, product.Writers, product.Sink, product.Attacker, peers.Console} {
		if was, err := other(); was {
			if err != nil {
				fmt.Fprintln(os.Stderr, "bench: other process:", err)
				os.Exit(1)
			}
			return
		}
	}
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	list := flags.Bool("list", false, "print the names of groups and cases and stop")
	pattern := flags.String("run", "", "measure only groups and cases whose name matches this regular expression")
	skip := flags.String("skip", "", "leave out groups whose name matches this regular expression")
	rounds := flags.Int("rounds", 5, "rounds of each group")
	window := flags.Duration("window", 220*time.Millisecond, "time that the clocks of one case run in one round")
	results := flags.String("results", "results", "directory for the result files; empty: write none")
	cpuProfile := flags.String("cpuprofile", "", "write a CPU profile of the whole run to this file")
	memProfile := flags.String("memprofile", "", "write a profile of all allocations to this file")
	longer := flags.Bool("long", false, "flood for a minute instead of four seconds, and attack for a minute instead of ten seconds")
	verbose := flags.Bool("v", false, "say what is being measured")
	if err := flags.Parse(args); err != nil {
		return err
	}
	flood, attack := floodShort, attackShort
	if *longer {
		flood, attack = long, long
	}
	all, goals := groups(flood, attack), append(targets(), irohTargets()...)
	missing := peers.Missing()
	if missing == nil {
		all, goals = append(all, tariGroups()...), append(goals, tariTargets()...)
	}
	if tornet.Missing() == nil {
		all, goals = append(all, torGroups()...), append(goals, torTargets()...)
	}
	if was, err := harness.Child(all, *window); was {
		return err
	}
	if *list {
		for _, g := range all {
			fmt.Fprintf(stdout, "%s: %s\n", g.Name, g.About)
			for _, c := range g.Cases {
				fmt.Fprintf(stdout, "  %s\n", c.Name)
			}
		}
		return nil
	}
	selected, err := regexp.Compile(*pattern)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	options := harness.Options{Rounds: *rounds, Window: *window}
	if *skip != "" {
		if options.Skip, err = regexp.Compile(*skip); err != nil {
			return fmt.Errorf("-skip: %w", err)
		}
	}
	if *longer {
		options.Args = []string{"-long"}
	}
	if *pattern != "" {
		options.Select = selected
	}
	if *verbose {
		options.Log = stderr
	}

	stop, err := profile(*cpuProfile, *memProfile)
	if err != nil {
		return err
	}
	report := harness.Report{Rounds: *rounds, Window: *window, Machine: harness.Describe(
		"github.com/libp2p/go-libp2p", "github.com/libp2p/go-yamux/v5", "github.com/hashicorp/yamux",
		"github.com/flynn/noise", "github.com/asynkron/protoactor-go", "github.com/oasisprotocol/curve25519-voi",
	)}
	begin := time.Now()
	measured, failed := harness.Run(all, options)
	report.Took = time.Since(begin)
	if err := stop(); err != nil {
		return err
	}
	report.Groups = measured
	report.Targets = harness.Judge(goals, measured)
	if err := report.Text(stdout); err != nil {
		return err
	}
	if missing != nil {
		fmt.Fprintln(stdout, "\nnot measured beside nodes of Tari:", missing)
	}
	if *results != "" {
		path, err := report.Save(*results)
		if err != nil {
			return err
		}
		fmt.Fprintln(stdout, "\nwritten to", path)
	}
	return failed
}
