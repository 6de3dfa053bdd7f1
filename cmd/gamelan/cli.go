package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/kong"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemon"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/control"
)

// app is the environment of a verb: outputs, settings and data directory.
type app struct {
	*render.Output
	ctx       context.Context
	in        io.Reader
	wait      time.Duration // for a node that is starting
	dir       nodedir.Dir
	sources   daemonconfig.Sources // of the settings, without a verb's own flags
	configArg string               // the --config option as it was given
	signals   *daemon.Signals      // of a verb that catches them
	log       *daemon.Queue        // of a verb that runs a node: what Err is then
	parser    *kong.Kong
	node      *client.Client // what client returns, once it has been called
	patience  string         // the flag that gives the node more time to answer

	remote     *client.Remote // the node of --node and --token-file; nil: that of the data directory
	remoteArgs string         // these flags, with a space before them
}

// embeddedWait is how long a command waits for the socket of a node that a program runs.
const embeddedWait = time.Second

// client returns the verb's client of the node in the data directory. The client waits for
// a node that is just starting, once in all, and says so. The first call is made before
// the verb starts goroutines.
func (a *app) client() *client.Client {
	if a.node == nil {
		a.patience = "--wait"
		a.node = a.asks(client.Options{Answer: max(a.wait, client.Patience), Wait: a.wait, Waiting: func() time.Duration {
			if a.remote == nil && a.dir.Embedded() { // the socket of a program is there a moment after its node, or never
				return embeddedWait
			}
			a.Note("Waiting up to %s for the node %s: none answers there yet.", a.wait, a.where())
			return a.wait
		}})
	}
	return a.node
}

// pause waits, and reports whether the verb goes on: not when the user has ended it.
func (a *app) pause(d time.Duration) bool {
	select {
	case <-a.ctx.Done():
		return false
	case <-time.After(d):
		return a.ctx.Err() == nil
	}
}

// printed returns a function that prints an answer of the node: as JSON, or by show.
func printed[T any](a *app, show func(*render.Output, *T) error) func(T, error) error {
	return func(v T, err error) error {
		switch {
		case err != nil:
			return err
		case a.JSON:
			return a.PrintJSON(&v)
		}
		return show(a.Output, &v)
	}
}

// atNow gives a function for [printed] the present time.
func atNow[T any](show func(*render.Output, *T, time.Time) error) func(*render.Output, *T) error {
	return func(o *render.Output, v *T) error { return show(o, v, time.Now()) }
}

