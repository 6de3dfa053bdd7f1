package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/loglevel"
)

type logCmd struct {
	Level logLevelCmd `cmd:"" help:"Show or change the level of the log, by package, while the node runs."`
}

type logLevelCmd struct {
	Levels []string `arg:"" optional:"" name:"level" help:"A level for all packages, or PACKAGE=LEVEL. Without one the levels are shown."`
	Reset  bool     `help:"Take those of the settings first."`
}

// Help returns the text of gamelan log level --help below the flags.
func (*logLevelCmd) Help() string {
	half := len(loglevel.Packages) / 2
	return "Levels are " + strings.Join(loglevel.Names, ", ") + ". The change holds until the node ends, or its settings are read again and log.level or log.levels has changed.\n\n" +
		"The packages are " + strings.Join(loglevel.Packages[:half], ", ") + ". The others are " + strings.Join(loglevel.Packages[half:], ", ") + "."
}

// Run shows or changes the levels.
func (c *logLevelCmd) Run(a *app) error {
	q := map[string][]string{}
	var packages []string
	for _, text := range c.Levels {
		if strings.Contains(text, "=") {
			packages = append(packages, text)
			continue
		}
		if len(q["level"]) > 0 {
			return failure.Usage("write PACKAGE=LEVEL for those of packages", "two levels for all packages: %s and %s", q["level"][0], text)
		}
		if _, err := loglevel.ParseLevel(text); err != nil {
			return failure.Usage("write debug, or PACKAGE=debug", "%s", err)
		}
		q["level"] = []string{text}
	}
	if _, err := loglevel.Parse(strings.Join(packages, ",")); err != nil {
		return failure.Usage("see gamelan log level --help", "%s", err)
	}
	if len(packages) > 0 {
		q["packages"] = []string{strings.Join(packages, ",")}
	}
	if c.Reset {
		q["reset"] = []string{"true"}
	}
	var now loglevel.Shown
	if err := c.ask(a.ctx, a, q, &now); err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(now)
	}
	b := new(strings.Builder)
	fmt.Fprintf(b, "%-14s %s\n", "level", now.Level)
	for _, of := range slices.Sorted(maps.Keys(now.Packages)) {
		fmt.Fprintf(b, "%-14s %s\n", of, now.Packages[of])
	}
	_, err := fmt.Fprint(a.Out, b)
	return err
}

// ask changes the levels, if there is a change, and gets what they are.
func (c *logLevelCmd) ask(ctx context.Context, a *app, q map[string][]string, now *loglevel.Shown) error {
	if len(q) == 0 {
		return a.client().Section(ctx, "log", now)
	}
	return a.client().Do(ctx, "log", "level", q, nil, now)
}
