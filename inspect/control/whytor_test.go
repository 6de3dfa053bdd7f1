package control

import (
	"errors"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
)

// TestWhyTor tells whose Tor is at fault.
func TestWhyTor(t *testing.T) {
	const trouble = "Tor cannot be reached; install the package tor."
	at := func(stage transport.Stage, cause socks.Cause) error {
		return &transport.DialError{Stage: stage, Err: &socks.Error{Step: socks.StepRequest, Cause: cause}}
	}
	for name, c := range map[string]struct {
		err     error
		trouble string
		want    string // a part of the sentence; empty: there is none
		also    string
	}{
		"it has worked":           {nil, trouble, "", ""},
		"no proxy on the way":     {&transport.DialError{Stage: transport.StageConnect, Err: errors.New("x")}, trouble, "", ""},
		"no Tor here":             {at(transport.StageProxy, socks.CauseProxyDown), trouble, "not the peer. Tor cannot be reached", "here that does not work"},
		"another proxy":           {at(transport.StageProxy, socks.CauseProtocol), "", "not the peer.", "here that does not work"},
		"dead onion":              {at(transport.StageConnect, socks.CauseNotPublished), "", "the peer's Tor, that is away", "Tor works here"},
		"dead onion, own trouble": {at(transport.StageConnect, socks.CauseIntroduction), "Tor works, but could not publish.", "the peer's Tor, that is away", "Tor works here"},
		"silence":                 {at(transport.StageConnect, socks.CauseTimeout), "", "no answer in time", "runs here"},
		"silence, own trouble":    {at(transport.StageConnect, socks.CauseTimeout), trouble, "it is the one here", trouble},
		"a bad address":           {at(transport.StageAddress, socks.CauseAddress), "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := torSentence(c.err, c.trouble)
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) || !strings.Contains(got, c.also) {
				t.Errorf("got %q, want %q and %q", got, c.want, c.also)
			}
		})
	}
}
