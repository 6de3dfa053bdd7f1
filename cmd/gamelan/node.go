package main

import (
	"github.com/alecthomas/kong"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemon"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
)

// nodeCmd has a flag for every setting.
type nodeCmd struct {
	nodeFlags
}

// nodeFlags are the flags of a command that runs a node: one for each setting, and the short form
// of that of node.transport.
type nodeFlags struct {
	behindTor
	kong.Plugins
}

// run runs a node with the settings of all sources.
func (f *nodeFlags) run(a *app, seed bool) error {
	flags, err := f.flags(f.Plugins)
	if err != nil {
		return err
	}
	return runNode(a, flags, seed)
}

// behindTor has the short form of the flag of node.transport.
type behindTor struct {
	Tor bool `help:"Connect through Tor alone and be reached as an onion service; short for --transport tor."`
}

// flags adds the flag to those of the settings.
func (t behindTor) flags(p kong.Plugins) (map[string][]string, error) {
	given := settingFlags(p)
	if !t.Tor {
		return given, nil
	}
	if other, ok := given["node.transport"]; ok && other[0] != gamelan.TransportTor {
		return nil, failure.Usage("give one of the two", "--tor and --transport %s contradict each other", other[0])
	}
	given["node.transport"] = []string{gamelan.TransportTor}
	return given, nil
}

// Help returns the text of gamelan node --help below the flags.
func (*nodeCmd) Help() string {
	return "Every setting can also stand in the configuration file or in a variable; see gamelan config.\n\n" + daemon.SignalsHelp
}

// Run starts the node and waits until it is told to stop, by a signal or over
// its socket, or stops by itself.
func (c *nodeCmd) Run(a *app) error { return c.run(a, false) }

// seedCmd runs a node through which others enter the network. It has a flag for every
// setting.
type seedCmd struct {
	nodeFlags
}

// Help returns the text of gamelan seed --help below the flags.
func (*seedCmd) Help() string {
	return "A seed is a node whose address others know before they know any other. " +
		"This command runs a node, as gamelan node does, and writes one line, KEY::ADDRESS, for the setting node.seeds or the flag --peer of the others.\n\n" +
		"If no address is given, it listens on port 18189, on localnet for this machine only. To be reached from other machines, give --listen /ip4/0.0.0.0/tcp/18189, and behind a router --public-address as well. Keep the data directory: it has the key."
}

// Run is that of a node, with its one line for others.
func (c *seedCmd) Run(a *app) error { return c.run(a, true) }

// runNode runs a node with the settings of all sources; flags come first.
func runNode(a *app, flags map[string][]string, seed bool) error {
	l := a.load(flags)
	for _, n := range l.Notes {
		a.Note("%s", n)
	}
	if len(l.Problems) > 0 {
		return daemonconfig.Problems(l.Problems)
	}
	if seed {
		if err := checkSeed(l); err != nil {
			return err
		}
	}
	if err := a.locate(l); err != nil {
		return err
	}
	return a.unlessInterrupted(daemon.Run(a.ctx, daemon.Options{
		Dir: a.dir, Output: a.Output, Log: a.log, Loaded: l, Load: func() *daemonconfig.Loaded { return a.load(flags) }, Signals: a.signals, Seed: seed,
	}))
}

// checkSeed refuses settings with which nobody can enter the network through the node.
func checkSeed(l *daemonconfig.Loaded) error {
	refuse := func(key, why string) error {
		text := key
		if s, ok := daemonconfig.Table.Find(key); ok {
			text += " = " + l.Value(s).Text()
		}
		return failure.Usage("leave it out, or run gamelan node", "%s (%s): %s", text, l.Origin(key), why)
	}
	listen := l.Config.Node.Listen
	switch {
	case len(listen) == 1 && listen[0] == gamelan.ListenNowhere:
		return refuse("node.listen", "nobody can reach the seed")
	case l.Config.Node.Client:
		return refuse("node.client", "others do not ask the seed for peers")
	case l.Config.Node.NoDHT:
		return refuse("dht.enabled", "the seed knows nothing of the network")
	}
	return nil
}
