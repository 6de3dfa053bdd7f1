package render

import (
	"fmt"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// Actor is the output of gamelan why for an actor.
type Actor struct {
	inspect.Actor
	Stacks []inspect.Goroutines `json:"stacks"`
}

// ShowActor writes an actor's state, the message in hand and its tasks. With stacks it writes
// those of its goroutines, too. The stack of its last failure is shown if it has no goroutine.
func ShowActor(o *Output, a Actor, stacks bool, failure *inspect.Stack) error {
	if o.JSON {
		return o.PrintJSON(a)
	}
	_, err := fmt.Fprint(o.Out, o.wrap(o.actorText(a, stacks, failure), sentenceIndent))
	if n := len(a.Stacks); err == nil && n > 0 && !stacks {
		o.Note("See the stacks of its goroutines with \"%s\".", o.Command("why --stacks "+o.ActorNamed(a.ID)))
	}
	return err
}

func (o *Output) actorText(w Actor, stacks bool, failed *inspect.Stack) string {
	var b strings.Builder
	line := func(format string, args ...any) {
		b.WriteString(inspect.Escape(fmt.Sprintf(format, args...)) + "\n")
	}
	age := func(ms int64) time.Duration { return (time.Duration(ms) * time.Millisecond).Round(time.Millisecond) }
	line("%s is %s.", o.ActorNamed(w.ID), w.State)
	if w.Current != nil {
		line("In progress for %s: %s.", age(w.Current.AgeMS), w.Current.MessageType)
	}
	line("Waiting: %s; handled: %s; restarts: %d.", inspect.Count(uint64(w.Mailbox.Depth), "message"), inspect.Number(w.Processed), w.Restarts)
	for _, t := range w.Tasks {
		line("Task %s for %s.", o.Named(t.Name), age(t.AgeMS))
	}
	if w.LastFailure != nil {
		where := ""
		if w.LastFailure.Where != "" {
			where = " at " + w.LastFailure.Where
		}
		line("Failed last at %s: %s%s.", at(w.LastFailure.At), o.Named(w.LastFailure.Reason), where)
	}
	shown := w.Stacks
	if !stacks {
		shown = nil
	}
	for _, g := range shown {
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
