package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
)

type statusCmd struct {
	Timeout time.Duration `help:"How long the node may take to answer." default:"10s" placeholder:"TIME"`
}

// statusJSON is what status says with --json.
type statusJSON struct {
	inspect.Node
	DHT     *inspect.DHT `json:"dht,omitempty"` // nil: the node does not say
	Healthy bool         `json:"healthy"`
	Reasons []string     `json:"reasons"` // why it is not
}

func (c *statusCmd) Run(a *app) error {
	if c.Timeout <= 0 {
		return usage("give a positive duration, such as 10s", "--timeout cannot be %s", c.Timeout)
	}
	ctx, cancel := context.WithTimeout(a.ctx, c.Timeout)
	defer cancel()
	client := a.client()
	var s statusJSON
	if err := client.getJSON(ctx, "/v1/node", &s.Node); err != nil {
		return err
	}
	s.DHT = new(inspect.DHT)
	if err := client.getJSON(ctx, "/v1/dht", s.DHT); isCode(err, inspect.CodeNotFound) {
		s.DHT = nil // a program that shows sections of its own
	} else if err != nil {
		return err
	}
	h, err := client.health(ctx)
	if err != nil {
		return err
	}
	s.Healthy, s.Reasons = h.OK, h.Reasons
	s.Warnings = append(s.Warnings, h.Warnings...)
	return printStatus(a, s, time.Now())
}

// printStatus fits on one screen.
func printStatus(a *app, s statusJSON, now time.Time) error {
	if a.json {
		return a.printJSON(s)
	}
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s%s\n", name, inspect.Escape(fmt.Sprintf(format, args...)))
	}
	line("state", "%s", stateText(s.Status, s.Cause))
	for _, r := range s.Reasons {
		line("", "%s", r)
	}
	line("node", "%s on %s", s.NodeID, s.Network)
	line("running", "gamelan %s for %s, process %d", s.Version, ago(now.Sub(s.StartedAt)), s.PID)
	if len(s.Addresses) == 0 {
		line("addresses", "none: it does not listen, and only dials")
	}
	for i, addr := range s.Addresses {
		name := "addresses"
		if i > 0 {
			name = ""
		}
		line(name, "%s", addr)
	}
	line("connections", "%s: %d outbound, %d inbound; %d wanted", inspect.Count(uint64(s.Held), "connection"), s.Outbound, s.Inbound, s.Wanted)
	line("inbound", "%s", placesText(s.Places))
	line("peers", "%s known, %d of them banned", inspect.Number(uint64(s.Peers)), s.Banned)
	line("messages", "%s of %s in work", bytesText(s.Credit.Used), bytesText(s.Credit.Limit))
	if s.Inbox != nil {
		line("inbox", "%s", inboxText(s.Inbox, func() string { return ago(now.Sub(s.Inbox.OldestAt)) }))
	}
	if s.DHT != nil {
		line("dht", "%s", dhtText(s.DHT))
	}
	for i, w := range s.Warnings {
		name := "warnings"
		if i > 0 {
			name = ""
		}
		line(name, "%s", w)
	}
	if len(s.Warnings) == 0 {
		line("warnings", "none")
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}

// stateText is a state and its cause: "online: 3 nodes are connected".
func stateText(state, cause string) string {
	if cause == "" {
		return state
	}
	return state + ": " + cause
}

// placesText says how many places for inbound connections are taken, and what
// became of whom there was none for.
func placesText(p inspect.Places) string {
	s := fmt.Sprintf("%d of %d places, %d of %d set-ups", p.Inbound, p.MaxInbound, p.Setups, p.MaxSetups)
	for _, x := range []struct {
		n    uint64
		what string
	}{{p.Refused, "refused"}, {p.GaveWay, "set-ups gave way"}, {p.Replaced, "idle ones replaced"}} {
		if x.n > 0 {
			s += fmt.Sprintf("; %s %s", inspect.Number(x.n), x.what)
		}
	}
	return s
}

// ago is a time in its two largest units.
func ago(d time.Duration) string {
	d = max(d, 0)
	switch days := d / (24 * time.Hour); {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return d.Truncate(time.Second).String()
}

// bytesText is a number of bytes in the largest unit that there is one of.
func bytesText(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.size {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/float64(u.size)), ".0") + " " + u.name
		}
	}
	return fmt.Sprintf("%d B", n)
}
