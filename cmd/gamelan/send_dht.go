package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/outlast"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/control"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// dhtSendHelp is the part of gamelan send --help about messages over the DHT.
const dhtSendHelp = "With --to, --strategy or --store messages go over the DHT, as those of Tari's nodes do: to one peer, or to several that may pass them on.\n\n" +
	"The strategy direct sends to the holder of the key only, and searches for it first if it is not known. closest sends to the connected nodes closest to the key. " +
	"direct-or-closest sends to the holder if it is connected, else to these.\n\n" +
	"propagate sends to nodes that pass an encrypted message on until it reaches the receiver; they keep an unencrypted one. broadcast sends to a few connected nodes at random, flood to all of them, random:N to N known nodes.\n\n" +
	"The output has a line for each peer to which a message was sent. Confirmed means that this peer's node has read the message, " +
	"not that it was relayed, has reached the receiver, or was handled there. " +
	"The exit code is 0 if every message was sent to at least one peer and all copies are confirmed, else 1. gamelan messages lists the messages later.\n\n" +
	"Give --sign when you send to many. Except with direct, an unsigned, unencrypted message is known by its bytes. " +
	"Nodes drop the second copy of the same text, whoever sent the first, although they confirm it. With --sign each message is different.\n\n" +
	"With --store a message for a receiver that is away goes to nodes near it: connected ones first, and at least two that must be dialled. " +
	"Such a node may store the message and give it to the receiver when that is back and asks. Nobody promises it, and no receipt comes back. " +
	"The exit code is then 0 if every message was confirmed by at least one node."

// overDHT reports whether the messages go over the DHT.
func (c *sendCmd) overDHT() bool { return c.To != "" || c.Strategy != "" || c.Store }

// checkDHT refuses options that do not fit, before the node is asked. The peer argument
// becomes the first message.
func (c *sendCmd) checkDHT() error {
	if c.Peer != nil {
		c.Peer, c.Message = nil, slices.Insert(c.Message, 0, *c.Peer)
	}
	s, err := control.ParseStrategy(c.Strategy)
	if e, bad := errors.AsType[*inspect.Error](err); bad {
		return failure.Usage(e.Hint, "%s", e.Message)
	}
	_, isTag := inspect.ParseTag(c.Tag)
	switch {
	case c.Tag != "" && !isTag:
		return failure.Usage("give up to 16 hexadecimal digits, such as 2a, not all zero", "--tag cannot be %q", c.Tag)
	case c.Timeout > dht.DefaultLimit:
		return failure.Usage(fmt.Sprintf("give %s or less; for a receiver that is away for longer there is --store, with --to KEY", dht.DefaultLimit),
			"--timeout cannot be %s: a message over the DHT ends after %s at the latest", c.Timeout, dht.DefaultLimit)
	case c.outcome() != "":
		return failure.Usage("leave it out, or send to a connected peer", "a message over the DHT is confirmed when it is read; --kept and --handled are for messages to a connected peer")
	case c.Retry:
		return failure.Usage("leave --retry out; for a receiver that is away for longer there is --store, with --to KEY",
			"the node itself sends a message over the DHT again, for %s", dht.DefaultLimit)
	case c.NoResend:
		return failure.Usage("leave --no-resend out", "the node itself sends a message over the DHT again, and its receiver drops a second copy")
	case c.Store:
		return c.checkStore()
	case c.To == "" && s.NeedsKey():
		return failure.Usage("name it with --to KEY", "the strategy %s needs the key of a receiver", s.Name)
	case c.To == "" && c.Encrypt:
		return failure.Usage("name it with --to KEY", "an encrypted message needs the key of its receiver")
	case c.Encrypt && c.Clear:
		return failure.Usage("leave one of them out", "choose either --encrypt or --clear")
	case c.Clear && (c.To == "" || s.Name == "direct"):
		return failure.Usage("leave it out", "--clear is for messages to the holder of a key that other nodes read as well")
	case c.To != "" && s.Name != "direct" && !c.Encrypt && !c.Clear:
		return failure.Usage("encrypt it with --encrypt, or give --clear if they may read it",
			"%s gives the message to other nodes, which can read it and relay only encrypted messages", s.Name)
	case c.To != "":
		return cmp.Or(c.checkType(), api.CheckPeer(c.To))
	}
	return c.checkType()
}

func (c *sendCmd) checkType() error {
	if c.Type != nil && *c.Type == dht.TypePing {
		return failure.Usage(control.HintType, "type %d is that of pings, which nodes send by themselves", dht.TypePing)
	}
	return nil
}

// checkStore refuses options that do not fit --store.
func (c *sendCmd) checkStore() error {
	switch {
	case c.To == "":
		return failure.Usage("name it with --to KEY", "--store needs the key of the receiver")
	case c.Strategy != "":
		return failure.Usage("leave one of them out", "--store chooses the peers itself, and --strategy names others")
	case c.Clear:
		return failure.Usage("leave --clear out", "nodes store only encrypted messages")
	}
	return cmp.Or(c.checkType(), api.CheckPeer(c.To))
}

// storeLimit is how long nodes near an absent receiver are waited for without --timeout: connected ones have the
// message soon, and others may be away as well.
const storeLimit = 20 * time.Second

// connected reports whether the receiver is connected.
func (c *sendCmd) connected(a *app) bool {
	key, _, _ := strings.Cut(c.To, "::")
	p, err := a.client().Peer(a.ctx, key)
	return err == nil && p.Connection != nil
}

// runDHT sends the messages over the DHT.
func (c *sendCmd) runDHT(a *app) error {
	if c.Timeout > 0 {
		a.wait = min(a.wait, c.Timeout)
	}
	within := c.Timeout
	if within == 0 && c.Store && !c.connected(a) {
		within = storeLimit
	}
	limit := cmp.Or(within, dht.DefaultLimit)
	show, waits := render.NewReports(a.Output, c.Quiet, c.Store), tellWaiting(a, lookDHT(a, time.Now(), limit))
	found := func() {}
	if !c.Store { // such a message goes to nodes near the receiver, which need not be found
		found = followReceiver(a, c.To)
	}
	r := inspect.DHTRequest{To: c.To, Strategy: c.Strategy, Type: c.Type, Encrypt: c.Encrypt, Sign: c.Sign, Store: c.Store, Timeout: within}
	r.Tag, _ = inspect.ParseTag(c.Tag) // it was checked
	in := c.input(a)
	err := outlast.Send(func(each func(models.SentReport, bool) error) error { return a.client().SendDHT(a.ctx, r, in, each) }, in, answers[models.SentReport](a, show, found, waits))
	found()
	waits.stop()
	switch {
	case err != nil:
		return err
	case c.Store && !show.Reached(), !c.Store && !show.AllConfirmed():
		return errQuiet
	}
	return nil
}
