package inspect

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/supervisor"
)

// FromRoot returns a Source of a running tree. Actors in it that were spawned without the
// supervisor are shown by name only, as unsupervised: FromRoot finds them in the process
// registry of sys, which may be nil.
func FromRoot(r *supervisor.Root, sys *actor.ActorSystem) Source {
	return &registry{r, sys}
}

type registry struct {
	root *supervisor.Root
	sys  *actor.ActorSystem
}

func (r *registry) Actors() []Actor {
	now := r.root.Now()
	infos := r.root.Snapshot()
	actors := make([]Actor, 0, len(infos))
	for i := range infos {
		actors = append(actors, actorOf(&infos[i], now, r.root.OnWall))
	}
	return append(actors, r.unsupervised(actors)...)
}

func (r *registry) Ask(ctx context.Context, path string) (Detail, error) {
	d, err := r.root.Inspect(ctx, path)
	return Detail{d.Line, d.Value}, err
}

// DeadLetters implements [DeadLetterSource], with those to actors of this tree.
func (r *registry) DeadLetters() []DeadLetter {
	all := []DeadLetter{}
	if r.sys == nil {
		return all
	}
	tree, _, _ := strings.Cut(r.root.PID().Id, "/")
	for _, l := range slices.Backward(supervisor.DeadLetters(r.sys)) {
		if strings.HasPrefix(l.Target, tree+"/") {
			all = append(all, DeadLetter{At: r.root.OnWall(l.At), Target: l.Target, Sender: l.Sender, MessageType: l.Message, Cause: "no_such_actor"})
		}
	}
	return all
}

// unsupervised returns the processes below an actor of ours that are not in ours
// themselves.
func (r *registry) unsupervised(ours []Actor) []Actor {
	if r.sys == nil || len(ours) == 0 {
		return nil
	}
	known := make(map[string]bool, len(ours))
	for i := range ours {
		known[ours[i].ID] = true
	}
	var found []Actor
	for _, bucket := range r.sys.ProcessRegistry.LocalPIDs.LocalPIDs {
		for _, id := range bucket.Keys() {
			slash := strings.LastIndexByte(id, '/')
			if slash < 0 || known[id] || !below(known, id) {
				continue
			}
			found = append(found, Actor{ID: id, Parent: id[:slash], Name: id[slash+1:], State: Unsupervised})
		}
	}
	return sortByID(found)
}

// below reports whether some actor in known is an ancestor of id.
func below(known map[string]bool, id string) bool {
	for {
		slash := strings.LastIndexByte(id, '/')
		if slash < 0 {
			return false
		}
		if id = id[:slash]; known[id] {
			return true
		}
	}
}

// actorOf returns the description of an actor. Its ages are measured; its times are those
// of the system's clock, to which onWall converts.
func actorOf(i *supervisor.Info, now time.Time, onWall func(time.Time) time.Time) Actor {
	a := Actor{
		ID: i.Path, Parent: i.Parent, Name: i.Name, Kind: i.Kind, Type: i.Type, State: State(i.State),
		Incarnation: i.Incarnation, StartedAt: onWall(i.StartedAt),
		Restarts: i.Restarts, RestartsWindow: i.RestartsWindow, NextRestartAt: onWall(i.NextRestart), Policy: i.Policy,
		Mailbox: Mailbox{
			Depth: i.Depth, SystemDepth: i.SystemDepth, HighWater: i.HighWater, AlarmDepth: i.Alarm,
			OldestAgeMS: i.OldestAge.Milliseconds(),
		},
		Watchers: len(i.Watchers), WatchedBy: i.Watchers, Processed: i.Handled, BusyTotal: int64(i.BusyTime), Contained: i.Contained, Missed: i.EventsMissed, Goroutines: i.Tasks,
	}
	if i.OnPanic != supervisor.Supervised {
		a.OnPanic = i.OnPanic.String()
	}
	for _, t := range i.Running {
		a.Tasks = append(a.Tasks, Task{t.Name, t.Age.Milliseconds()})
	}
	if i.Message != "" {
		a.Current = &Current{MessageType: i.Message, Since: onWall(i.Since), AgeMS: max(0, now.Sub(i.Since).Milliseconds())}
	}
	if f := i.LastFailure; f != nil {
		a.LastFailure = &LastFailure{At: onWall(i.LastFailureAt), Reason: fmt.Sprint(f.Value), MessageType: f.Msg, Where: f.Where(), StackID: f.StackID()}
		a.stack = f.Stack
	}
	return a
}
