package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/phrases"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect/client"
)

// errQuiet ends a verb with exit code 1 after it has printed its errors.
var errQuiet = errors.New("gamelan: some of it failed")

// errInDoubt ends a verb with exit code 7 after it has printed which messages are in doubt.
var errInDoubt = errors.New("gamelan: some of it is in doubt")

// errWrongSettings ends a verb with exit code 2 after it has printed its errors.
var errWrongSettings = errors.New("gamelan: settings are wrong")

// fail prints err, if there is one, and returns its exit code.
func (a *app) fail(err error) int {
	switch {
	case err == nil:
		return failure.ExitOK
	case errors.Is(err, errQuiet):
		return failure.ExitFailed
	case errors.Is(err, errInDoubt):
		return failure.ExitInDoubt
	case errors.Is(err, errWrongSettings):
		return failure.ExitUsage
	}
	if p, ok := errors.AsType[daemonconfig.Problems](err); ok {
		return a.failSettings(p)
	}
	f := phrases.Of(err, a.dir, a.patience)
	if a.interrupted(err) && f.Kind != client.CodeInterrupted {
		f = failure.New(client.CodeInterrupted, "", "interrupted")
	}
	if a.JSON {
		b, _ := json.Marshal(map[string]any{"error": jsonError{f.Kind, render.Plain(f.Message), render.Plain(f.Hint)}})
		fmt.Fprintf(a.Err, "%s\n", b)
	} else {
		a.Complain("gamelan: " + a.Named(render.Plain(f.Error())))
	}
	return f.Code
}

// interrupted reports whether a verb has ended with err because the user has ended it.
func (a *app) interrupted(err error) bool {
	return errors.Is(err, context.Canceled) && a.ctx.Err() != nil
}

// unlessInterrupted returns the error of a verb that goes on until the user ends it: nil if the user has.
func (a *app) unlessInterrupted(err error) error {
	if a.interrupted(err) {
		return nil
	}
	return err
}

type jsonError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// failSettings prints the problems of the settings and returns the exit code of a usage
// mistake.
func (a *app) failSettings(p daemonconfig.Problems) int {
	if a.JSON {
		b, _ := json.Marshal(map[string]any{"error": struct {
			jsonError
			Problems daemonconfig.Problems `json:"problems"`
		}{jsonError{"config", p[0].Error(), "see gamelan config explain KEY"}, p}})
		fmt.Fprintf(a.Err, "%s\n", b)
		return failure.ExitUsage
	}
	for _, problem := range p {
		a.Complain(fmt.Sprintf("gamelan: %s", problem))
	}
	return failure.ExitUsage
}
