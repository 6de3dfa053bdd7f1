package tornet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/freeport"
)

// Options describe a network.
type Options struct {
	Clients int // default 2
	// DNS is the name server that the exits ask, on UDP. Default: port 9, on which nobody
	// listens, so that no name is known.
	DNS string
	// Log gets a line for each step; nil: nobody does.
	Log io.Writer
}

const (
	authorities = 3
	relays      = 4 // the fewest that circuits of onion services go well with
	exits       = 2
)

// leads are the times from the start of the authorities to their first vote, each for when the
// one before has proved too short for this machine. All are below the interval of first votes.
var leads = []time.Duration{7 * time.Second, 14 * time.Second, 24 * time.Second}

// relay is a Tor that others build circuits through, or that votes.
type relay struct {
	process
	dirPort     int // of an authority
	exit        bool
	fingerprint string
	voter       string // fingerprint of an authority's key to vote with
}

func (r *relay) authority() bool { return r.dirPort != 0 }

// Network is a running Tor network.
type Network struct {
	Clients []*Client

	dir         string
	tor         string
	gencert     string
	options     Options
	authorities []*relay
	relays      []*relay
}

// Missing returns an error that says what to install when the programs are not there.
func Missing() error {
	_, _, err := programs()
	return err
}

func programs() (tor, gencert string, err error) {
	find := func(name string) (string, error) {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
		// The search path of a user other than root often lacks this folder.
		return exec.LookPath(filepath.Join("/usr/sbin", name))
	}
	tor, err = find("tor")
	if err == nil {
		gencert, err = find("tor-gencert")
	}
	if err != nil {
		err = fmt.Errorf("tornet: %w; install the package tor", err)
	}
	return tor, gencert, err
}

// Start starts a network whose files are below dir, and waits until every client can build
// circuits. After an error nothing of it runs.
func Start(ctx context.Context, dir string, o Options) (*Network, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	n := &Network{dir: dir, options: o}
	if n.tor, n.gencert, err = programs(); err != nil {
		return nil, err
	}
	if err := n.describe(); err != nil {
		return nil, err
	}
	if err := n.bootstrap(ctx); err != nil {
		n.Stop()
		return nil, err
	}
	return n, nil
}

// describe chooses names and ports.
func (n *Network) describe() error {
	if n.options.Clients == 0 {
		n.options.Clients = 2
	}
	ports, err := freeport.Ports(2*authorities + relays + 3*n.options.Clients)
	if err != nil {
		return err
	}
	next := func() int {
		port := ports[0]
		ports = ports[1:]
		return port
	}
	at := func() string { return fmt.Sprintf("%s:%d", loopback, next()) }
	one := func(name string, orPort int) process {
		return process{name: name, dir: n.path(name), tor: n.tor, orPort: orPort}
	}
	for i := range authorities {
		n.authorities = append(n.authorities, &relay{process: one(fmt.Sprintf("a%d", i+1), next()), dirPort: next()})
	}
	for i := range relays {
		n.relays = append(n.relays, &relay{process: one(fmt.Sprintf("r%d", i+1), next()), exit: i < exits})
	}
	for i := range n.options.Clients {
		c := &Client{process: one(fmt.Sprintf("c%d", i+1), 0), Control: at(), Socks: at(), SocksExtended: at()}
		c.Cookie = c.path("data", "cookie")
		n.Clients = append(n.Clients, c)
	}
	if n.options.DNS == "" {
		n.options.DNS = loopback + ":9"
	}
	return os.MkdirAll(n.dir, 0o700)
}

// bootstrap starts everything.
func (n *Network) bootstrap(ctx context.Context) error {
	begin := time.Now()
	said := func(what string) {
		if n.options.Log != nil {
			fmt.Fprintf(n.options.Log, "tornet: %s after %.1f s\n", what, time.Since(begin).Seconds())
		}
	}
	if err := n.makeKeys(); err != nil {
		return err
	}
	said("keys")
	if err := n.agree(ctx, said); err != nil {
		return err
	}
	n.fetch()
	if err := n.pause(ctx, "the relays"); err != nil {
		return err
	}
	for _, c := range n.Clients {
		if err := c.start(); err != nil {
			return err
		}
	}
	for _, c := range n.Clients {
		if err := c.Ready(ctx); err != nil {
			return err
		}
	}
	said("ready")
	return nil
}

// agree starts authorities and relays until the authorities agree on all of them.
func (n *Network) agree(ctx context.Context, said func(string)) error {
	for _, lead := range leads {
		agreed, err := n.firstConsensus(ctx, lead)
		if err != nil {
			return err
		}
		if agreed {
			said("consensus")
			return nil
		}
		said("a consensus that lacks relays")
		n.Stop()
	}
	return errors.New("tornet: the authorities do not agree; the machine is too slow, or has too much to do")
}

// Stop ends every process and waits until all have ended.
func (n *Network) Stop() {
	all := n.processes()
	for _, p := range all {
		if p.runs() {
			p.signal(os.Interrupt) // Tor ends at once, and in order
		}
	}
	for _, p := range all {
		p.wait(stopLimit)
	}
}

func (n *Network) path(name string) string { return filepath.Join(n.dir, name) }

// relaying returns authorities and relays.
func (n *Network) relaying() []*relay {
	return append(slices.Clip(n.authorities), n.relays...)
}

func (n *Network) processes() (all []*process) {
	for _, r := range n.relaying() {
		all = append(all, &r.process)
	}
	for _, c := range n.Clients {
		all = append(all, &c.process)
	}
	return all
}
