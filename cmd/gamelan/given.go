package main

import (
	"slices"
	"strings"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

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
