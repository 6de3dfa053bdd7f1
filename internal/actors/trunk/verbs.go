package trunk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Host is what the verbs of parts may use of the whole node, beside the [Trunk].
type Host struct {
	// Again calls f again while f fails with [supervisor.ErrNoActor], until ctx ends or the node
	// stops: an actor that is restarted exists again soon.
	Again func(ctx context.Context, f func() error) error
	// Connect connects to a peer given as for FindPeer, or as KEY::ADDRESS. With keep, the address is
	// stored even if it does not work. Errors are of type [*inspect.Error]; with the code failed,
	// the peer was found and the dial has failed.
	Connect func(ctx context.Context, peer string, keep bool) (*actors.ConnRef, error)
	// Peer converts the record of a peer to the form of the API.
	Peer func(peerstore.Peer) models.Peer
}

// AskAgain is [supervisor.Ask] for an actor whose path is fixed; see Host.Again.
func AskAgain[R any](ctx context.Context, h *Host, sys *actor.ActorSystem, pid *actor.PID, msg any) (r R, err error) {
	err = h.Again(ctx, func() error {
		r, err = supervisor.Ask[R](ctx, sys, pid, msg)
		return err
	})
	return r, err
}

// VerbError returns the error of a verb that was not carried out, with the innermost cause of
// err. Its hint is what follows "; " in the cause, or the one given.
func VerbError(err error, hint string) error {
	if errors.Is(err, actors.ErrNoDHT) {
		return &inspect.Error{Code: inspect.CodeFailed, Message: "this node has no DHT", Hint: inspect.HintNoDHT}
	}
	text, own, _ := strings.Cut(words.Cause(err), "; ")
	return &inspect.Error{Code: inspect.CodeFailed, Message: text, Hint: cmp.Or(own, hint)}
}

// NotFound returns the error of the API for a text that stands for no peer.
func NotFound(err error, hint string) error {
	if e, ok := errors.AsType[*inspect.Error](err); ok {
		return e
	}
	return &inspect.Error{Code: inspect.CodeUnknownPeer, Message: words.Sentence(err), Hint: hint}
}

// NotConnected returns the error of the API for a dial of a peer, as a person has written it.
func NotConnected(err error, peer string) error {
	hint := inspect.HintDials + peer
	if strings.Contains(peer, "::") {
		hint = inspect.HintGiven
	}
	if refused, ok := errors.AsType[*actors.NotAdmittedError](err); ok {
		if refused.Err != nil { // the program has its reason
			return &inspect.Error{Code: inspect.CodeFailed, Message: words.Sentence(err)}
		}
		return &inspect.Error{Code: inspect.CodeFailed, Message: "the peer is not admitted: this node has connections only with listed peers", Hint: inspect.HintAdmit + refused.Key.String()}
	}
	if errors.Is(err, actors.ErrDraining) {
		return &inspect.Error{Code: inspect.CodeFailed, Message: words.Sentence(err), Hint: codes.Draining.Step, Cause: codes.Draining.Name}
	}
	e := &inspect.Error{Code: inspect.CodeFailed, Message: words.Sentence(err), Hint: hint}
	if cause := CauseOf(err); cause != nil {
		e.Cause = cause.Name
		switch given := hint == inspect.HintGiven; {
		case given && !cause.Misaddressed(), cause == codes.DialSecret, cause == codes.DialProhibited, cause == codes.DialProxy, cause == codes.DialNoAnswer:
			e.Hint = "" // the error says what to do
		}
	}
	return e
}

// NotKnownError reports a text that stands for no peer that the node knows.
type NotKnownError struct{ Text string }

// Error names the text.
func (e *NotKnownError) Error() string { return fmt.Sprintf("actors: no peer %s is known", e.Text) }

// Is makes the error match [actors.ErrUnknownPeer].
func (e *NotKnownError) Is(target error) bool { return target == actors.ErrUnknownPeer }

// FindPeer returns the peer that a person means by a node id, a public key, or the first digits of
// one. Peers with a record are found, and by a whole id or key those with a connection. The error
// is a [*NotKnownError], [actors.ErrSelf], or an [*inspect.Error] that names several peers.
func (t Trunk) FindPeer(text string) (identity.NodeID, error) {
	id, err := identity.ParseNodeID(text)
	if key, notKey := identity.ParsePublicKey(text); notKey == nil {
		id, err = key.NodeID(), nil
	}
	if err == nil {
		_, known := t.Store().Get(id)
		_, connected := t.Connection(id)
		switch {
		case id == t.Secret().NodeID():
			return id, actors.ErrSelf
		case !known && !connected:
			return id, &NotKnownError{text}
		}
		return id, nil
	}
	if !inspect.IsPrefix(text) {
		return id, &NotKnownError{text}
	}
	switch _, found := inspect.FindPeer(text, peerstore.Texts(t.Store().All())); len(found) {
	case 0:
		return id, &NotKnownError{text}
	case 1:
		return identity.ParseNodeID(found[0])
	default:
		return id, inspect.Ambiguous(text, found)
	}
}
