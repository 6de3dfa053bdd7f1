// Package control lets the program that runs a node offer the API by which others command it: the
// command gamelan from the same machine, or package inspect/client. [Serve] does all of it. [Actions] and
// [Messages] are for a program that serves the handlers of package inspect itself.
package control

import (
	"fmt"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/inspect"
)

const (
	// TextType is the type of a message over the DHT for which the client gives none. The meaning
	// of its bytes is up to both sides, as in a plain message. Types above 1,000 are not assigned.
	TextType = 1225
	// MaxDHTBody is the greatest length of a message over the DHT, in bytes: its envelope,
	// encrypted and padded, may have 8 MiB.
	MaxDHTBody = 8<<20 - 1<<10
)

// Hints of this package's errors, beside those of package inspect.
const (
	HintOther    = "give the key of another node"
	HintReceiver = "give a public key, or KEY::ADDRESS"
	HintPing     = "see the connection attempts to it"
	HintInbox    = "look at the node; what was not acknowledged stays on the disk"
	HintType     = "choose another one: a node bans for a wrong ping"
)

// Options are what a node itself cannot do. Each may be nil; see the same fields of
// [inspect.Actions].
type Options struct {
	Shutdown func()
	Stopping func() bool
	Admin    func(event string)
}

// Actions returns all that a client can make the node do: send messages, act on peers, the verbs of
// the node's parts, and acknowledge messages of its inbox.
func Actions(n *gamelan.Node, o Options) inspect.Actions {
	tell := func(event string) {
		n.Inspection().Acted(event)
		if o.Admin != nil {
			o.Admin(event)
		}
	}
	a := inspect.Actions{
		Sender: sender{n}, DHT: newDHTSender(n), AddPeer: addPeer(n), ImportPeers: importPeers(n), Peers: peerActions(n),
		Verbs: n.Inspection().Verbs(), Shutdown: o.Shutdown, Stopping: o.Stopping, Admin: tell,
	}
	a.Verbs["actors"] = actorVerbs(n)
	a.Verbs["node"] = map[string]inspect.Verb{"drain": drain(n)}
	if n.Inbox() != nil {
		a.Acknowledge, a.HandBack = acknowledge(n), n.Inbox().HandBack
	}
	return a
}

// bad returns the error of a request that cannot be carried out as it is.
func bad(hint, format string, args ...any) error {
	return &inspect.Error{Code: inspect.CodeBadQuery, Message: fmt.Sprintf(format, args...), Hint: hint}
}
