package actors

import (
	"context"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// TestPartsThatDoNotWork are refused before anything starts, each with its reason.
func TestPartsThatDoNotWork(t *testing.T) {
	newActor := func() actor.Actor { return nil }
	show := map[string]func(context.Context) any{"clocks": func(context.Context) any { return nil }}
	for name, test := range map[string]struct {
		parts []Part
		want  string
	}{
		"one that works": {[]Part{{
			Name: "clocks", Sections: show,
			Services: []supervisor.Spec{{Name: "clock", New: newActor, Drains: true}}, Actors: []supervisor.Spec{{Name: "store", New: newActor, Drains: true}, {Name: "other", New: newActor}},
			Stages: map[string]Stage{"services/clock": StopProtocols, "clocks/store": StopStores},
		}}, ""},
		"actors that are attached": {[]Part{{Name: "a", Attached: true, Stages: map[string]Stage{"a": StopSenders}}}, ""},
		"attached, undrained":      {[]Part{{Name: "a", Attached: true}}, "the spec of a says Drains, and it has no stage"},
		"an actor without New":     {[]Part{{Name: "a", Actors: []supervisor.Spec{{Name: "b"}}}}, `the spec of "b" has no New`},
		"a name that is too long":  {[]Part{{Name: strings.Repeat("a", 51)}}, "a name is 1 to 50 characters"},
		"a section with a blank":   {[]Part{{Name: "a", Sections: map[string]func(context.Context) any{"a b": nil}}}, `section "a b": a name is 1 to 50 characters`},
		"no name":                  {[]Part{{}}, `part "": the name is used already, or empty`},
		"two of one name":          {[]Part{{Name: "clocks"}, {Name: "clocks"}}, `part "clocks": the name is used already`},
		"the trunk's name":         {[]Part{{Name: "conns"}}, `part "conns": the name is used already`},
		"two of one service":       {[]Part{{Name: "a", Services: []supervisor.Spec{{Name: "rpc"}}}, {Name: "b", Services: []supervisor.Spec{{Name: "rpc"}}}}, `service "rpc"`},
		"the trunk's service":      {[]Part{{Name: "a", Services: []supervisor.Spec{{Name: "plain"}}}}, `service "plain"`},
		"two of one section":       {[]Part{{Name: "a", Sections: show}, {Name: "b", Sections: show}}, `section "clocks"`},
		"the node's section":       {[]Part{{Name: "a", Sections: map[string]func(context.Context) any{"peers": nil}}}, `section "peers"`},
		"verbs of no section":      {[]Part{{Name: "a", Sections: show, Verbs: map[string]map[string]inspect.Verb{"a": nil}}}, `verbs of "a", which is no section`},
		"a verb that does nothing": {[]Part{{Name: "a", Sections: show, Verbs: map[string]map[string]inspect.Verb{"clocks": {"wind": {}}}}}, "the verb clocks wind needs either Do or Stream"},
		"two of one actor":         {[]Part{{Name: "a", Actors: []supervisor.Spec{{Name: "b"}, {Name: "b"}}}}, `actor of part a "b"`},
		"no such stage":            {[]Part{{Name: "a", Actors: []supervisor.Spec{{Name: "b", Drains: true}}, Stages: map[string]Stage{"a/b": 17}}}, "a stage of the stop that there is not"},
		"a stage of nobody":        {[]Part{{Name: "a", Stages: map[string]Stage{"services/a": StopProtocols}}}, `there is no actor at "services/a"`},
		"a stage too late":         {[]Part{{Name: "a", Services: []supervisor.Spec{{Name: "a", Drains: true}}, Stages: map[string]Stage{"services/a": StopStores}}}, "services/a has stopped before its stage"},
		"a stage undrained":        {[]Part{{Name: "a", Services: []supervisor.Spec{{Name: "a"}}, Stages: map[string]Stage{"services/a": StopProtocols}}}, "does not say Drains"},
		"drained in no stage":      {[]Part{{Name: "a", Actors: []supervisor.Spec{{Name: "b", Drains: true}}}}, "the spec of a/b says Drains, and it has no stage"},
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
