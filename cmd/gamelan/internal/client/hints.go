package client

import (
	"cmp"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// hints are those of the API in commands of this program.
var hints = map[string]string{
	inspect.HintActors:        "see the actors with gamelan tree",
	inspect.HintPeers:         "list the peers with gamelan peers",
	inspect.HintNode:          "look at the node with gamelan status",
	inspect.HintPeer:          "give a public key that gamelan peers lists, or KEY::ADDRESS as gamelan id prints it",
	inspect.HintListenHere:    "use gamelan listen on the machine of the node",
	inspect.HintKadHere:       "use gamelan kad on the machine of the node",
	inspect.HintDHTParameters: "see gamelan send --help",
}

// failureOf returns an error of the API with a hint in commands.
func failureOf(e *inspect.Error) error {
	return failure.New(e.Code, cmp.Or(hints[e.Hint], e.Hint), "%s", e.Message)
}
