package trunk

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// stages is how many stages a stop has.
const stages = actors.StopStores + 1

// trunkStages are the actors of the trunk that drain and stop in each stage.
var trunkStages = [stages]supervisor.Phase{
	actors.StopIntake:      {Drain: []string{"listeners", "dialer"}, Stop: []string{"listeners", "dialer"}},
	actors.StopMessages:    {Drain: []string{"services/messaging", "services/plain", "services/with-ids"}},
	actors.StopProtocols:   {Drain: []string{"extensions"}, Stop: []string{"services", "extensions"}},
	actors.StopConnections: {Drain: []string{"conns"}, Stop: []string{"conns"}},
	actors.StopStores:      {Drain: []string{"peers"}, Stop: []string{"connectivity", "peers"}},
}

// CheckParts returns an error if the parts of a node cannot work: a part, service or
// section has no name or the name of another, verbs are of no section of their part or do
// nothing, or a stage names an actor that does not exist, does not drain, or has stopped before. sections are the names of the sections
// that the node has already.
func CheckParts(parts []actors.Part, sections []string) error {
	var wrong []error
	names := make(map[string]bool)
	once := func(kind, name string) {
		if name == "" || names[kind+" "+name] {
			wrong = append(wrong, fmt.Errorf("actors: %s %q: the name is used already, or empty", kind, name))
		}
		names[kind+" "+name] = true
	}
	for _, name := range []string{"peers", "conns", "dialer", "connectivity", "services", "extensions", "liveness", "listeners"} {
		once("part", name)
	}
	for _, name := range []string{"messaging", "plain"} {
		once("service", name)
	}
	for _, name := range sections {
		once("section", name)
	}
	for _, p := range parts {
		once("part", p.Name)
		if !supervisor.ValidName(p.Name) || len(p.Name) > users.MaxActorName {
			wrong = append(wrong, fmt.Errorf("actors: part %q: a name is 1 to 50 characters a-z 0-9 . _ -", p.Name))
		}
		for name := range p.Sections {
			once("section", name)
			if !supervisor.ValidName(name) || len(name) > users.MaxActorName {
				wrong = append(wrong, fmt.Errorf("actors: part %s: section %q: a name is 1 to 50 characters a-z 0-9 . _ -", p.Name, name))
			}
		}
		for _, s := range slices.Concat(p.Services, p.Actors) {
			if s.New == nil {
				wrong = append(wrong, fmt.Errorf("actors: part %s: the spec of %q has no New", p.Name, s.Name))
			}
		}
		for section, verbs := range p.Verbs {
			if p.Sections[section] == nil {
				wrong = append(wrong, fmt.Errorf("actors: part %s: there are verbs of %q, which is no section of the part", p.Name, section))
			}
			for name, v := range verbs {
				if (v.Do == nil) == (v.Stream == nil) {
					wrong = append(wrong, fmt.Errorf("actors: part %s: the verb %s %s needs either Do or Stream", p.Name, section, name))
				}
			}
		}
		drains := make(map[string]bool)
		for _, s := range p.Services {
			once("service", s.Name)
			drains["services/"+s.Name] = s.Drains
		}
		for _, s := range p.Actors {
			once("actor of part "+p.Name, s.Name)
			drains[p.Name+"/"+s.Name] = s.Drains
		}
		if p.Attached {
			drains[p.Name] = true
		}
		for path, stage := range p.Stages {
			switch does, ok := drains[path]; {
			case !ok:
				wrong = append(wrong, fmt.Errorf("actors: part %s: there is no actor at %q, which has a stage of the stop", p.Name, path))
			case !does:
				wrong = append(wrong, fmt.Errorf("actors: part %s: %s has a stage of the stop, and its spec does not say Drains", p.Name, path))
			case stage < 0 || stage >= stages:
				wrong = append(wrong, fmt.Errorf("actors: part %s: %s has a stage of the stop that there is not: %d", p.Name, path, stage))
			case stage > actors.StopProtocols && strings.HasPrefix(path, "services/"):
				wrong = append(wrong, fmt.Errorf("actors: part %s: %s has stopped before its stage: services stop in StopProtocols", p.Name, path))
			}
		}
		for path, does := range drains {
			if _, ok := p.Stages[path]; does && !ok {
				wrong = append(wrong, fmt.Errorf("actors: part %s: the spec of %s says Drains, and it has no stage of the stop", p.Name, path))
			}
		}
	}
	return errors.Join(wrong...)
}

// grouped reports whether the part has a group in the tree.
func grouped(p *actors.Part) bool { return len(p.Actors) > 0 || p.Attached }

// Phases returns the order in which a node with these parts stops.
func Phases(parts []actors.Part) []supervisor.Phase {
	phases := make([]supervisor.Phase, stages)
	for i, p := range trunkStages {
		phases[i] = supervisor.Phase{Drain: slices.Clone(p.Drain), Stop: slices.Clone(p.Stop)}
	}
	for _, p := range parts {
		for _, path := range slices.Sorted(maps.Keys(p.Stages)) {
			phase := &phases[p.Stages[path]]
			phase.Drain = append(phase.Drain, path)
		}
		if grouped(&p) {
			stores := &phases[actors.StopStores]
			stores.Stop = append([]string{p.Name}, stores.Stop...)
		}
	}
	return phases
}
