package ticket

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemon"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/disguise"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/storypart"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// sections are those of the library. What those of a program hold is not known.
var sections = []struct{ name, about string }{
	{"node", "identity, state and its cause, warnings, limits"},
	{"admission", "with whom the node has connections, and who was refused"},
	{"calls", "calls made and served, by their results"},
	{"dht", "messages over the DHT: received, sent, relayed"},
	{"inspect", "how the API is reached over TCP, and what was refused there"},
	{"inbox", "received messages that are not acknowledged: their number and size"},
	{"kad", "the key-value DHT: clients, lookups, records"},
	{"kad-own", "the keys that this node publishes"},
	{"kad-peers", "contacts in the key-value DHT"},
	{"network", "how the node finds its network: seeds, searches, neighbours"},
	{"outcomes", "messages that are to be kept or handled, and wait"},
	{"saf", "messages stored for others, and fetched from others"},
	{"tor", "the onion service"},
	{"traffic", "messages and bytes in and out, dials, ends of connections"},
}

// ofNode gathers what the running node tells.
func (g *gatherer) ofNode(ctx context.Context) {
	health, err := g.node.Health(ctx)
	got(g, "health.json", "whether the node works, and what is wrong", health, err)
	settings, err := g.node.Settings(ctx)
	switch {
	case err == nil:
		g.hide.TrustMarked() // a daemon says what is wrong, and no program
	case client.CodeOf(err) == inspect.CodeNotFound: // of a program
		err = nil
		settings = nil
		if !g.Elsewhere {
			settings = daemon.Settings(g.Loaded, nil)
		}
	}
	got(g, "settings.json", "every setting, and where it comes from", g.settings(settings), err)
	there, err := g.node.Sections(ctx)
	if err != nil {
		g.miss("sections", err)
	}
	for _, s := range sections {
		if !slices.Contains(there, s.name) {
			continue
		}
		var v json.RawMessage
		err := g.node.Section(ctx, s.name, &v)
		got(g, "sections/"+s.name+".json", s.about, v, err)
	}
	if g.peers != nil {
		g.add("peers.json", "the peers that the node knows, with their addresses, and how dials of these went", first(g, "peers.json", g.peers))
	}
	open, err := g.node.Connections(ctx, false)
	got(g, "connections.json", "open connections", first(g, "connections.json", open), err)
	closed, err := g.node.Connections(ctx, true)
	got(g, "closed.json", "the last connections that have ended, and why", first(g, "closed.json", closed), err)
	events, err := g.node.Events(ctx, inspect.EventQuery{Limit: maxList})
	got(g, "events.json", "what has happened, the oldest first", g.events(events.Events), err)
	g.actors(ctx)
	letters, err := g.node.DeadLetters(ctx)
	got(g, "deadletters.json", "the last messages that have reached no actor, without their content", first(g, "deadletters.json", letters), err)
	sent, _, err := g.node.Ledger(ctx, client.Sent{})
	got(g, "ledger.json", "the last messages sent over the DHT, without their content", first(g, "ledger.json", sent), err)
	if g.Doctor > 0 {
		g.doctor(ctx)
	}
}

// first returns the first entries of a list, and notes how many are left out.
func first[T any](g *gatherer, name string, list []T) []T {
	if more := len(list) - maxList; more > 0 {
		g.miss(name, fmt.Errorf("%d of %d entries are left out", more, len(list)))
		list = list[:maxList]
	}
	return append([]T{}, list...)
}

// actors gathers the actors, and the stacks of those that have failed.
func (g *gatherer) actors(ctx context.Context) {
	all, err := g.node.Actors(ctx)
	if err != nil {
		g.miss("actors.json", err)
		return
	}
	all = first(g, "actors.json", all)
	for i := range all {
		all[i].Line, all[i].Detail = "", nil
		if f := all[i].LastFailure; f != nil {
			f.Reason = disguise.Panic(f.Reason)
		}
	}
	g.add("actors.json", "every actor: its state, its mailbox, its restarts", all)
	list, err := g.node.Failures(ctx)
	if err != nil {
		g.miss("failures.json", err)
		return
	}
	failures := []failure{}
	stacks := map[string]bool{}
	for _, f := range first(g, "failures.json", list) {
		f.Reason = disguise.Panic(f.Reason)
		x := failure{Failure: f}
		if !stacks[f.StackID] { // one of each is enough
			stacks[f.StackID] = true
			if s, err := g.node.Stacks(ctx, f.Actor); err == nil && s.LastFailure != nil {
				x.Stack = disguise.Stack(s.LastFailure.Stack)
			}
		}
		failures = append(failures, x)
	}
	g.add("failures.json", "the last failure of each actor, with its stack", failures)
}

