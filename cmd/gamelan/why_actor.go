package main

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// whyActorJSON is what gamelan why says of an actor.
type whyActorJSON struct {
	inspect.Actor
	Stacks []inspect.Goroutines `json:"stacks"`
}

// whyActor shows what an actor does: its state, the message in hand, its tasks,
// and the stacks of its goroutines.
func whyActor(a *app, path string) error {
	c := a.client()
	var w whyActorJSON
	at := "/v1/actors/" + (&url.URL{Path: strings.Trim(path, "/")}).EscapedPath()
	if err := c.getJSON(a.ctx, at, &w.Actor); err != nil {
		return err
	}
	var s inspect.Stacks
	if err := c.getJSON(a.ctx, at+"/stacks", &s); err != nil {
		return err
	}
	w.Stacks = s.Goroutines
	if a.json {
		return a.printJSON(w)
	}
	fmt.Fprint(a.out, whyActorText(w, s.LastFailure))
	return nil
}

func whyActorText(w whyActorJSON, failed *inspect.Stack) string {
	var b strings.Builder
	line := func(format string, args ...any) {
		b.WriteString(inspect.Escape(fmt.Sprintf(format, args...)) + "\n")
	}
	age := func(ms int64) time.Duration { return (time.Duration(ms) * time.Millisecond).Round(time.Millisecond) }
	line("%s is %s.", w.ID, w.State)
	if w.Current != nil {
		line("In hand for %s: %s.", age(w.Current.AgeMS), w.Current.MessageType)
	}
	line("Waiting: %s; handled: %s; restarts: %d.", inspect.Count(uint64(w.Mailbox.Depth), "message"), inspect.Number(w.Processed), w.Restarts)
	for _, t := range w.Tasks {
		line("Task %s for %s.", t.Name, age(t.AgeMS))
	}
	if w.LastFailure != nil {
		line("Failed last at %s: %s.", w.LastFailure.At.Local().Format(time.TimeOnly), w.LastFailure.Reason)
	}
	for _, g := range w.Stacks {
		name := "The actor itself"
		if task := g.Labels["task"]; task != "" {
			name = "Task " + task
		}
		line("%s is in", name)
		for _, f := range g.Stack {
			line("    %s", f)
		}
	}
	if failed != nil && len(w.Stacks) == 0 {
		line("The stack of the last failure:")
		for _, f := range failed.Stack {
			line("    %s", strings.ReplaceAll(f, "\t", "  "))
		}
	}
	return b.String()
}
