package main

import (
	"net/url"
	"slices"
	"strconv"

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

// maxDHTBody is how long a message may be over the DHT, in bytes: what it travels
// in, sealed and padded, has at most 8 MiB.
const maxDHTBody = 8<<20 - 1<<10

// overDHT tells whether the messages go over the DHT.
func (c *sendCmd) overDHT() bool { return c.To != "" || c.Strategy != "" }

// checkDHT refuses what cannot be sent before anybody is asked; the peer is the
// first message.
func (c *sendCmd) checkDHT() error {
	if c.Peer != nil {
		c.Peer, c.Message = nil, slices.Insert(c.Message, 0, *c.Peer)
	}
	s, err := parseStrategy(c.Strategy)
	switch {
	case err != nil:
		return err
	case c.To == "" && s.needsKey():
		return usage("name it with --to KEY", "%s is about the holder of a key", s.name)
	case c.To == "" && c.Encrypt:
		return usage("name him with --to KEY", "an encrypted message is for the holder of a key")
	case c.Encrypt && c.Clear:
		return usage("leave one of them out", "choose either --encrypt or --clear")
	case c.Clear && (c.To == "" || s.name == "direct"):
		return usage("leave it out", "--clear is for messages to the holder of a key that other nodes read as well")
	case c.To != "" && s.name != "direct" && !c.Encrypt && !c.Clear:
		return usage("encrypt it with --encrypt, or give --clear if they may read it",
			"%s gives the message to other nodes, which can read it and do not pass on what is in clear", s.name)
	case c.Type != nil && *c.Type == dht.TypePing:
		return usage(pingHint, "type %d is that of pings, which nodes send by themselves", dht.TypePing)
	case c.To != "":
		return checkPeer(c.To)
	}
	return nil
}

// pingHint says what to do instead of sending a ping of one's own.
const pingHint = "choose another one: a node bans for a wrong ping"

// runDHT sends the messages over the DHT.
func (c *sendCmd) runDHT(a *app) error {
	q := url.Values{}
	for name, text := range map[string]string{"to": c.To, "strategy": c.Strategy} {
		if text != "" {
			q.Set(name, text)
		}
	}
	for name, on := range map[string]bool{"encrypt": c.Encrypt, "sign": c.Sign} {
		if on {
			q.Set(name, "true")
		}
	}
	if c.Type != nil {
		q.Set("type", strconv.Itoa(int(*c.Type)))
	}
	show, waits := newReportPrinter(a, c.Quiet), tellWaiting(a)
	err := transmit(a, c, "/v1/dht/messages?"+q.Encode(), transmission[inspect.SentReport]{
		line: func(s inspect.SentReport, more bool) error {
			waits.report()
			return show.report(s, more)
		},
		end: func() error {
			waits.stop()
			return show.end()
		},
		rest: show.rest,
	})
	waits.stop()
	switch {
	case err != nil:
		return err
	case !show.allConfirmed():
		return errQuiet
	}
	return nil
}