// cli is the command line. The groups of its commands, and their order, are those of the help. The first one has the list of peers as well.
type cli struct {
	DataDir   string `help:"Directory of the node's identity, store and socket (default: ${data_dir})." placeholder:"DIR"`
	Config    string `help:"Configuration file (default: the first that exists of ${config_files})." env:"GAMELAN_CONFIG" placeholder:"FILE"`
	NodeURL   string `name:"node" help:"Ask the node at https://HOST:PORT, on any machine, and not that of the data directory. It needs inspect.listen there." env:"GAMELAN_NODE" placeholder:"URL"`
	TokenFile string `name:"token-file" help:"File with the token for that node, as gamelan token writes it; it has the address, too." env:"GAMELAN_TOKEN_FILE" placeholder:"FILE"`
	JSON      bool   `help:"Write JSON, for programs."`
	Verbose   bool   `short:"v" help:"Show the node ids of peers beside their names and public keys."`

	Wait time.Duration `help:"How long a command waits for a node that is just starting; 0s does not wait. One that runs has at least ${patience} to answer." default:"5s" env:"GAMELAN_WAIT" placeholder:"TIME"`

	Init   initCmd   `cmd:"" group:"To begin with:" help:"Make a new identity."`
	ID     idCmd     `cmd:"" name:"id" group:"To begin with:" help:"Show the identity, and where the node can be reached."`
	Node   nodeCmd   `cmd:"" group:"To begin with:" help:"Run the node until it is told to stop."`
	Seed   seedCmd   `cmd:"" group:"To begin with:" help:"Run a node through which others enter the network, and write its one line for them."`
	Status statusCmd `cmd:"" group:"To begin with:" help:"Show the state of the running node, and the reason for it."`
	Doctor doctorCmd `cmd:"" group:"To begin with:" help:"Examine the node, or its way to a peer: one cause, and one next step."`
	Health healthCmd `cmd:"" group:"To begin with:" help:"Check whether the node works: exit code 0 or 1, and the cause."`
	Send   sendCmd   `cmd:"" group:"To begin with:" help:"Send messages to a peer."`
	Listen listenCmd `cmd:"" group:"To begin with:" help:"Show the messages that arrive."`
	Peers  peersCmd  `cmd:"" group:"Peers and connections:" help:"The peers that the node knows: list, add, name, forget, export, import."`

	Why        whyCmd        `cmd:"" group:"Peers and connections:" help:"Explain what an actor is doing, or why the node is or is not connected to a peer."`
	Conns      connsCmd      `cmd:"" group:"Peers and connections:" help:"List the connections, live or ended, and what keeps them open."`
	Dial       dialCmd       `cmd:"" group:"Peers and connections:" help:"Connect to peers."`
	Ping       pingCmd       `cmd:"" group:"Peers and connections:" help:"Measure the round trip to a peer, and show the way to it."`
	Disconnect disconnectCmd `cmd:"" group:"Peers and connections:" help:"Close the connections to peers."`
	Ban        banCmd        `cmd:"" group:"Peers and connections:" help:"Refuse connections with peers for a while."`
	Unban      unbanCmd      `cmd:"" group:"Peers and connections:" help:"Lift bans."`

	Inbox    inboxCmd    `cmd:"" group:"Messages:" help:"The shelf of the inbox: messages that could not be handled. List them, have them handed out again, drop them."`
	Messages messagesCmd `cmd:"" group:"Messages:" help:"List the messages sent over the DHT, and how they ended."`
	Message  messageCmd  `cmd:"" group:"Messages:" help:"Show one message sent over the DHT, peer by peer."`
	DHT      dhtCmd      `cmd:"" name:"dht" group:"Messages:" help:"Show the node's part in the DHT: messages received, sent and relayed."`
	Saf      safCmd      `cmd:"" name:"saf" group:"Messages:" help:"Stored messages: those that this node keeps for others that are away, and those that others keep for it."`

	Network  networkCmd  `cmd:"" group:"The network:" help:"How well the node has found its network: seeds, rounds, neighbours."`
	Join     joinCmd     `cmd:"" group:"The network:" help:"Announce the node to the network now."`
	Discover discoverCmd `cmd:"" group:"The network:" help:"Search for the node with a public key."`
	Kad      kadCmd      `cmd:"" name:"kad" group:"The network:" help:"The key-value DHT: publish values and find them, list contacts, show lookups."`

	Events   eventsCmd   `cmd:"" group:"Inside a node:" help:"Show what has happened: connections, the state, failed dials, bans, troubles, commands."`
	Top      topCmd      `cmd:"" group:"Inside a node:" help:"Show the busiest actors, peers or connections, again and again."`
	Trace    traceCmd    `cmd:"" group:"Inside a node:" help:"Show what passes through an actor, or happens with a peer or a message, for a while."`
	Failures failuresCmd `cmd:"" group:"Inside a node:" help:"List the last failure of each actor, with its place in the code."`
	Letters  lettersCmd  `cmd:"" group:"Inside a node:" name:"deadletters" help:"List the last messages that have reached no actor."`
	Tree     treeCmd     `cmd:"" group:"Inside a node:" help:"Show the actor tree of the running node."`
	Actors   actorsCmd   `cmd:"" group:"Inside a node:" help:"Restart or stop an actor."`
	Drain    drainCmd    `cmd:"" group:"Inside a node:" help:"Have the node make no new connections, before it is stopped."`
	Log      logCmd      `cmd:"" group:"Inside a node:" help:"The log of the running node: its level, by package."`
	Show     showCmd     `cmd:"" group:"Inside a node:" help:"Show any section of the running node."`
	Do       doCmd       `cmd:"" group:"Inside a node:" help:"Have a part of the running node do something."`
	Store    storeCmd    `cmd:"" group:"Inside a node:" help:"The peer store on the disk."`
	UI       uiCmd       `cmd:"" name:"ui" group:"Inside a node:" help:"Open the node's page in a browser."`
	Token    tokenCmd    `cmd:"" name:"token" group:"Inside a node:" help:"Write what another machine needs to ask this node."`
	Report   reportCmd   `cmd:"" group:"Inside a node:" help:"Gather what helpers need in one file, without secrets."`

	Settings   configCmd     `cmd:"" name:"config" group:"Settings and tools:" help:"The settings: make, check, show and explain them."`
	Interop    interopCmd    `cmd:"" group:"Settings and tools:" help:"Check a node against the rules of the wire."`
	Demo       demoCmd       `cmd:"" group:"Settings and tools:" help:"Three nodes, 10,000 messages, two crashes, and a node that goes away and comes back, in a few seconds."`
	Completion completionCmd `cmd:"" group:"Settings and tools:" help:"Write the script with which a shell completes gamelan's commands and flags."`
	Man        manCmd        `cmd:"" group:"Settings and tools:" help:"Write the manual pages."`
	Version    versionCmd    `cmd:"" group:"Settings and tools:" help:"Show the version."`
}

