package main

import (
	"slices"
	"strings"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// givenHelp is the part of a help about a peer that is given as KEY::ADDRESS.
const givenHelp = "An address that is given with the key is dialled first. The node remembers it when the peer has proven its key there."

// noteUnreached says what to do about a peer that could not be reached. Given with its address, it may be misaddressed.
func (a *app) noteUnreached(peer string, misaddressed bool) {
	key, _, given := strings.Cut(peer, "::")
	switch {
	case !given:
		a.Note("Next: see what the node has tried with \"%s\".", a.Command("why "+peer))
	case misaddressed:
		a.Note("Next: %s.", api.GivenHint)
	}
	if a.hasDHT() {
		a.Note("To leave it a message until it is back: %s", a.Command("send --to "+key+" --store TEXT"))
	}
}

// tellConnected says of a peer given as KEY::ADDRESS that the peer is connected, if the
// node does not know the address: the node does not dial a peer that is connected.
func (a *app) tellConnected(text string) {
	key, addrs, ok := strings.Cut(text, "::")
	if !ok || a.JSON {
		return
	}
	p, err := a.client().Peer(a.ctx, key)
	if err != nil || p.Connection == nil {
		return // the verb itself reports the error
	}
	untried := slices.DeleteFunc(strings.Split(addrs, "::"), func(addr string) bool {
		return slices.ContainsFunc(p.Addresses, func(known models.Address) bool { return known.Addr == addr })
	})
	switch len(untried) {
	case 0:
		return
	case 1:
		a.Note("%s is connected already; %s was not tried.", a.Who(p.NodeID), inspect.Escape(untried[0]))
	default:
		a.Note("%s is connected already; %s were not tried.", a.Who(p.NodeID), inspect.Escape(strings.Join(untried, ", ")))
	}
}
