package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/kad/record"
	"github.com/gamelan-p2p/gamelan/internal/words"
)

// kadCmd are the verbs of the key-value DHT. They have exit codes of their own beside the
// usual ones: 4, 5 and 6.
type kadCmd struct {
	Client string `help:"Name of the client, for a program that runs several." default:"${kad_client}" placeholder:"NAME"`

	Status  kadStatusCmd  `cmd:"" default:"withargs" help:"Show the clients of the key-value DHT: their state, contacts, and what they store."`
	Peers   kadPeersCmd   `cmd:"" help:"List the contacts in the routing table."`
	Connect kadConnectCmd `cmd:"" help:"Ask a node whether it is there, and enter the network through it."`
	Put     kadPutCmd     `cmd:"" help:"Publish a value, and publish it again until it is forgotten."`
	Get     kadGetCmd     `cmd:"" help:"Find a value, and write it to standard output."`
	Forget  kadForgetCmd  `cmd:"" help:"End a publication; the nodes that store it let it expire."`
	Trace   kadTraceCmd   `cmd:"" help:"Show a lookup step by step, as it happens."`
}

type kadStatusCmd struct {
	Own bool `help:"List what the clients publish."`
}

func (c *kadStatusCmd) Run(a *app) error {
	if c.Own {
		list, err := a.client().KadOwn(a.ctx)
		if err != nil {
			return err
		}
		return render.KadOwn(a.Output, list, time.Now())
	}
	return printed(a, render.Kad)(a.client().Kad(a.ctx))
}

type kadPeersCmd struct {
	Buckets bool `help:"Count the contacts of each bucket instead."`
}

func (c *kadPeersCmd) Run(a *app) error {
	list, err := a.client().KadContacts(a.ctx)
	if err != nil {
		return err
	}
	if c.Buckets {
		return render.KadBuckets(a.Output, list)
	}
	return render.KadContacts(a.Output, list, time.Now())
}

type kadConnectCmd struct {
	Target string `arg:"" help:"${seed}."`
}

func (c *kadConnectCmd) Run(a *app, k *kadCmd) error {
	return printed(a, render.KadConnected)(a.client().KadConnect(a.ctx, k.Client, c.Target))
}

type kadPutCmd struct {
	Value  string        `arg:"" optional:"" help:"The value, at most 8192 bytes; @FILE reads it from a file, and @- from standard input."`
	Sign   string        `help:"Sign the value, so that it can be changed later: a file with an Ed25519 key, in PEM (openssl genpkey -algorithm ed25519) or its 32 secret bytes as 64 hexadecimal digits." placeholder:"FILE"`
	Salt   string        `help:"Name of one of several values of the same key, at most 64 bytes." placeholder:"TEXT"`
	TTL    time.Duration `name:"ttl" help:"How long a signed value lives, at most 168h. While it runs, the node signs it again before that." default:"24h" placeholder:"TIME"`
	Delete bool          `help:"Replace the signed value by a mark that it was deleted."`
}

// Help returns the text of gamelan kad put --help below the flags.
func (*kadPutCmd) Help() string {
	return "An unsigned value has its hash for a key, and never changes. The key of a signed value follows from the signer's public key and the salt. " +
		"What has been published is on the node's disk when the command ends, even if too few other nodes have stored it. " +
		"Exit codes: 0 enough nodes store it, 1 too few do, 5 no other node is known, 6 there is a newer version."
}

func (c *kadPutCmd) Run(a *app, k *kadCmd) error {
	p, err := c.put(a)
	if err != nil {
		return err
	}
	r, err := a.client().KadPut(a.ctx, k.Client, p)
	if err != nil {
		return err
	}
	if err := render.KadReport(a.Output, &r); err != nil {
		return err
	}
	if r.Error != "" {
		return errQuiet
	}
	return nil
}

