package gamelan_test

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// TestVerbs: a node offers the verbs of its parts, and those of the DHT say that there is none.
func TestVerbs(t *testing.T) {
	for _, with := range []bool{true, false} {
		n := start(t, gamelan.Config{NoDHT: !with}, nil)
		verbs := n.Inspection().Verbs()
		self := n.PublicKey().String()
		for _, c := range []struct {
			section, verb, query string
			code, want, hint     string
		}{
			{"network", "join", "", "", "", ""}, // its report says that nobody was there
			{"network", "sync", "", inspect.CodeFailed, "no other node is known", inspect.HintConnect},
			{"network", "discover", "key=" + self, inspect.CodeUnknownPeer, "that is this node itself", inspect.HintAdd},
			{"saf", "fetch", "", inspect.CodeFailed, "no connected peer", inspect.HintConnect},
			{"saf", "purge", "to=" + self[:8] + "00", inspect.CodeUnknownPeer, "is known", "give the public key of the receiver"},
			{"kad", "get", "client=main", inspect.CodeFailed, `no client "main"`, ""},
		} {
			v, err := url.ParseQuery(c.query)
			if err != nil {
				t.Fatal(err)
			}
			_, err = verbs[c.section][c.verb].Do(t.Context(), v, nil)
			e, ok := errors.AsType[*inspect.Error](err)
			if !with && c.section != "kad" {
				c.code, c.want, c.hint = inspect.CodeFailed, "this node has no DHT", inspect.HintNoDHT
			}
			if c.code == "" && err == nil {
				continue
			}
			if !ok || e.Code != c.code || !strings.Contains(e.Message, c.want) || c.hint != "" && e.Hint != c.hint {
				t.Errorf("with a DHT %v: %s %s: got %+v, want %s: %s, and %s", with, c.section, c.verb, err, c.code, c.want, c.hint)
			}
		}
		names := n.Inspection().Sections.Names()
		for section := range verbs {
			if !slices.Contains(names, section) {
				t.Errorf("got verbs of %q, want them of one of the sections %q", section, names)
			}
		}
		delete(verbs["saf"], "purge")
		if _, ok := n.Inspection().Verbs()["saf"]["purge"]; !ok {
			t.Error("the node has lost a verb that its user does not want to offer")
		}
	}
}