const description = `Peer-to-peer messages between supervised actors.

Try it: gamelan demo. A node of your own: gamelan init, then gamelan node.`

// helpShown is the panic value of kong's exit function, so that help returns from run
// like every other verb.
type helpShown int

// newParser returns the parser of command lines. The help, the manual and the completions are made from its
// model, too. without are fields of cli that it leaves out.
func newParser(a *app, without ...string) (*cli, *kong.Kong, error) {
	c := new(cli)
	for field, flags := range map[string]*kong.Plugins{"Node": &c.Node.Plugins, "Seed": &c.Seed.Plugins, "Settings": &c.Settings.Show.Plugins} {
		if !slices.Contains(without, field) {
			*flags = kong.Plugins{reflect.New(settingFlagsType()).Interface()}
		}
	}
	var ignored []string
	if len(without) > 0 {
		ignored = []string{`^cli\.(` + strings.Join(without, "|") + `)$`}
	}
	k, err := kong.New(c,
		kong.Name("gamelan"), kong.Description(description), kong.Writers(a.Out, a.Err),
		kong.Vars{
			"data_dir": daemonconfig.Settings[0].Default(), "config_files": configFilesText,
			"strategies": control.StrategyNames, "seed": api.SeedForm, "text_type": strconv.Itoa(api.TextType),
			"dht_body": inspect.Number(control.MaxDHTBody), "dht_limit": dht.DefaultLimit.String(), "store_limit": storeLimit.String(), "kad_client": api.KadClient, "ping_timeout": control.PingTimeout.String(),
			"patience": client.Patience.String(), "forgotten": render.ForgottenText, "resends": resends,
		},
		kong.IgnoreFields(ignored...), kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Help(printHelp), kong.ValueFormatter(formatValue),
		kong.Exit(func(code int) { panic(helpShown(code)) }))
	if err != nil {
		return nil, nil, err
	}
	for _, f := range k.Model.Flags {
		f.Group = everyVerb
	}
	return c, k, nil
}

// unnamed returns the fields of cli whose verb is none of words. There are none if words name no verb, or
// are of a command that writes of all.
func unnamed(words []string) []string {
	var named bool
	var others []string
	for f := range reflect.TypeFor[cli]().Fields() {
		switch _, verb := f.Tag.Lookup("cmd"); {
		case !verb:
		case slices.Contains(words, cmp.Or(f.Tag.Get("name"), strings.ToLower(f.Name))):
			named = true
		default:
			others = append(others, f.Name)
		}
	}
	if !named || slices.ContainsFunc(words, ofAll) {
		return nil
	}
	return others
}

