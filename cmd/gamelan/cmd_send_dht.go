package main

import (
	"net/url"
	"slices"
	"strconv"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// dhtSendHelp is what gamelan send --help says of messages over the DHT.
const dhtSendHelp = "With --to or --strategy messages go over the DHT, as those of Tari's nodes do: to one peer, or to several of which each may pass them on. " +
	"direct is the holder of the key and nobody else; closest the connected nodes closest to the key, and direct-or-closest the holder if it is connected, else these; " +
	"propagate has others pass on an encrypted message until it is there, and hands one in clear to them; broadcast is a few connected nodes at random, flood all of them, " +
	"random:N so many that are known. There is a line for each peer that a message was sent to. Confirmed says that this peer's node has read it: " +
	"not that it was passed on, has reached the receiver, or was handled by anybody. The exit code is 0 if every message went to somebody and all copies are confirmed, else 1. " +
	"gamelan messages lists them later."

// overDHT tells whether the messages go over the DHT.
func (c *sendCmd) overDHT() bool { return c.To != "" || c.Strategy != "" }

// checkDHT refuses what cannot be sent before anybody is asked; the peer is the
// first message.
func (c *sendCmd) checkDHT() error {
	if c.Peer != "" {
		c.Peer, c.Message = "", slices.Insert(c.Message, 0, c.Peer)
	}
	s, err := parseStrategy(c.Strategy)
	switch {
	case err != nil:
		return err
	case c.To == "" && s.needsKey():
		return usage("name it with --to KEY", "%s is about the holder of a key", s.name)
	case c.To == "" && c.Encrypt:
		return usage("name him with --to KEY", "an encrypted message is for the holder of a key")
	case c.To != "":
		return checkPeer(c.To)
	}
	return nil
}

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
	show := newReportPrinter(a, c.Quiet)
	err := transmit(a, c, "/v1/dht/messages?"+q.Encode(), transmission[inspect.SentReport]{
		line: show.report, end: show.end, rest: show.rest,
	})
	switch {
	case err != nil:
		return err
	case !show.allConfirmed():
		return errQuiet
	}
	return nil
}
