package main

import (
	"context"
	"fmt"
)

type actorsCmd struct {
	Restart actorsRestartCmd `cmd:"" help:"Start an actor anew, with those below it."`
	Stop    actorsStopCmd    `cmd:"" help:"Stop a connection, a session, or an actor of the program."`
}

type actorsRestartCmd struct {
	Path string `arg:"" help:"The actor, as gamelan tree shows it, or the end of its path."`
}

// Help returns the text of gamelan actors restart --help below the flags.
func (*actorsRestartCmd) Help() string {
	return "The actor restarts after the message that it has in hand. Messages that wait for it stay. One that has failed and waits to be tried again is tried now. docs/tree.md says what each actor loses. A connection or a session is never started again: stop it."
}

// Run restarts an actor.
func (c *actorsRestartCmd) Run(a *app) error {
	return a.act(c.Path, "restarted", a.client().RestartActor)
}

type actorsStopCmd struct {
	Path string `arg:"" help:"The actor, as gamelan tree shows it, or the end of its path."`
}

// Help returns the text of gamelan actors stop --help below the flags.
func (*actorsStopCmd) Help() string {
	return "The node starts another connection or session when it needs one. An actor of the program stays stopped until the program registers it again. Without any other actor the node would not work."
}

// Run stops an actor.
func (c *actorsStopCmd) Run(a *app) error { return a.act(c.Path, "stopped", a.client().StopActor) }

// act does something to an actor, and says so.
func (a *app) act(path, what string, do func(context.Context, string) error) error {
	path = a.actorPath(path)
	if err := do(a.ctx, path); err != nil {
		return err
	}
	if a.JSON {
		return a.PrintJSON(struct {
			Actor string `json:"actor"`
			Done  string `json:"done"`
		}{path, what})
	}
	_, err := fmt.Fprintf(a.Out, "%s was %s\n", path, what)
	return err
}
