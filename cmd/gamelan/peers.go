package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

type peersCmd struct {
	List     peersListCmd     `cmd:"" default:"withargs" group:"To begin with:" help:"List the peers that the node knows."`
	Add      peersAddCmd      `cmd:"" help:"Add peers, so that the node knows where they are."`
	Forget   peersForgetCmd   `cmd:"" help:"Forget peers, and how often they could be reached."`
	Name     peersNameCmd     `cmd:"" help:"Give a peer a name, which all commands take in its place."`
	Unname   peersUnnameCmd   `cmd:"" help:"Remove names of peers."`
	Names    peersNamesCmd    `cmd:"" help:"List the names of peers."`
	Admit    peersAdmitCmd    `cmd:"" help:"List peers, so that a node with connections.admit = listed has connections with them."`
	Unadmit  peersUnadmitCmd  `cmd:"" help:"Take peers off that list; their connections are closed."`
	Admitted peersAdmittedCmd `cmd:"" help:"Show that list, and who was refused lately."`
	Export   peersExportCmd   `cmd:"" help:"Write the records of all peers as JSON."`
	Import   peersImportCmd   `cmd:"" help:"Add the peers of an export."`
}

type peersListCmd struct {
	Failed bool `help:"Only peers that are not connected and whose last dial failed."`
	All    bool `help:"Those, too, that have not answered for ${forgotten}. With --json all are listed."`
}

// Help returns the text of gamelan peers list --help below the flags.
func (*peersListCmd) Help() string {
	return "SEEN is how long ago something has come from the peer: on a connection, the last answer to a ping. What is wrong stands behind the address. " +
		"With -v the keys, the user agents and all addresses stand below."
}

func (c *peersListCmd) Run(a *app) error {
	peers, err := a.client().Peers(a.ctx)
	if err != nil {
		return err
	}
	if c.Failed {
		peers = slices.DeleteFunc(peers, func(p models.Peer) bool {
			_, failed := render.LastFailure(p)
			return !failed
		})
	}
	var away int
	if !c.All && !c.Failed && !a.JSON {
		peers, away = render.Answering(peers, time.Now())
	}
	if len(peers) > 0 || away == 0 {
		var conns []models.Connection
		if !a.JSON {
			conns, _ = a.client().Connections(a.ctx, false) // a program may not show them
		}
		if err := render.Peers(a.Output, peers, conns, time.Now()); err != nil || away == 0 {
			return err
		}
	}
	return a.Say(render.AwayText(away, a.Command("peers --all")))
}

type peersAddCmd struct {
	Peer []string `arg:"" help:"${seed}; several addresses are separated by ::." placeholder:"KEY::ADDRESS"`
}

// Help returns the text of gamelan peers add --help below the flags.
func (*peersAddCmd) Help() string {
	return "The addresses are stored without being tried; \"gamelan ping KEY\" tries them. To connect at once, and store an address only when it has worked, use \"gamelan dial KEY::ADDRESS\"."
}

func (c *peersAddCmd) Run(a *app) error {
	for i := range c.Peer {
		var err error
		if c.Peer[i], err = a.named(c.Peer[i]); err != nil {
			return err
		}
		if err := api.CheckSeed(c.Peer[i]); err != nil {
			return err
		}
	}
	node := a.client()
	for _, seed := range c.Peer {
		done, err := node.AddPeer(a.ctx, seed)
		if err != nil {
			return err
		}
		if err := render.Done(a.Output, "added", done); err != nil {
			return err
		}
	}
	key, _, _ := strings.Cut(c.Peer[0], "::")
	a.Note("The addresses are stored as they are; \"%s\" tries them.", a.Command("ping "+key))
	return nil
}

type peersForgetCmd struct {
	Peer []string `arg:"" peer:"" help:"A name or public key that gamelan peers lists."`
}

func (c *peersForgetCmd) Run(a *app) error {
	return doToPeers(a, c.Peer, api.CheckKnownPeer, "forgotten", (*client.Client).Forget)
}

// peerAction is an action of a node on one peer.
type peerAction func(node *client.Client, ctx context.Context, peer string) (models.PeerDone, error)

// doToPeers makes the node execute an action on each of peers and prints the results. check is
// [api.CheckPeer] for an action that is also possible on a peer given as KEY::ADDRESS.
func doToPeers(a *app, peers []string, check func(string) error, done string, do peerAction) error {
	peers, err := a.allNamed(peers, check)
	if err != nil {
		return err
	}
	node := a.client()
	for _, p := range peers {
		answer, err := do(node, a.ctx, p)
		if err != nil {
			return err
		}
		if err := render.Done(a.Output, done, answer); err != nil {
			return err
		}
	}
	return nil
}
