// Package daemon runs a node as a program: with settings and their reload, signals, the
// service manager, and the API on the socket.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/loglevel"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/control"
	"github.com/gamelan-p2p/gamelan/inspect/metrics"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Options configure Run.
type Options struct {
	Dir     nodedir.Dir
	Output  *render.Output
	Log     *Queue                      // where Output writes its errors; nil: not a queue
	Loaded  *daemonconfig.Loaded        // the settings to start with
	Load    func() *daemonconfig.Loaded // reads them again
	Signals *Signals
	Seed    bool // others enter the network through the node
}

// Run runs a node until ctx ends, a client stops it over its API, or it ends by itself.
func Run(ctx context.Context, o Options) error {
	if err := o.Dir.Make(); err != nil {
		return err
	}
	release, err := o.Dir.Hold()
	if err != nil {
		return err
	}
	defer release()
	id, made, err := openIdentity(o.Dir, o.Loaded)
	if err != nil {
		return err
	}
	d := newDaemon(o)
	d.made = made
	return d.run(ctx, id)
}

// localSeed is where a seed on localnet listens unless it is told otherwise: on a port that
// does not change, of this machine only.
const localSeed = "/ip4/127.0.0.1/tcp/18189"

// buildOptions are those of a build with tags.
var buildOptions []gamelan.Option

// daemon is a running node with its settings, API, signals and service manager.
type daemon struct {
	Options
	levels   *loglevel.Levels
	logger   *slog.Logger
	manager  manager
	node     *gamelan.Node
	api      *control.Server
	outside  *outside                     // nil: the settings have none
	metrics  *metrics.Server              // nil: the settings have none
	allowed  *allowList                   // applies changes of the allow list
	network  *config.PrivateConfig        // the file of the private network as it is in force; nil: none
	missing  []string                     // seeds of that file that could not be added; only reloads use it
	admitted []identity.PublicKey         // the seeds of the settings and of that file; only reloads use it
	started  atomic.Pointer[gamelan.Node] // node, once it has started
	stopping atomic.Bool
	made     bool // the identity was made for this start

	mu      sync.Mutex
	loaded  *daemonconfig.Loaded // the present settings
	waiting []string             // changed keys that take effect after a restart
	refused string               // why the last reload was refused
}

func newDaemon(o Options) *daemon {
	d := &daemon{Options: o, loaded: o.Loaded}
	d.levels = loglevel.New(levelsOf(&o.Loaded.Config))
	ho := &slog.HandlerOptions{Level: slog.LevelDebug} // the levels are checked before
	if o.Output.JSON || o.Loaded.Config.LogFormat == "json" {
		d.logger = slog.New(d.levels.Over(slog.NewJSONHandler(o.Output.Err, ho)))
	} else {
		d.logger = slog.New(d.levels.Over(slog.NewTextHandler(o.Output.Err, ho)))
	}
	if o.Log != nil {
		o.Log.SayDropped(func(n uint64, last error) {
			attrs := []any{"n", n}
			if last != nil {
				attrs = append(attrs, "err", last)
			}
			d.logger.Warn("log records were dropped: standard error was not read, or could not be written", attrs...)
		})
	}
	d.manager.logger = d.logger
	return d
}

// settings returns the present settings.
func (d *daemon) settings() daemonconfig.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.loaded.Config
}

