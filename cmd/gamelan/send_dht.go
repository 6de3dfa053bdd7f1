package main

import (
	"slices"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/client"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// dhtSendHelp is what gamelan send --help says of messages over the DHT.
const dhtSendHelp = "With --to or --strategy messages go over the DHT, as those of Tari's nodes do: to one peer, or to several of which each may pass them on. " +
	"direct is the holder of the key and nobody else; closest the connected nodes closest to the key, and direct-or-closest the holder if it is connected, else these; " +
	"propagate has others pass on an encrypted message until it is there, and hands one in clear to them; broadcast is a few connected nodes at random, flood all of them, " +
	"random:N so many that are known. There is a line for each peer that a message was sent to. Confirmed says that this peer's node has read it: " +
	"not that it was passed on, has reached the receiver, or was handled by anybody. " +
	"By every strategy but direct, messages that are neither encrypted nor signed and hold the same bytes are one message: a node that remembers it drops it when it comes again, whoever sends it, although it confirms it. " +
	"With --sign each is a message of its own. The exit code is 0 if every message went to somebody and all copies are confirmed, else 1. " +
	"gamelan messages lists them later."

// overDHT tells whether the messages go over the DHT.
func (c *sendCmd) overDHT() bool { return c.To != "" || c.Strategy != "" }

// checkDHT refuses what cannot be sent before anybody is asked; the peer is the
// first message.
func (c *sendCmd) checkDHT() error {
	if c.Peer != nil {
		c.Peer, c.Message = nil, slices.Insert(c.Message, 0, *c.Peer)
	}
	s, err := api.ParseStrategy(c.Strategy)
	switch {
	case err != nil:
		return err
	case c.To == "" && s.NeedsKey():
		return failure.Usage("name it with --to KEY", "%s is about the holder of a key", s.Name)
	case c.To == "" && c.Encrypt:
		return failure.Usage("name him with --to KEY", "an encrypted message is for the holder of a key")
	case c.Encrypt && c.Clear:
		return failure.Usage("leave one of them out", "choose either --encrypt or --clear")
	case c.Clear && (c.To == "" || s.Name == "direct"):
		return failure.Usage("leave it out", "--clear is for messages to the holder of a key that other nodes read as well")
	case c.To != "" && s.Name != "direct" && !c.Encrypt && !c.Clear:
		return failure.Usage("encrypt it with --encrypt, or give --clear if they may read it",
			"%s gives the message to other nodes, which can read it and do not pass on what is in clear", s.Name)
	case c.Type != nil && *c.Type == dht.TypePing:
		return failure.Usage(api.PingHint, "type %d is that of pings, which nodes send by themselves", dht.TypePing)
	case c.To != "":
		return api.CheckPeer(c.To)
	}
	return nil
}

// runDHT sends the messages over the DHT.
func (c *sendCmd) runDHT(a *app) error {
	show, waits := render.NewReports(a.Output, c.Quiet), tellWaiting(a)
	r := inspect.DHTRequest{To: c.To, Strategy: c.Strategy, Type: c.Type, Encrypt: c.Encrypt, Sign: c.Sign}
	err := a.client().SendDHT(a.ctx, r, c.input(a), client.Answers[inspect.SentReport]{
		Each: func(s inspect.SentReport, more bool) error {
			waits.report()
			return show.Add(s, more)
		},
		End: func() error {
			waits.stop()
			return show.End()
		},
		Rest: show.Rest,
	})
	waits.stop()
	switch {
	case err != nil:
		return err
	case !show.AllConfirmed():
		return errQuiet
	}
	return nil
}