// put returns what is to be published.
func (c *kadPutCmd) put(a *app) (*models.KadPut, error) {
	p := &models.KadPut{Salt: []byte(c.Salt), Delete: c.Delete}
	switch {
	case c.Sign == "" && c.Delete:
		return nil, failure.Usage("name the key with --sign FILE", "only a signed value can be deleted")
	case c.Sign == "" && c.Salt != "":
		return nil, failure.Usage("leave --salt out, or sign the value with --sign FILE", "only a signed value has a salt")
	case c.Delete != (c.Value == ""):
		return nil, failure.Usage("give a value, or --delete without one", "there is nothing to publish")
	case len(c.Salt) > record.MaxSalt:
		return nil, failure.Usage("take a shorter one", "the salt has %d bytes, at most %d", len(c.Salt), record.MaxSalt)
	case c.TTL <= 0 || c.TTL > record.MaxLife:
		return nil, failure.Usage("take 1s to 168h", "a value cannot live for %s", c.TTL)
	}
	var err error
	if p.Value, err = a.valueOf(c.Value); err != nil {
		return nil, err
	}
	if c.Sign != "" {
		p.TTL = c.TTL
		if p.Seed, err = readSeed(c.Sign); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// valueOf returns the bytes of a value given as text, @FILE or @-.
func (a *app) valueOf(text string) (b []byte, err error) {
	name, isFile := strings.CutPrefix(text, "@")
	switch {
	case !isFile:
		b = []byte(text)
	case name == "-":
		b, err = io.ReadAll(io.LimitReader(a.in, record.MaxValue+1))
	default:
		b, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, failure.Usage("check the name of the file", "the value cannot be read: %s", failure.Reason(err))
	}
	if len(b) > record.MaxValue {
		return nil, failure.Usage("split it, or publish where it can be fetched", "the value has %d bytes or more, at most %d", len(b), record.MaxValue)
	}
	return b, nil
}

// readSeed reads the secret of an Ed25519 key: PEM, or 64 hexadecimal digits.
func readSeed(name string) ([]byte, error) {
	wrong := func(format string, args ...any) error {
		return failure.Usage("make one with: openssl genpkey -algorithm ed25519 -out FILE", "the key in %s: %s", name, fmt.Sprintf(format, args...))
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, wrong("%s", failure.Reason(err))
	}
	if block, _ := pem.Decode(b); block != nil {
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, wrong("%s", words.OneLine(err.Error()))
		}
		private, ok := key.(ed25519.PrivateKey)
		if !ok {
			return nil, wrong("it is a %T, want Ed25519", key)
		}
		return private.Seed(), nil
	}
	seed, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, wrong("neither PEM nor 64 hexadecimal digits")
	}
	return seed, nil
}

type kadGetCmd struct {
	Key      string        `arg:"" help:"The key, 64 hexadecimal digits."`
	Quorum   int           `help:"How many nodes must agree on the newest version of a signed value (default: 3)." placeholder:"N"`
	MaxStale time.Duration `help:"Accept a version that was confirmed this long ago without asking again (default: 0s)." placeholder:"TIME"`
}

// Help returns the text of gamelan kad get --help below the flags.
func (*kadGetCmd) Help() string {
	return "Writes the bytes of the value and nothing else; a terminal gets them escaped. Exit codes: 4 there is no such value, or it was deleted; 5 no other node is known, or none answers."
}

func (c *kadGetCmd) Run(a *app, k *kadCmd) error {
	if err := checkKey(c.Key); err != nil {
		return err
	}
	if c.Quorum < 0 || c.MaxStale < 0 {
		return failure.Usage("leave it out, or give more than 0", "--quorum and --max-stale cannot be negative")
	}
	return printed(a, render.KadRecord)(a.client().KadGet(a.ctx, k.Client, c.Key, c.Quorum, c.MaxStale))
}

func checkKey(text string) error {
	if _, err := api.ParseKey(text); err != nil {
		return failure.Usage("give 64 hexadecimal digits, as gamelan kad put prints them", "%q is no key", text)
	}
	return nil
}

type kadForgetCmd struct {
	Key string `arg:"" help:"The key, 64 hexadecimal digits."`
}

func (c *kadForgetCmd) Run(a *app, k *kadCmd) error {
	if err := checkKey(c.Key); err != nil {
		return err
	}
	return printed(a, render.KadForgotten)(a.client().KadForget(a.ctx, k.Client, c.Key))
}

type kadTraceCmd struct {
	What   string `arg:"" enum:"get,find" help:"get looks for a value, and find for the nodes nearest to an id."`
	Target string `arg:"" help:"The key or id, 64 hexadecimal digits."`
}

// Help returns the text of gamelan kad trace --help below the flags.
func (*kadTraceCmd) Help() string {
	return "A line has the time, the hop, the rank, the node, and what became of the request to it. " +
		"At hop h1 is a node that this one knew. Rank #1 is the nearest of all nodes heard of. " +
		"Closer counts the nodes that it named and that are nearer than itself. Best cpl is how many bits the nearest node has in common with the target.\n\n" +
		"Exit codes: 4 no node that was asked has the value, 5 no other node is known."
}

func (c *kadTraceCmd) Run(a *app, k *kadCmd) error {
	if err := checkKey(c.Target); err != nil {
		return err
	}
	trace := render.NewKadTrace(a.Output, c.What == "find")
	err := a.client().KadTrace(a.ctx, k.Client, c.Target, c.What == "find", func(s *models.KadStep) error { return trace.Step(s) })
	if err != nil {
		return err
	}
	if trace.Found() {
		return nil
	}
	return failure.New(inspect.CodeNoValue, "", "no node that was asked has the value")
}
