package client

import (
	"cmp"
	"strings"

	"github.com/gamelan-p2p/gamelan/actors/discovery"
	"github.com/gamelan-p2p/gamelan/actors/kad"
	"github.com/gamelan-p2p/gamelan/actors/saf"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// hints are those of the API in commands of this program.
var hints = map[string]string{
	inspect.HintActors:        "see the actors with gamelan tree",
	inspect.HintPeers:         "list the peers with gamelan peers",
	inspect.HintNode:          "look at the node with gamelan status",
	inspect.HintPeer:          "give a public key that gamelan peers lists, or KEY::ADDRESS as gamelan id prints it",
	inspect.HintAdd:           api.UnknownHint,
	inspect.HintGiven:         api.GivenHint,
	inspect.HintConnect:       api.ConnectHint,
	inspect.HintNoDHT:         api.NoDHTHint,
	inspect.HintListenHere:    "use gamelan listen on the machine of the node",
	inspect.HintDHTParameters: "see gamelan send --help",
	discovery.HintSearch:      api.SearchHint,
	saf.HintStored:            `"gamelan saf" shows what the node stores`,
	kad.HintClient:            api.NoKadHint + "; gamelan kad status lists the clients",
	kad.HintClients:           "see gamelan kad status",
	kad.HintConnect:           api.KadConnectHint,
	kad.HintOwn:               "gamelan kad status --own lists the keys that it publishes",
	kad.HintSuperseded:        "read it with gamelan kad get, and publish again",
	kad.HintNoKad:             "start that node with gamelan node --kad (kad.enabled = true), and without --kad-client-only",
	kad.HintNetwork:           "give both nodes the same kad.network (--kad-network)",
}

// ofPeer are the hints that end with a peer, up to that.
var ofPeer = map[string]string{
	inspect.HintDials: "see what the node has tried with gamelan why ",
	inspect.HintUnban: "lift the ban with gamelan unban ",
	inspect.HintSeed:  "check that a seed runs and can be reached from here; see gamelan why ",
}

// failureOf returns an error of the API with a hint in commands.
func failureOf(e *inspect.Error) error {
	hint := cmp.Or(hints[e.Hint], e.Hint)
	for begin, command := range ofPeer {
		if peer, ok := strings.CutPrefix(e.Hint, begin); ok {
			hint = command + peer
		}
	}
	return failure.New(e.Code, hint, "%s", e.Message)
}
