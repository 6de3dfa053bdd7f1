package main

import (
	"net/url"
	"time"
)

type dialCmd struct {
	Peer []string `arg:"" help:"A node id or public key that gamelan peers lists, or KEY::ADDRESS as gamelan id prints it."`
}

// Run has the node connect to each peer, dialling it if need be.
func (c *dialCmd) Run(a *app) error { return doToAnyPeers(a, c.Peer, "dial", "connected to", nil) }

type disconnectCmd struct {
	Peer []string `arg:"" help:"A node id or public key that gamelan conns lists."`
}

// Run has the node close the connection to each peer in order.
func (c *disconnectCmd) Run(a *app) error {
	return doToPeers(a, c.Peer, "disconnect", "disconnected", nil)
}

type banCmd struct {
	Peer   []string      `arg:"" help:"A node id or public key that gamelan peers lists, or KEY::ADDRESS as gamelan id prints it."`
	For    time.Duration `help:"How long." default:"2h"`
	Reason string        `help:"Why, for whoever looks at the peer later." default:"banned by the operator"`
}

// Run has the node ban each peer. One on the allow list is not banned.
func (c *banCmd) Run(a *app) error {
	if c.For <= 0 {
		return usage("give a positive duration, such as 2h", "--for cannot be %s", c.For)
	}
	return doToAnyPeers(a, c.Peer, "ban", "banned", url.Values{"for": {c.For.String()}, "reason": {c.Reason}})
}

type unbanCmd struct {
	Peer []string `arg:"" help:"A node id or public key that gamelan peers lists."`
}

// Run has the node lift the ban of each peer.
func (c *unbanCmd) Run(a *app) error { return doToPeers(a, c.Peer, "unban", "unbanned", nil) }