// failure is an element of failures.json.
type failure struct {
	inspect.Failure
	Stack []string `json:"stack,omitempty"`
}

// doctor has the node examine itself.
func (g *gatherer) doctor(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, g.Doctor)
	defer cancel()
	x := examination{Steps: []models.Checked{}}
	end, err := g.node.Examine(ctx, "", func(s *models.Checked) error {
		x.Steps = append(x.Steps, *s)
		return nil
	})
	switch {
	case err == nil:
		x.Diagnosis = &end
	case ctx.Err() != nil:
		err = fmt.Errorf("it was given up after %s; --doctor gives it more time", g.Doctor)
		fallthrough
	default:
		x.Ended = err.Error()
		g.miss("the end of doctor.json", err)
	}
	g.add("doctor.json", "an examination of the node, step by step, with one cause", x)
}

// examination is the content of doctor.json.
type examination struct {
	Steps     []models.Checked  `json:"steps"`
	Diagnosis *models.Diagnosis `json:"diagnosis,omitempty"` // nil: it has not come to one
	Ended     string            `json:"ended,omitempty"`     // why it has not
}

// ofDirectory gathers what the data directory of a node that does not run holds.
func (g *gatherer) ofDirectory() {
	g.add("settings.json", "every setting that a node would have, and where it comes from", g.settings(daemon.Settings(g.Loaded, nil)))
	if g.Dir.Used() {
		g.miss("store.json, events.json", fmt.Errorf("a process has the store open, and does not answer"))
		return
	}
	if err := g.Dir.Check(); err != nil {
		g.miss("the data directory", err)
	}
	store, err := gamelan.CheckStore(g.Dir.Path)
	got(g, "store.json", "what the store holds, and whether it is damaged: nothing of it was changed", store, err)
	if err != nil {
		return
	}
	var r storypart.Reader
	_, err = kv.Check(filepath.Join(g.Dir.Path, kv.StoreDir), r.Visit)
	got(g, "events.json", "what has happened, the oldest first, as it stands on the disk", g.events(r.Events()), err)
}

// events returns events without the words of a program.
func (g *gatherer) events(list []models.Event) []models.Event {
	for i := range list {
		e := &list[i]
		if e.Type != models.ActorFailed {
			continue
		}
		e.What = disguise.LeftOut(e.What)
		if actor := e.Data["actor"]; actor != "" {
			e.What = actor + " has failed: " + e.What
		}
	}
	return list
}

// setting is a setting in settings.json.
type setting struct {
	Key     string `json:"key"`
	Set     any    `json:"set"`
	Text    string `json:"in_words,omitempty"` // where there is no fixed value
	Origin  string `json:"origin"`
	From    string `json:"from,omitempty"`
	Waiting bool   `json:"waiting,omitempty"`
}

// settings returns settings without what names the machine or the network.
func (g *gatherer) settings(list []models.Setting) any {
	g.namesIn(list)
	all := []setting{}
	for _, s := range list {
		x := setting{Key: s.Key, Set: s.Value, Origin: s.Origin, Waiting: s.Waiting}
		if s.Value == nil {
			x.Text = s.Text
		}
		if s.Origin != "default" {
			x.From = s.From
		}
		if s.Key == "node.network" && strings.ContainsAny(fmt.Sprint(s.Value), "./\\") {
			x.Set = "(the file of a private network)"
		}
		all = append(all, x)
	}
	problems := []string{}
	for _, p := range g.Loaded.Problems {
		if g.Elsewhere {
			break // they are this machine's
		}
		key := ""
		if _, ok := daemonconfig.Table.Find(p.Key); ok { // else it is a word of the user's
			key = p.Key + ": "
		}
		problems = append(problems, p.Where()+": "+key+"expected "+p.Expected)
	}
	return struct {
		Settings []setting `json:"settings"`
		Wrong    []string  `json:"wrong"` // in the files and variables that the command has read
	}{all, problems}
}
