package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/config"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// nodeCmd has a flag for every setting.
type nodeCmd struct {
	kong.Plugins
}

// Help is what gamelan node --help says beneath the flags.
func (*nodeCmd) Help() string {
	return "Every setting can also stand in the configuration file or in a variable; see gamelan config. " + signalsHelp
}

// Run starts the node and waits until it is told to stop, by a signal or over
// its socket, or stops by itself.
func (c *nodeCmd) Run(a *app) error {
	flags := settingFlags(c.Plugins)
	l := a.load(flags)
	for _, n := range l.Notes {
		a.note("%s", n)
	}
	if len(l.Problems) > 0 {
		return problems(l.Problems)
	}
	if err := a.locate(l); err != nil {
		return err
	}
	if err := a.dir.make(); err != nil {
		return err
	}
	release, err := a.dir.hold()
	if err != nil {
		return err
	}
	defer release()
	id, made, err := a.identity(l)
	if err != nil {
		return err
	}
	d := newDaemon(a, flags, l)
	d.made = made
	return d.run(id, a.signals)
}

// identity reads the identity of the data directory, or makes one.
func (a *app) identity(l *config.Loaded) (id gamelan.Identity, made bool, err error) {
	network, err := networkOf(l)
	if err != nil {
		return id, false, err
	}
	id, err = a.dir.load()
	if errors.Is(err, gamelan.ErrNoIdentity) {
		id, err = a.dir.create(network)
		made = err == nil
	}
	if err == nil && l.Config.Node.Network != "" && network != id.Network {
		return id, made, usage(fmt.Sprintf("leave %s out, or run %q with another --data-dir", l.Origin("node.network"), "gamelan init --network "+network.String()),
			"the identity in %s was made for %s", a.dir.path, id.Network)
	}
	return id, made, err
}

// networkOf is the network that the settings name, or localnet.
func networkOf(l *config.Loaded) (protocol.Network, error) {
	if l.Config.Node.Network == "" {
		return protocol.LocalNet, nil
	}
	return protocol.ParseNetwork(l.Config.Node.Network)
}

// startFailure makes a sentence of why a node did not start.
func startFailure(err error) error {
	return &failure{code: exitFailed, kind: "start", message: "the node cannot start: " + withoutPrefix(err), err: err}
}

// stopTimeout is what is left to requests that are under way when the node has
// stopped.
const stopTimeout = time.Second

// stop ends node and API in order and says what did not go well.
func (d *daemon) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), d.settings().Drain)
	defer cancel()
	err := d.node.Close(ctx)
	at, atOnce := context.WithTimeout(context.Background(), stopTimeout)
	defer atOnce()
	apiErr := d.api.close(at)
	if err != nil {
		return failed("node_failed", "look at the log above, or run it again with --log-level debug", "the node did not stop in order: %s", withoutPrefix(err))
	}
	d.lastWords(d.node.Inbox().Status())
	if apiErr == nil {
		d.app.note("Stopped.")
	}
	return apiErr
}
