// Package phrases turns errors of a node and of its client into failures, with the commands that help.
package phrases

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/control"
	"github.com/gamelan-p2p/gamelan/internal/actors/discoverypart"
	"github.com/gamelan-p2p/gamelan/internal/actors/kadpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/safpart"
	"github.com/gamelan-p2p/gamelan/internal/gate"
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
	inspect.HintListenHere:    "use gamelan listen on the machine of the node, or over https with the admin's token",
	inspect.HintDHTParameters: "see gamelan send --help",
	gate.HintToken:            "write the file of --token-file anew, with gamelan token on the machine of the node",
	gate.HintScope:            "take the admin's token: gamelan token, without --read-only, on the machine of the node",
	control.HintOther:         "give the key of another node, as gamelan id prints it there",
	control.HintReceiver:      "give a public key, a name that gamelan peers lists, or KEY::ADDRESS as gamelan id prints it",
	control.HintPing:          "see why with gamelan why PEER",
	control.HintInbox:         "look at gamelan status; what was not acknowledged stays on the disk",
	control.HintStop:          "stop it with gamelan actors stop",
	control.HintRestart:       "restart it with gamelan actors restart, or stop the node",
	control.HintAgain:         "restart it with gamelan actors restart",
	control.HintStuck:         "look at what it has in hand with gamelan why; it comes to it when that has ended",
	discoverypart.HintSearch:  api.SearchHint,
	safpart.HintStored:        `"gamelan saf" shows what the node stores`,
	kadpart.HintClient:        api.NoKadHint + "; gamelan kad status lists the clients",
	kadpart.HintClients:       "see gamelan kad status",
	kadpart.HintConnect:       api.KadConnectHint,
	kadpart.HintOwn:           "gamelan kad status --own lists the keys that it publishes",
	kadpart.HintSuperseded:    "read it with gamelan kad get, and publish again",
	kadpart.HintNoKad:         "start that node with gamelan node --kad (kad.enabled = true), and without --kad-client-only",
	kadpart.HintNetwork:       "give both nodes the same kad.network (--kad-network)",
}

// ofPeer are the hints that end with a peer, up to that.
var ofPeer = map[string]string{
	inspect.HintDials: "see what the node has tried with gamelan why ",
	inspect.HintUnban: "lift the ban with gamelan unban ",
	inspect.HintAdmit: "let it in with gamelan peers admit ",
	inspect.HintSeed:  "check that a seed runs and can be reached from here; see gamelan why ",
}

// Of returns err as a failure. d is the directory of the node that was asked; flag is the one with
// which a user gives it more time.
func Of(err error, d nodedir.Dir, flag string) *failure.Error {
	if f, ok := errors.AsType[*failure.Error](err); ok {
		return f
	}
	if e, ok := errors.AsType[*inspect.Error](err); ok {
		return ofNode(e)
	}
	if e, ok := errors.AsType[*client.Error](err); ok {
		return ofClient(e, d, flag)
	}
	if err == nil {
		return nil
	}
	return failure.As(err)
}

// Misaddressed reports whether the node says of a peer that was not reached that the address may be the wrong one.
func Misaddressed(err error) bool {
	e, ok := errors.AsType[*inspect.Error](err)
	if !ok {
		return false
	}
	cause := codes.Named(e.Cause)
	return cause != nil && cause.Misaddressed()
}

// ofNode returns an error of the API with a hint in commands.
func ofNode(e *inspect.Error) *failure.Error {
	hint := cmp.Or(hints[e.Hint], e.Hint)
	for begin, command := range ofPeer {
		if peer, ok := strings.CutPrefix(e.Hint, begin); ok {
			hint = command + peer
		}
	}
	return failure.New(e.Code, hint, "%s", e.Message)
}

