package main

import (
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/dht/kad/sim"
)

type kadSimCmd struct {
	Nodes  int     `help:"How many nodes, 1 to 20000." default:"200" placeholder:"N"`
	Churn  float64 `help:"Part of the nodes that leaves within an hour, 0 to 0.99." default:"0.5" placeholder:"PART"`
	Hours  float64 `help:"Model time to measure, 0.1 to 24; half an hour in which the network forms comes before it." default:"0.5" placeholder:"HOURS"`
	Loss   float64 `help:"Part of the requests that are lost, 0 to 0.9." default:"0" placeholder:"PART"`
	Random uint64  `help:"Number that decides all that chance decides: the same number gives the same result." aliases:"seed" default:"1" placeholder:"N"`
}

// noDataDir: no node is needed.
func (*kadSimCmd) noDataDir() {}

// Help returns the text of gamelan kad sim --help below the flags.
func (*kadSimCmd) Help() string {
	return "Runs the machines of a real node in one goroutine, with clock and network of the model. 200 nodes take seconds, 10,000 many minutes and some GiB."
}

func (c *kadSimCmd) Run(a *app) error {
	check := func(ok bool, name, want string) error {
		if ok {
			return nil
		}
		return failure.Usage("take "+want, "--%s is out of range", name)
	}
	for _, err := range []error{
		check(c.Nodes >= 1 && c.Nodes <= 20_000, "nodes", "1 to 20000"),
		check(c.Churn >= 0 && c.Churn < 1, "churn", "0 to 0.99"),
		check(c.Hours >= 0.1 && c.Hours <= 24, "hours", "0.1 to 24"),
		check(c.Loss >= 0 && c.Loss <= 0.9, "loss", "0 to 0.9"),
	} {
		if err != nil {
			return err
		}
	}
	a.Note("Simulating %d nodes…", c.Nodes)
	r := sim.Run(sim.Config{Nodes: c.Nodes, Churn: c.Churn, Loss: c.Loss, Seed: c.Random, Measure: time.Duration(c.Hours * float64(time.Hour))})
	if a.JSON {
		return a.PrintJSON(r)
	}
	spread := func(s sim.Spread) string { return fmt.Sprintf("%.2f / %.2f / %.2f s", s.P50, s.P95, s.P99) }
	return render.Figures(a.Output, [][2]string{
		{"values found", fmt.Sprintf("%.2f%% of %d", 100*r.Found, r.Gets)},
		{"hops, requests", fmt.Sprintf("%.2f, %.1f (mean)", r.Hops, r.Requests)},
		{"time p50/95/99", spread(r.Get)},
		{"nodes found", fmt.Sprintf("%.2f%% of the nearest, in %d searches", 100*r.Recall, r.Searches)},
		{"requests", fmt.Sprintf("%.1f (mean)", r.SearchRequests)},
		{"time p50/95/99", spread(r.Search)},
		{"puts", fmt.Sprintf("%.2f%% of %d accepted, %.1f holders (mean), %s", 100*r.Accepted, r.Puts, r.Holders, spread(r.Put))},
		{"upkeep", fmt.Sprintf("%.2f messages/s, %.0f bytes/s for each node", r.Upkeep, r.UpkeepBytes)},
		{"contacts", fmt.Sprintf("%.1f (mean), %.1f%% of them gone", r.Contacts, 100*r.Dead)},
	})
}
