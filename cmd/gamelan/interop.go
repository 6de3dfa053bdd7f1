package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/wirecheck"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

type interopCmd struct {
	Target  string   `required:"" help:"Address of the node to check, as /ip4/127.0.0.1/tcp/18189, or ${seed}. Nothing else is dialled." placeholder:"ADDR"`
	Key     string   `help:"Public key of that node, unless the target contains it." placeholder:"HEX"`
	Network string   `help:"Network of that node." default:"localnet" placeholder:"NAME"`
	Release string   `help:"Release of the Tari reference that the node follows where releases differ: 6.2, 1.7 or rc5." default:"6.2" placeholder:"R"`
	Only    []string `help:"Run only these checks: names, groups or rules, as noise,mux.ping,comms 48." placeholder:"LIST"`
	Slow    bool     `help:"Also run the checks that send megabytes."`
}

// Help returns the text of gamelan interop --help below the flags.
func (*interopCmd) Help() string {
	return "Each check connects with a new key, because some checks get their key banned. Some checks send messages.\n\n" +
		"The target remembers these peers, and bans some of them: gamelan peers lists them there. It also receives the checks' messages. " +
		"Those of the DHT send Joins, which the target relays to the nodes that it is connected with, and leave messages for keys that nobody has. " +
		"So check a node whose data directory you can delete, not one that is in use."
}

// Run checks the target and prints the table. The exit code is 0 when no check failed, 1
// when one did, 3 when the target cannot be reached.
func (c *interopCmd) Run(a *app) error {
	target, addr, err := c.target()
	if err != nil {
		return err
	}
	checks := wirecheck.Checks()
	if len(c.Only) > 0 {
		if checks, err = wirecheck.Select(checks, c.Only); err != nil {
			return unknownCheck(err)
		}
	}
	show := &interopProgress{app: a, of: len(checks), table: wirecheck.NewTable(checks)}
	began := time.Now()
	results, blocked, err := wirecheck.Run(a.ctx, target, checks, wirecheck.Options{Large: c.Slow, Done: show.done})
	show.clear()
	switch u := (*wirecheck.UnreachableError)(nil); {
	case a.ctx.Err() != nil: // the user interrupted the checks
		results = show.results
	case errors.As(err, &u): // the dial's error has the advice
		return failure.Unreachable("unreachable", "", "%s", failure.Text(u.Err)).Because(err)
	case err != nil:
		return err
	}
	r := wirecheck.NewReport(addr.String(), target, results, blocked, time.Since(began))
	r.Interrupted = a.ctx.Err() != nil
	switch {
	case a.JSON:
		err = a.PrintJSON(r)
	case len(results) > 0:
		_, err = fmt.Fprint(a.Out, r.Foot())
	}
	switch {
	case err == nil && r.Interrupted:
		return failure.New("interrupted", "run it again", "interrupted after %d of %d checks", len(results), len(checks))
	case err == nil && !r.OK():
		return errQuiet
	}
	return err
}

const targetHint = "give its address, as /ip4/127.0.0.1/tcp/18189, and its public key with --key; gamelan id --address prints both as one"

// target returns the target of the command line.
func (c *interopCmd) target() (t wirecheck.Target, addr ma.Multiaddr, err error) {
	key, where, joined := strings.Cut(c.Target, "::")
	switch {
	case !joined:
		key, where = c.Key, c.Target
	case c.Key != "" && !strings.EqualFold(c.Key, key):
		return t, nil, failure.Usage("leave --key out", "--key is not the key in --target")
	}
	if key == "" {
		return t, nil, failure.Usage(targetHint, "the node's public key is missing")
	}
	if t.Key, err = identity.ParsePublicKey(key); err != nil {
		return t, nil, failure.Usage(targetHint, "%q is no public key", key)
	}
	dialer := tcp.New(tcp.Options{})
	if addr, err = address.Parse(where); err != nil || !dialer.Handles(addr) {
		return t, nil, failure.Usage(targetHint, "%q is no TCP address", where)
	}
	if config.IsNetworkFile(c.Network) {
		return t, nil, failure.Usage("use gamelan dial or gamelan ping on a node of that network", "interop cannot check the nodes of a private network")
	}
	if t.Network, err = protocol.ParseNetwork(c.Network); err != nil {
		return t, nil, networkUsage(c.Network)
	}
	if t.Release, err = protocol.ParseRelease(c.Release); err != nil {
		return t, nil, failure.Usage("use 6.2, 1.7 or rc5", "there is no release %q", c.Release)
	}
	t.UserAgent = "gamelan-interop/" + gamelan.Version // not "gamelan/": the checked node would expect more of such a peer
	t.Dial = func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialLimit)
		defer cancel()
		return dialer.Dial(ctx, addr)
	}
	return t, addr, nil
}

// dialLimit is the time limit of a dial.
const dialLimit = 10 * time.Second

// unknownCheck adds the possible choices to the error.
func unknownCheck(err error) error {
	groups := wirecheck.Groups(wirecheck.Checks())
	return failure.Usage("choose one of the groups "+strings.Join(groups, ", ")+", a name such as noise.key, or a rule such as comms 48", "%s", err)
}

// interopProgress writes results as they come, and counts on a terminal.
type interopProgress struct {
	app           *app
	table         wirecheck.Table
	results       []wirecheck.Result
	n, of, failed int
}

func (p *interopProgress) on() bool { return p.app.ErrMoves() && !p.app.JSON }

func (p *interopProgress) done(r wirecheck.Result) {
	p.clear()
	if !p.app.JSON {
		if p.n == 0 {
			fmt.Fprint(p.app.Out, p.table.Head())
		}
		fmt.Fprint(p.app.Out, p.table.Row(r))
	}
	p.results = append(p.results, r)
	p.n++
	if r.Status == wirecheck.Fail {
		p.failed++
	}
	if p.on() {
		_ = render.Control(p.app.Err, fmt.Sprintf("\r\x1b[K%d of %d checks, %d failed", p.n, p.of, p.failed))
	}
}

func (p *interopProgress) clear() {
	if p.on() && p.n > 0 {
		_ = render.Control(p.app.Err, "\r\x1b[K")
	}
}