// ofClient returns the failure for a node that has not answered.
func ofClient(e *client.Error, d nodedir.Dir, flag string) *failure.Error {
	const doubt = "messages without an outcome may or may not have arrived"
	if e.URL != "" {
		return ofRemote(e, flag, doubt)
	}
	switch e.Code {
	case client.CodeNotPermitted:
		return failure.Unreachable(e.Code, "run gamelan as its owner", "the node in %s belongs to another user", d.Path).Because(e)
	case client.CodeNotRunning, client.CodeReadOnly:
		if !d.Embedded() {
			return failure.Unreachable(client.CodeNotRunning, fmt.Sprintf("start one with %q", d.Command("node")), "no node is running in %s", d.Path).Because(e)
		}
		if _, err := os.Stat(d.Socket()); err == nil {
			return failure.New(client.CodeReadOnly, "have the program do it, or serve the verbs there with control.Serve", "a program runs the node in %s, and other processes can only inspect it", d.Path).Because(e)
		}
		return failure.Unreachable("no_inspector", "give its gamelan.Start the option gamelan.WithInspector()",
			"a program runs a node in %s without an inspector", d.Path).Because(e)
	case client.CodeToken:
		if errors.Is(e, inspect.ErrBadToken) {
			return failure.New(e.Code, "start the node again: it writes a new one", "%s is damaged", d.TokenFile()).Because(e)
		}
		return failure.As(nodedir.Unusable(d.TokenFile(), e.Err))
	case client.CodeSilent:
		hint := "see what it does with \"kill -QUIT PID\", which writes its stacks"
		if flag != "" {
			hint += ", or give it more time with " + flag
		}
		return failure.Unreachable(e.Code, hint, "the node in %s does not answer in time", d.Path).Because(e)
	case client.CodeForeign:
		return failure.New(e.Code, "check that gamelan and the node are of the same version", "the node answered %s", e.Err).Because(e)
	case client.CodeInterrupted:
		return interrupted(e, doubt)
	}
	hint := doubt
	if !e.Begun {
		hint = fmt.Sprintf("look at what it printed last, or start it again with %q", d.Command("node"))
	}
	return failure.Unreachable(e.Code, hint, "the node went away").Because(e)
}

// interrupted returns the failure of a request that the user has ended.
func interrupted(e *client.Error, doubt string) *failure.Error {
	hint := "the node had not answered"
	switch {
	case e.Begun:
		hint = doubt
	case e.Asked:
		hint = "the node may or may not have done it"
	}
	return failure.New(e.Code, hint, "interrupted")
}

// ofRemote is ofClient for a node that was asked over TCP.
func ofRemote(e *client.Error, flag, doubt string) *failure.Error {
	switch e.Code {
	case client.CodeNotRunning:
		return failure.Unreachable(e.Code, "see on its machine whether it runs, and what inspect.listen is: gamelan token writes its address", "nothing answers at %s: %s", e.URL, failure.Reason(e.Err)).Because(e)
	case client.CodeCertificate:
		if _, ok := errors.AsType[*client.CertificateError](e.Err); ok {
			return failure.Unreachable(e.Code, "ask its operator for the file that gamelan token writes now; somebody between may have answered in its place", "the node at %s has another certificate than the file of --token-file says", e.URL).Because(e)
		}
		return failure.Unreachable(e.Code, "take the file that gamelan token writes on the machine of the node: it has the fingerprint", "nobody vouches for the certificate of the node at %s", e.URL).Because(e)
	case client.CodeSilent:
		hint := "see on its machine what it does"
		if flag != "" {
			hint += ", or give it more time with " + flag
		}
		return failure.Unreachable(e.Code, hint, "the node at %s does not answer in time", e.URL).Because(e)
	case client.CodeForeign:
		if errors.Is(e.Err, client.ErrScheme) && strings.HasPrefix(e.URL, "http:") {
			return failure.New(e.Code, "give "+strings.Replace(e.URL, "http:", "https:", 1), "the node at %s answers over TLS alone", e.URL).Because(e)
		} else if errors.Is(e.Err, client.ErrScheme) {
			return failure.New(e.Code, "set inspect.tls = true on its machine, or give "+strings.Replace(e.URL, "https:", "http:", 1)+" there", "the node at %s answers without TLS", e.URL).Because(e)
		}
		return failure.New(e.Code, "check that a node of the same version answers there", "%s answered %s", e.URL, e.Err).Because(e)
	case client.CodeInterrupted:
		return interrupted(e, doubt)
	}
	hint := doubt
	if !e.Begun {
		hint = "try it again; see on its machine whether it runs, and whether inspect.listen there has this port"
	}
	return failure.Unreachable(e.Code, hint, "the node at %s went away", e.URL).Because(e)
}
