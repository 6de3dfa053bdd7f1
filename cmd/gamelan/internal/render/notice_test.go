package render

import (
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// TestNoticeInCommands: a step is said in commands where there are some, and in the node's words
// otherwise.
func TestNoticeInCommands(t *testing.T) {
	for name, c := range map[string]struct {
		n    models.Notice
		want string
	}{
		"with a command":        {codes.InboxFull.Notice("the inbox is full"), "the inbox is full; acknowledge some, as gamelan listen does"},
		"with an argument":      {codes.ActorPanicked.Notice("actor a panicked", "a"), "actor a panicked; look at gamelan why a"},
		"without its value":     {codes.OwnStopped.Notice("your service s has stopped"), "your service s has stopped; register it again or start the node again"},
		"without a command":     {codes.SharedIdentity.Notice("two nodes"), "two nodes; give each node a data directory of its own"},
		"without a step":        {codes.LogFailed.Notice("no log"), "no log"},
		"step of the notice":    {models.Notice{Code: codes.LogFailed.Name, What: "no log", Step: "make room"}, "no log; make room"},
		"code of a user":        {models.Notice{Code: "cups", What: "no cups", Step: "wash some"}, "no cups; wash some"},
		"one that says no more": {models.Notice{Code: codes.InboxFull.Name, What: "full"}, "full"},
	} {
		if got := Notice(c.n); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	for name := range steps {
		c := codes.Named(name)
		if c == nil || c.Step == "" {
			t.Errorf("there are commands for %s, which is no code with a step", name)
			continue
		}
		for word := range strings.FieldsSeq(steps[name]) {
			if arg, ok := strings.CutPrefix(word, "{"); ok && !strings.Contains(strings.Join(c.Args, " "), strings.Trim(arg, "},;")) {
				t.Errorf("%s: %q is no argument of it", name, word)
			}
		}
	}
}
