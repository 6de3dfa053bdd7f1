package control

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Hints of acts on actors.
const (
	HintStop    = "stop it instead"
	HintRestart = "restart it instead, or stop the node"
	HintStuck   = "look at what it has in hand; it comes to it when that has ended"
	HintAgain   = "restart it"
	HintOwn     = "have the program register it again"
)

// ActTimeout is how long an act on an actor waits for it.
const ActTimeout = 10 * time.Second

// actorVerbs are the acts on actors.
func actorVerbs(n *gamelan.Node) map[string]inspect.Verb {
	verb := func(do func(*gamelan.Inspection, context.Context, string) error) inspect.Verb {
		return inspect.Verb{Params: []string{"path"}, Do: func(ctx context.Context, v url.Values, _ []byte) (any, error) {
			path := v.Get("path")
			if path == "" {
				return nil, bad("name it with path", "no actor is named")
			}
			ctx, cancel := context.WithTimeout(ctx, ActTimeout)
			defer cancel()
			if err := do(n.Inspection(), ctx, path); err != nil {
				return nil, actError(path, err)
			}
			return struct {
				Actor string `json:"actor"` // as it was named
			}{path}, nil
		}}
	}
	return map[string]inspect.Verb{"restart": verb((*gamelan.Inspection).Restart), "stop": verb((*gamelan.Inspection).StopActor)}
}

// drain has the node make no new connections, or with off make them again, and says what it still works on.
func drain(n *gamelan.Node) inspect.Verb {
	return inspect.Verb{Params: []string{"off"}, Do: func(ctx context.Context, v url.Values, _ []byte) (any, error) {
		switch v.Get("off") {
		case "true":
			n.Undrain()
		case "", "false":
			n.Drain()
		default:
			return nil, bad("give true or false", "off cannot be %q", v.Get("off"))
		}
		return drainOf(ctx, n), nil
	}}
}

// drainOf says whether a node drains.
func drainOf(ctx context.Context, n *gamelan.Node) models.Drain {
	d := models.Drain{}
	if since, ok := n.Draining(); ok {
		d.Draining, d.Since = true, since
	}
	view := n.Inspection().Node(ctx)
	d.Connections, d.Calls, d.Bytes = view.Held, view.Calls, view.Credit.Used
	return d
}

// actError returns the API's error of an act on an actor.
func actError(path string, err error) error {
	e := &inspect.Error{Code: inspect.CodeFailed, Message: inspect.Escape(path) + ": " + strings.TrimPrefix(words.Sentence(err), "supervisor: "), Hint: inspect.HintActors}
	switch {
	case errors.Is(err, supervisor.ErrNoActor):
		e.Code = inspect.CodeNotFound
	case errors.Is(err, gamelan.ErrClosed):
		e.Code = inspect.CodeStopping
	case errors.Is(err, supervisor.ErrOnlyStops):
		e.Hint = HintStop
	case errors.Is(err, supervisor.ErrNeeded), errors.Is(err, supervisor.ErrTop):
		e.Hint = HintRestart
	case errors.Is(err, supervisor.ErrStopped):
		e.Hint = HintAgain
	case errors.Is(err, supervisor.ErrStaysFailed):
		e.Hint = HintOwn
	case errors.Is(err, context.DeadlineExceeded):
		e.Hint = HintStuck
	}
	return e
}
