package main

import (
	"github.com/alecthomas/kong"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/config"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemon"
)

// nodeCmd has a flag for every setting.
type nodeCmd struct {
	kong.Plugins
}

// Help returns the text of gamelan node --help below the flags.
func (*nodeCmd) Help() string {
	return "Every setting can also stand in the configuration file or in a variable; see gamelan config. " + daemon.SignalsHelp
}

// Run starts the node and waits until it is told to stop, by a signal or over
// its socket, or stops by itself.
func (c *nodeCmd) Run(a *app) error {
	flags := settingFlags(c.Plugins)
	l := a.load(flags)
	for _, n := range l.Notes {
		a.Note("%s", n)
	}
	if len(l.Problems) > 0 {
		return config.Problems(l.Problems)
	}
	if err := a.locate(l); err != nil {
		return err
	}
	return daemon.Run(a.ctx, daemon.Options{
		Dir: a.dir, Output: a.Output, Loaded: l, Load: func() *config.Loaded { return a.load(flags) }, Signals: a.signals,
	})
}