// run runs the node; the caller holds the lock of the data directory.
func (d *daemon) run(outer context.Context, id gamelan.Identity) error {
	d.manager.status("starting")
	settings := d.settings()
	cfg := settings.ForNode()
	cfg.DataDir = d.Dir.Path
	if d.Seed && len(cfg.Listen) == 0 && id.Network == protocol.LocalNet {
		cfg.Listen = []string{localSeed}
	}
	opts := append(slices.Clip(buildOptions), gamelan.WithInbox(settings.ForInbox()), gamelan.WithLogger(d.logger), gamelan.WithNotices(d.troubles))
	var err error
	if d.network, err = readNetwork(d.inForce()); err != nil {
		d.removeIdentity()
		return failure.Start(err)
	}
	if d.network != nil {
		cfg.Network, cfg.Private = "", d.network
	}
	d.admitted = d.seedKeys(settings.Node.Seeds)
	if d.outside, err = openOutside(d.Dir, &settings.Inspect); err != nil { // before a node that others see
		d.removeIdentity()
		if _, ok := errors.AsType[*failure.Error](err); ok {
			return err
		}
		return notStarted(d.inForce(), err)
	}
	defer d.outside.giveUp() // unless it has begun to answer
	if d.node, err = gamelan.Start(outer, cfg, opts...); err != nil {
		d.removeIdentity()
		return notStarted(d.inForce(), err)
	}
	d.started.Store(d.node)
	if d.made {
		d.Output.Note("Made a new identity in %s.", d.Dir.Path)
	}
	allowed, err := parsePeers(cfg.Allow)
	if err == nil {
		err = d.openKad(outer)
	}
	if err != nil {
		d.node.Close(context.Background())
		return err
	}
	d.allowed = newAllowList(d.node.Peers(), allowed, d.say)
	ctx, stop := context.WithCancel(outer)
	defer stop()
	shown := d.shown()
	begin := control.Serve
	if d.outside != nil {
		begin = control.ServeKept
	}
	if d.api, err = serveBy(begin, d.Dir, shown, d.actions(stop), d.logger); err == nil {
		if err = d.serveMetrics(settings.Metrics, shown); err == nil && d.outside != nil {
			err = d.outside.serve(d.api, d.logger)
		}
		if err != nil {
			d.api.Close(context.Background())
		}
	}
	if err != nil {
		d.node.Close(context.Background())
		return err
	}
	around, end := context.WithCancel(context.Background())
	var work sync.WaitGroup
	defer work.Wait()
	defer end()
	self := render.NewIdentity(id.Secret.PublicKey(), id.NetworkName(), new(d.node.Inspection().Node(ctx)))
	self.Beyond = len(cfg.Listen) == 0 && id.Network == protocol.LocalNet && slices.ContainsFunc(d.node.Listening(), address.Beyond)
	d.announce(ctx, self)
	d.outside.announce(d.Output)
	d.manager.ready(d.statusLine(ctx))
	work.Go(func() { d.reloads(around, d.Signals.reload) })
	work.Go(func() { d.report(around) })
	work.Go(func() { d.watchdog(around) })
	select {
	case <-ctx.Done():
		d.Output.Note("Stopping: finishing accepted messages; Ctrl-C stops at once.")
	case <-d.node.Done():
	}
	d.stopping.Store(true)
	d.manager.stopping(d.settings().Drain)
	return d.stop()
}

// announced is how long the node waits for the reader of standard output.
const announced = time.Second

// announce writes to standard output that the node runs. A node whose output nobody reads, or
// that cannot be written, runs all the same.
func (d *daemon) announce(ctx context.Context, self render.Identity) {
	show := render.Running
	if d.Seed {
		show = render.SeedRunning
	}
	written := make(chan error, 1)
	go func() { written <- show(d.Output, gamelan.Version, self) }()
	var err error
	select {
	case err = <-written:
	case <-ctx.Done():
	case <-time.After(announced):
		err = errors.New("nobody reads it")
	}
	if err != nil {
		d.logger.Warn("the node runs, but standard output cannot be written", "err", err)
	}
}

// notStarted returns the failure of a node that did not start. A mistake in the settings ends
// the command with exit code 2, after which a service manager does not start it again.
func notStarted(l *daemonconfig.Loaded, err error) error {
	if bad, ok := errors.AsType[*gamelan.ConfigError](err); ok && errors.Is(bad, gamelan.ErrNoNetwork) {
		what, _, _ := strings.Cut(failure.Text(bad.Err), "; ")
		return failure.New("no_network", "start it again when the network is up, as the service of the packages does, or set node.public_addresses, for instance to [\"/ip4/10.0.0.1/tcp/18189\"]",
			"the node cannot start: %s", what).Because(err)
	}
	if p := l.ProblemsOf(err); len(p) > 0 {
		return daemonconfig.Problems(p)
	}
	return failure.Start(err)
}

// stopTimeout is the time left to running requests after the node has stopped.
const stopTimeout = time.Second

// stop ends node and API in order and returns their errors.
func (d *daemon) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), d.settings().Drain)
	defer cancel()
	err := d.node.Close(ctx)
	at, atOnce := context.WithTimeout(context.Background(), stopTimeout)
	defer atOnce()
	apiErr := d.api.Close(at)
	apiErr = errors.Join(apiErr, d.outside.close(at))
	if d.metrics != nil {
		apiErr = errors.Join(apiErr, d.metrics.Close(at))
	}
	if err != nil {
		return failure.New("node_failed", "look at the log above, or run it again with --log-level debug", "the node did not stop in order: %s", failure.Text(err))
	}
	d.lastWords(d.node.Inbox().Status())
	if apiErr == nil {
		d.Output.Note("Stopped.")
	}
	return apiErr
}

// removeIdentity removes the identity that was made for a node that has not started: no other node has
// seen it, and the next start may be for another network.
func (d *daemon) removeIdentity() {
	if d.made {
		os.Remove(d.Dir.IdentityFile())
	}
}

// shown returns the API's functions that read the node's state.
func (d *daemon) shown() inspect.Options {
	o := d.node.Inspection().Options
	o.Sections.Section("log", func(context.Context) any { return d.levels.Show() })
	o.Sections.Section("config", func(context.Context) any { return d.configSection() })
	o.Sections.Section("inspect", func(context.Context) any { return d.outside.section() })
	o.Messages, o.Ready, o.Health = control.Messages(d.node), d.unhealthy, d.unhealthy
	return o
}

