package script

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Run runs the commands of testdata/NAME.txt. With -rewrite the expected lines are written.
func Run(t *testing.T, name string, command func(*testing.T, *datadriven.TestData) string) {
	t.Helper()
	datadriven.RunTest(t, "testdata/"+name+".txt", command)
}

// Text returns the value of KEY=VALUE, or or without one. Of several the first counts.
func Text(d *datadriven.TestData, key, or string) string {
	for _, a := range d.CmdArgs {
		if a.Key == key && len(a.Vals) == 1 {
			return a.Vals[0]
		}
	}
	return or
}

// Listed returns the contacts of KEY=(CONTACT,CONTACT), none without the key.
func Listed(t *testing.T, d *datadriven.TestData, key string) []overlay.Contact {
	t.Helper()
	var texts []string
	for _, a := range d.CmdArgs {
		if a.Key == key {
			texts = a.Vals
		}
	}
	return Contacts(t, texts)
}

// Named returns the contacts among the arguments without a value: those with a dot, such as
// 3.7 and 3.1-3.20.
func Named(d *datadriven.TestData) (texts []string) {
	for _, a := range d.CmdArgs {
		if len(a.Vals) == 0 && strings.Contains(a.Key, ".") {
			texts = append(texts, a.Key)
		}
	}
	return texts
}

// Verb returns the verb of a name.
func Verb(t *testing.T, name string) overlay.Verb {
	t.Helper()
	v, ok := map[string]overlay.Verb{
		"ping": overlay.Ping, "find-node": overlay.FindNode, "find-value": overlay.FindValue, "store": overlay.Store,
		"pong": overlay.Pong, "nodes": overlay.Nodes, "value": overlay.Value, "reply": overlay.Reply,
	}[name]
	if !ok {
		t.Fatalf("%q is no verb", name)
	}
	return v
}