// ofAll reports whether a word is of a command that writes of all verbs.
func ofAll(word string) bool {
	return slices.Contains([]string{"--help", "-h", "man", "completion"}, word)
}

// parse parses a command line. The model of all verbs takes most of the time of a short command, so it is parsed with the verbs
// that it names. An error is that of the parser of all verbs: it names others.
func (a *app) parse(words []string) (c *cli, k *kong.Context, err error) {
	for without := unnamed(words); ; without = nil {
		if c, a.parser, err = newParser(a, without...); err != nil {
			return nil, nil, err
		}
		if k, err = a.parser.Parse(words); err == nil || without == nil {
			return c, k, err
		}
	}
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, a *app) (code int) {
	a.ctx = ctx
	defer func() {
		switch r := recover().(type) {
		case nil:
		case helpShown:
			code = int(r)
		default:
			panic(r)
		}
	}()
	if len(args) == 0 {
		_, err := io.WriteString(a.Out, shortHelp)
		return a.fail(err)
	}
	c, k, err := a.parse(withoutDashes(inOurWords(args)))
	if c != nil {
		a.JSON, a.Verbose = c.JSON, c.Verbose
	}
	if err != nil {
		a.JSON = a.JSON || hasFlag(args, "--json") // parsing may have stopped before it
		return a.fail(usageOf(err))
	}
	if a.wait = c.Wait; a.wait < 0 {
		return a.fail(failure.Usage("give 0s or more", "--wait cannot be %s", a.wait))
	}
	a.setSources(c.Config, c.DataDir)
	verb := k.Selected().Target.Addr().Interface()
	if err := a.setRemote(c.NodeURL, c.TokenFile); err != nil {
		return a.fail(err)
	}
	if err := a.onlyHere(verb); err != nil {
		return a.fail(err)
	}
	switch verb.(type) {
	case *nodeCmd, *seedCmd: // before the settings, which may take long to read
		a.log = daemon.NewQueue(a.Err)
		a.Err = a.log
		defer a.log.Flush(time.Second)
		a.signals = daemon.CatchSignals(a.Output, a.log)
		defer a.signals.Stop() // and it lists all problems of the settings, and finds its directory itself
	case *configCheckCmd, *configExplainCmd, *configInitCmd, *configShowCmd, *interopCmd, *demoCmd, *completionCmd, *manCmd, *versionCmd,
		*networkCreateCmd, *networkAddCmd, *networkRotateCmd, *networkFileCmd:
		// no data directory is needed, so that these work even if the configuration has errors
	default:
		if err := a.locate(a.load(nil)); err != nil {
			return a.fail(err)
		}
		a.Names, a.Keys = sync.OnceValue(a.namesOf), keysOf(a.ctx, a.asks(client.Options{}), args)
	}
	return a.fail(k.Run(a))
}

// inOurWords turns what other programs take into what this one does: "help send" into
// "send --help", "help" into "--help", and "--version" into "version".
func inOurWords(args []string) []string {
	switch {
	case len(args) > 0 && args[0] == "help":
		return append(slices.Clone(args[1:]), "--help")
	case len(args) > 0 && args[0] == "--version":
		return append([]string{"version"}, args[1:]...)
	}
	return args
}

// usageOf turns an error of kong into a usage failure.
func usageOf(err error) error {
	see := "gamelan --help"
	if p := (*kong.ParseError)(nil); errors.As(err, &p) && p.Context != nil {
		if n := p.Context.Selected(); n != nil {
			see = n.FullPath() + " --help"
		}
	}
	return failure.Usage(fmt.Sprintf("see %q", see), "%s", err)
}

func hasFlag(args []string, flag string) bool {
	for _, a := range args {
		if a == "--" {
			return false
		}
		if a == flag || strings.HasPrefix(a, flag+"=") {
			return true
		}
	}
	return false
}