// actions returns the API's functions that change the node; stop ends it.
func (d *daemon) actions(stop func()) inspect.Actions {
	a := control.Actions(d.node, control.Options{
		Shutdown: stop, Stopping: d.stopping.Load, Admin: func(event string) { d.logger.Info("admin", "event", event) },
	})
	a.Verbs["log"], a.Verbs["inspect"] = d.logVerbs(), d.outside.verbs()
	return a
}

// troubles returns what is wrong as the daemon sees it: an inbox that nobody reads, the log, the
// settings. The node calls it, also before it has started.
func (d *daemon) troubles() (list models.Notices) {
	var in *models.Inbox
	if node := d.started.Load(); node != nil {
		s := node.Inbox().Status()
		in = &models.Inbox{Messages: s.Messages, Dead: s.Dead, Untaken: s.Untaken, Listeners: s.Listeners}
	}
	if in != nil {
		for _, topic := range slices.Sorted(maps.Keys(in.Untaken)) {
			unheard := codes.InboxUnheard.Notice(inspect.Count(uint64(in.Untaken[topic]), "message") + " of the topic " + nodedir.Quote(topic) + " kept on the disk, and nobody listens")
			unheard.Step = "read with " + d.Dir.Command("listen") + " --topic " + nodedir.Quote(topic)
			list = append(list, unheard)
		}
	}
	if in != nil && in.Plain() > 0 && in.Listeners == 0 {
		unheard := codes.InboxUnheard.Notice(inspect.Count(uint64(in.Plain()), "message") + " kept on the disk, and nobody listens")
		unheard.Step = "read with " + d.Dir.Command("listen")
		list = append(list, unheard)
	}
	list = append(list, d.logTrouble()...)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refused != "" {
		list = append(list, codes.SettingsRefused.Notice(d.refused))
	}
	where := ""
	if d.loaded.File != "" {
		where = " in " + d.loaded.File
	}
	for _, key := range d.waiting {
		list = append(list, codes.NeedsRestart.Notice(key+" has changed"+where+" and takes a restart", key))
	}
	return list
}

// logTrouble returns what is wrong with the log, or nothing.
func (d *daemon) logTrouble() models.Notices {
	if d.Log == nil {
		return nil
	}
	if text := d.Log.Trouble(); text != "" {
		return models.Notices{codes.LogFailed.Notice(text)}
	}
	return nil
}

func (d *daemon) configSection() []models.Setting {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Settings(d.loaded, d.waiting)
}

// unhealthy returns the reasons why the node does not work. Being offline is no such
// reason: a restart would not help.
func (d *daemon) unhealthy(ctx context.Context) models.Notices {
	if d.stopping.Load() {
		return models.Notices{codes.Stopping.Notice("the node is stopping")}
	}
	return d.node.Inspection().Health(ctx)
}

// answerTimeout is how long an actor of a healthy node may take to answer.
const answerTimeout = 2 * time.Second

// report notifies the service manager of changes of the node's state.
func (d *daemon) report(ctx context.Context) {
	for e := range d.node.Events(ctx) {
		if _, ok := e.Value.(actors.StatusChanged); ok && !d.stopping.Load() {
			d.manager.status(d.statusLine(ctx))
		}
	}
}

// statusLine returns the node's state and its cause in one line.
func (d *daemon) statusLine(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	s, err := d.node.Status(ctx)
	if err != nil {
		return "unknown: the connectivity actor does not answer"
	}
	return render.State(s.State, s.Cause)
}

// reloads reads the settings again on each request.
func (d *daemon) reloads(ctx context.Context, asked <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
			if d.stopping.Load() {
				continue
			}
			d.manager.reloading()
			d.reload(ctx)
			if text := d.statusLine(ctx); !d.stopping.Load() { // false if a stop has begun meanwhile
				d.manager.ready(text)
			}
		}
	}
}

// lastWords tells the operator, at the end of the node, about messages that are left in the
// inbox and messages that were dropped.
func (d *daemon) lastWords(s actors.InboxStatus) {
	if n := s.Messages + s.Waiting; n > 0 {
		d.Output.Note("Kept: %s on the disk, not acknowledged; read with %q once the node runs again.", inspect.Count(uint64(n), "message"), d.Dir.Command("listen"))
		if d.Output.JSON {
			d.logger.Warn("messages that are not acknowledged are kept on the disk", "n", n)
		}
	}
	if s.Dropped > 0 {
		d.Output.Note("Dropped: %s over the DHT, for lack of room in the inbox (inbox full).", inspect.Count(s.Dropped, "message"))
		if d.Output.JSON {
			d.logger.Warn("messages over the dht were dropped: inbox full", "n", s.Dropped)
		}
	}
}

// openKad starts the node's client of the key-value DHT, if the settings want one.
func (d *daemon) openKad(ctx context.Context) error {
	settings := d.settings()
	c, wanted := settings.ForKad(api.KadClient)
	if !wanted {
		return nil
	}
	switch _, err := d.node.KV().Open(ctx, c); {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return failure.Start(fmt.Errorf("key-value DHT: %s", failure.Text(err)))
	}
	return nil
}
