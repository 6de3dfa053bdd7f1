package messaging_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestOutgoingScripts runs the machine of outgoing substreams against testdata/outgoing/*.txt;
// -rewrite writes what it does into them. After each event comes what the machine asks for. A
// proof is delayed by 1 ms here, and by 4 ms for what comes alone.
func TestOutgoingScripts(t *testing.T) {
	for _, name := range []string{
		"answers", // which answers count, and when a dial is cancelled
		"proofs",  // when a proof is asked for
		"pull",    // the writer takes messages itself
		"lone",    // … one at a time
		"finish",  // the end that a connection asks for
		"drain",   // the end of the node
	} {
		t.Run(name, func(t *testing.T) {
			s := newOutgoing()
			datadriven.RunTest(t, "testdata/outgoing/"+name+".txt", s.run)
		})
	}
}

type outgoing struct {
	scenario
	m       *messaging.Outgoing[string]
	request uint64
}

func newOutgoing() *outgoing {
	return &outgoing{
		scenario: scenario{now: start, ids: make(map[string]uint64)},
		m:        messaging.NewOutgoing[string](messaging.Options{ProofDelay: time.Millisecond, LoneDelay: 4 * time.Millisecond}),
	}
}

func (s *outgoing) run(t *testing.T, d *datadriven.TestData) string {
	s.lines = nil
	flags := []string{"urgent", "resend", "several", "error", "no-connection", "taken"}
	var names []string
	for _, a := range d.CmdArgs {
		if len(a.Vals) == 0 && !slices.Contains(flags, a.Key) {
			names = append(names, a.Key)
		}
	}
	entry := func(name string) messaging.Entry[string] {
		if s.ids[name] == 0 {
			s.ids[name] = uint64(len(s.ids) + 1)
		}
		return messaging.Entry[string]{ID: s.ids[name], Body: []byte{1}, Tag: name, Urgent: d.HasArg("urgent"), Resend: d.HasArg("resend")}
	}
	var pulled []messaging.Entry[string]
	var problem error
	if d.HasArg("error") {
		problem = errors.New("reset")
	}
	switch d.Cmd {
	case "new":
		*s = *newOutgoing()
	case "queue": // NAME… [urgent] [resend]
		for _, name := range names {
			s.act(s.m.Queued(s.now, entry(name)))
		}
	case "withdraw":
		for _, name := range names {
			s.act(s.m.Withdrawn(s.now, s.ids[name]))
		}
	case "awaits": // of the last request
		s.line("awaits it: %v", s.m.Awaits(s.request))
	case "dialled":
		s.act(s.m.Dialled(s.now, protocol.ReasonNone, nil))
	case "cancelled":
		s.act(s.m.DialCancelled(s.now))
	case "gone":
		s.act(s.m.ConnectionGone(s.now, errors.New("lost")))
	case "opened": // assumed, awaited or given
		kinds := map[string]messaging.Acceptance{"assumed": messaging.Assumed, "awaited": messaging.Awaited, "given": messaging.Given}
		s.act(s.m.Opened(s.now, kinds[names[0]]))
	case "accepted":
		s.act(s.m.Accepted(s.now))
	case "wrote": // [error] [no-connection]
		s.act(s.m.Wrote(s.now, 0, problem, d.HasArg("no-connection")))
	case "start-pull":
		s.line("pulls: %v", s.m.StartPull())
	case "pulled-some": // [several]
		s.act(s.m.PulledSome(s.now, d.HasArg("several")))
	case "wrote-pulled", "proof-due": // NAME… [urgent] [error]
		for _, name := range names {
			pulled = append(pulled, entry(name))
		}
		if d.Cmd == "proof-due" {
			s.act(s.m.ProofDue(s.now, pulled))
		} else {
			s.act(s.m.WrotePulled(s.now, pulled, 0, problem, d.HasArg("no-connection")))
		}
	case "pull-stopped":
		s.act(s.m.PullStopped(s.now))
	case "proven":
		s.act(s.m.Proven(s.now, s.mark))
	case "ended": // [error] [no-connection]
		s.act(s.m.Ended(s.now, problem, d.HasArg("no-connection")))
	case "stop-writing":
		s.act(s.m.StopWriting())
	case "finish":
		s.act(s.m.Finish(s.now))
	case "drain":
		s.act(s.m.Drain(s.now))
	case "due":
		s.act(s.m.Due(s.now))
	case "after":
		wait, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(wait)
	default:
		d.Fatalf(t, "unknown event %q", d.Cmd)
	}
	state := fmt.Sprintf("= %s: %s, %d open, %d unproven", s.now.Sub(start), s.m.State(), s.m.Len(), s.m.Unproven())
	for _, x := range []struct {
		text string
		is   bool
	}{{", pulling", s.m.Pulling()}, {", FIN sent", s.m.FinSent()}, {", drained", s.m.Drained()}} {
		if x.is {
			state += x.text
		}
	}
	return strings.Join(append(s.lines, state), "\n") + "\n"
}

func (s *outgoing) act(a messaging.Actions[string]) {
	s.show(a.Effects)
	if a.Request != 0 {
		s.request = a.Request
	}
	for _, x := range []struct {
		is   bool
		text string
	}{
		{a.Cancel, "cancel the dial"},
		{a.Collect, "collect"},
		{a.StopPull, "stop the pull"},
		{a.Fin, "FIN"},
		{a.Finished, "the orderly end is over"},
	} {
		if x.is {
			s.line("%s", x.text)
		}
	}
	if !a.ProofDue.IsZero() {
		s.line("proof due at %s", a.ProofDue.Sub(start))
	}
}
