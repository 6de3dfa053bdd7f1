package client

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/actors/kad"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// TestHints: hints of the library become commands, with the peer that they end with.
func TestHints(t *testing.T) {
	for hint, want := range map[string]string{
		kad.HintOwn:                  "gamelan kad status --own lists the keys that it publishes",
		inspect.HintUnban + "00ff":   "lift the ban with gamelan unban 00ff",
		inspect.HintDials + "KEY":    "see what the node has tried with gamelan why KEY",
		inspect.HintSeed + "00ff":    "check that a seed runs and can be reached from here; see gamelan why 00ff",
		"give 64 hexadecimal digits": "give 64 hexadecimal digits",
		"see " + inspect.HintSeed:    "see " + inspect.HintSeed,
	} {
		if got := failure.As(failureOf(&inspect.Error{Code: inspect.CodeFailed, Message: "no", Hint: hint})); got.Hint != want {
			t.Errorf("%q: got %q, want %q", hint, got.Hint, want)
		}
	}
}
