package trunk

import (
	"context"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// TestPartsThatDoNotWork are refused before anything starts, each with its reason.
func TestPartsThatDoNotWork(t *testing.T) {
	newActor := func() actor.Actor { return nil }
	show := map[string]func(context.Context) any{"clocks": func(context.Context) any { return nil }}
	for name, test := range map[string]struct {
		parts []actors.Part
		want  string
	}{
		"one that works": {[]actors.Part{{
			Name: "clocks", Sections: show,
			Services: []supervisor.Spec{{Name: "clock", New: newActor, Drains: true}}, Actors: []supervisor.Spec{{Name: "store", New: newActor, Drains: true}, {Name: "other", New: newActor}},
			Stages: map[string]actors.Stage{"services/clock": actors.StopProtocols, "clocks/store": actors.StopStores},
		}}, ""},
		"actors that are attached": {[]actors.Part{{Name: "a", Attached: true, Stages: map[string]actors.Stage{"a": actors.StopSenders}}}, ""},
		"attached, undrained":      {[]actors.Part{{Name: "a", Attached: true}}, "the spec of a says Drains, and it has no stage"},
		"an actor without New":     {[]actors.Part{{Name: "a", Actors: []supervisor.Spec{{Name: "b"}}}}, `the spec of "b" has no New`},
		"a name that is too long":  {[]actors.Part{{Name: strings.Repeat("a", 51)}}, "a name is 1 to 50 characters"},
		"a section with a blank":   {[]actors.Part{{Name: "a", Sections: map[string]func(context.Context) any{"a b": nil}}}, `section "a b": a name is 1 to 50 characters`},
		"no name":                  {[]actors.Part{{}}, `part "": the name is used already, or empty`},
		"two of one name":          {[]actors.Part{{Name: "clocks"}, {Name: "clocks"}}, `part "clocks": the name is used already`},
		"the trunk's name":         {[]actors.Part{{Name: "conns"}}, `part "conns": the name is used already`},
		"two of one service":       {[]actors.Part{{Name: "a", Services: []supervisor.Spec{{Name: "rpc"}}}, {Name: "b", Services: []supervisor.Spec{{Name: "rpc"}}}}, `service "rpc"`},
		"the trunk's service":      {[]actors.Part{{Name: "a", Services: []supervisor.Spec{{Name: "plain"}}}}, `service "plain"`},
		"two of one section":       {[]actors.Part{{Name: "a", Sections: show}, {Name: "b", Sections: show}}, `section "clocks"`},
		"the node's section":       {[]actors.Part{{Name: "a", Sections: map[string]func(context.Context) any{"peers": nil}}}, `section "peers"`},
		"verbs of no section":      {[]actors.Part{{Name: "a", Sections: show, Verbs: map[string]map[string]inspect.Verb{"a": nil}}}, `verbs of "a", which is no section`},
		"a verb that does nothing": {[]actors.Part{{Name: "a", Sections: show, Verbs: map[string]map[string]inspect.Verb{"clocks": {"wind": {}}}}}, "the verb clocks wind needs either Do or Stream"},
		"two of one actor":         {[]actors.Part{{Name: "a", Actors: []supervisor.Spec{{Name: "b"}, {Name: "b"}}}}, `actor of part a "b"`},
		"no such stage":            {[]actors.Part{{Name: "a", Actors: []supervisor.Spec{{Name: "b", Drains: true}}, Stages: map[string]actors.Stage{"a/b": 17}}}, "a stage of the stop that there is not"},
		"a stage of nobody":        {[]actors.Part{{Name: "a", Stages: map[string]actors.Stage{"services/a": actors.StopProtocols}}}, `there is no actor at "services/a"`},
		"a stage too late":         {[]actors.Part{{Name: "a", Services: []supervisor.Spec{{Name: "a", Drains: true}}, Stages: map[string]actors.Stage{"services/a": actors.StopStores}}}, "services/a has stopped before its stage"},
		"a stage undrained":        {[]actors.Part{{Name: "a", Services: []supervisor.Spec{{Name: "a"}}, Stages: map[string]actors.Stage{"services/a": actors.StopProtocols}}}, "does not say Drains"},
		"drained in no stage":      {[]actors.Part{{Name: "a", Actors: []supervisor.Spec{{Name: "b", Drains: true}}}}, "the spec of a/b says Drains, and it has no stage"},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckParts(test.parts, []string{"node", "peers"})
			switch {
			case test.want == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
