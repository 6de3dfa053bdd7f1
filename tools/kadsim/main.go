// Command kadsim simulates a network of many nodes of the key-value DHT, in model time:
//
//	go -C tools run ./kadsim -nodes 1000 -churn 0.8 -loss 0.05
//
// It runs the machines of a real node in one goroutine, with clock and network of the model.
// 200 nodes take seconds, 10,000 many minutes and some GiB.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/sim"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run simulates what args say, and returns the exit code.
func run(args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("kadsim", flag.ContinueOnError)
	flags.SetOutput(errs)
	nodes := flags.Int("nodes", 200, "how many nodes, 1 to 20000")
	churn := flags.Float64("churn", 0.5, "part of the nodes that leaves within an hour, 0 to 0.99")
	hours := flags.Float64("hours", 0.5, "model time to measure, 0.1 to 24; half an hour in which the network forms comes before it")
	loss := flags.Float64("loss", 0, "part of the requests that are lost, 0 to 0.9")
	random := flags.Uint64("random", 1, "number that decides all that chance decides: the same number gives the same result")
	flags.Uint64Var(random, "seed", 1, "the same as -random")
	asJSON := flags.Bool("json", false, "write JSON, for programs")
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp:
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(errs, "kadsim: unexpected argument %q; see -help\n", flags.Arg(0))
		return 2
	}
	for _, check := range []struct {
		ok         bool
		name, want string
	}{
		{*nodes >= 1 && *nodes <= 20_000, "nodes", "1 to 20000"},
		{*churn >= 0 && *churn < 1, "churn", "0 to 0.99"},
		{*hours >= 0.1 && *hours <= 24, "hours", "0.1 to 24"},
		{*loss >= 0 && *loss <= 0.9, "loss", "0 to 0.9"},
	} {
		if !check.ok {
			fmt.Fprintf(errs, "kadsim: -%s is out of range; take %s\n", check.name, check.want)
			return 2
		}
	}
	if !*asJSON {
		fmt.Fprintf(errs, "Simulating %d nodes…\n", *nodes)
	}
	r := sim.Run(sim.Config{Nodes: *nodes, Churn: *churn, Loss: *loss, Seed: *random, Measure: time.Duration(*hours * float64(time.Hour))})
	write := figures
	if *asJSON {
		write = func(w io.Writer, r *sim.Result) error { return json.NewEncoder(w).Encode(r) }
	}
	if err := write(out, &r); err != nil {
		fmt.Fprintln(errs, "kadsim:", err)
		return 1
	}
	return 0
}

// figures writes a result for people.
func figures(w io.Writer, r *sim.Result) error {
	spread := func(s sim.Spread) string { return fmt.Sprintf("%.2f / %.2f / %.2f s", s.P50, s.P95, s.P99) }
	for _, line := range [][2]string{
		{"values found", fmt.Sprintf("%.2f%% of %d", 100*r.Found, r.Gets)},
		{"hops, requests", fmt.Sprintf("%.2f, %.1f (mean)", r.Hops, r.Requests)},
		{"time p50/95/99", spread(r.Get)},
		{"nodes found", fmt.Sprintf("%.2f%% of the nearest, in %d searches", 100*r.Recall, r.Searches)},
		{"requests", fmt.Sprintf("%.1f (mean)", r.SearchRequests)},
		{"time p50/95/99", spread(r.Search)},
		{"puts", fmt.Sprintf("%.2f%% of %d accepted, %.1f holders (mean), %s", 100*r.Accepted, r.Puts, r.Holders, spread(r.Put))},
		{"upkeep", fmt.Sprintf("%.2f messages/s, %.0f bytes/s for each node", r.Upkeep, r.UpkeepBytes)},
		{"contacts", fmt.Sprintf("%.1f (mean), %.1f%% of them gone", r.Contacts, 100*r.Dead)},
	} {
		if _, err := fmt.Fprintf(w, "%-16s%s\n", line[0], line[1]); err != nil {
			return err
		}
	}
	return nil
}
