package messaging_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestScripts runs the outbox against testdata/*.txt; -rewrite writes what it
// does into them. After each event comes what the outbox asks for, and then its
// state. Times count from the beginning of the script.
func TestScripts(t *testing.T) {
	// conforms: comms 86, 88 (two attempts; a cancelled dial is none)
	t.Run("dial", script)
	// conforms: comms 85 (one substream, in the order of queueing)
	t.Run("order", script)
	// conforms: comms 87 (what was not written goes out on the next connection)
	t.Run("loss", script)
	// conforms: V 14 (the outbound half: the back-off)
	t.Run("backoff", script)
	// conforms: comms 84, V 14 (a reset in negotiation)
	t.Run("reset", script)
	// conforms: comms 147
	t.Run("proof", script)
	// conforms: comms 147 (a peer that says when its session has the substream)
	t.Run("accepted", script)
	// conforms: V 15 (the sender's limit of time: expired or in doubt)
	t.Run("withdraw", script)
	// conforms: comms 91
	t.Run("rest", script)
	t.Run("hold", script)
	t.Run("close", script)
	t.Run("limits", script)
	t.Run("unasked", script)
}

func script(t *testing.T) {
	s := newScenario()
	datadriven.RunTest(t, "testdata/"+t.Name()[len("TestScripts/"):]+".txt", func(t *testing.T, d *datadriven.TestData) string {
		return s.run(t, d)
	})
}

// scenario is one outbox whose messages have names.
type scenario struct {
	box   *messaging.Outbox[string]
	now   time.Time
	ids   map[string]uint64
	mark  uint64 // the last one to prove
	lines []string
}

var start = time.Unix(1_700_000_000, 0)

func newScenario() *scenario {
	return &scenario{box: messaging.NewOutbox[string](messaging.Options{}), now: start, ids: make(map[string]uint64)}
}

func (s *scenario) run(t *testing.T, d *datadriven.TestData) string {
	s.lines = nil
	switch d.Cmd {
	case "new": // attempts=N frames=N bytes=N
		var o messaging.Options
		d.MaybeScanArgs(t, "attempts", &o.Attempts)
		d.MaybeScanArgs(t, "frames", &o.BatchFrames)
		d.MaybeScanArgs(t, "bytes", &o.BatchBytes)
		*s = *newScenario()
		s.box = messaging.NewOutbox[string](o)
	case "queue": // NAME… [size=N] [resend]
		size := 1
		d.MaybeScanArgs(t, "size", &size)
		for _, arg := range d.CmdArgs {
			if len(arg.Vals) > 0 || arg.Key == "resend" {
				continue
			}
			s.ids[arg.Key] = uint64(len(s.ids) + 1)
			s.show(s.box.Queued(s.now, messaging.Entry[string]{
				ID: s.ids[arg.Key], Body: make([]byte, size), Resend: d.HasArg("resend"), Tag: arg.Key,
			}))
		}
	case "burst": // N
		n, err := strconv.Atoi(d.CmdArgs[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			name := fmt.Sprintf("#%d", i+1)
			s.ids[name] = uint64(len(s.ids) + 1)
			s.show(s.box.Queued(s.now, messaging.Entry[string]{ID: s.ids[name], Tag: name}))
		}
	case "withdraw": // NAME…
		for _, arg := range d.CmdArgs {
			s.show(s.box.Withdrawn(s.now, s.ids[arg.Key]))
		}
	case "dialled": // [REASON]
		s.show(s.box.Dialled(s.now, reason(t, d), problem(d)))
	case "cancelled":
		s.show(s.box.DialCancelled(s.now))
	case "opened": // [awaited] [given]
		answer := messaging.Assumed
		switch {
		case d.HasArg("awaited"):
			answer = messaging.Awaited
		case d.HasArg("given"):
			answer = messaging.Given
		}
		s.show(s.box.Opened(s.now, answer))
	case "accepted":
		s.show(s.box.Accepted(s.now))
	case "open-failed": // REASON
		s.show(s.box.OpenFailed(s.now, reason(t, d), problem(d)))
	case "open-reset":
		s.show(s.box.OpenReset(s.now, errors.New("reset")))
	case "gone":
		s.show(s.box.ConnectionGone(s.now, errors.New("lost")))
	case "wrote": // [started=N] [error] [no-connection]
		started := 0
		d.MaybeScanArgs(t, "started", &started)
		var err error
		if d.HasArg("error") {
			err = errors.New("reset")
		}
		s.show(s.box.Wrote(s.now, started, err, d.HasArg("no-connection")))
	case "proven": // [mark=N], else the last one asked for
		mark := s.mark
		d.MaybeScanArgs(t, "mark", &mark)
		s.show(s.box.Proven(s.now, mark))
	case "ended": // [error] [no-connection]
		var err error
		if d.HasArg("error") {
			err = errors.New("reset")
		}
		s.show(s.box.Ended(s.now, err, d.HasArg("no-connection")))
	case "hold":
		s.box.StopWriting()
	case "close":
		s.show(s.box.Close(protocol.Closed, errors.New("bye")))
	case "after": // DURATION
		wait, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(wait)
	case "due":
		s.show(s.box.Due(s.now))
	default:
		d.Fatalf(t, "unknown event %q", d.Cmd)
	}
	s.lines = append(s.lines, s.state())
	return strings.Join(s.lines, "\n") + "\n"
}

func (s *scenario) show(f messaging.Effects[string]) {
	for _, settled := range f.Settled {
		s.line("%s %s", settled.Tag, settled.Outcome)
	}
	if f.Drop {
		s.line("drop the substream")
	}
	if len(f.Write) > 0 {
		names := make([]string, len(f.Write))
		for i, e := range f.Write {
			names[i] = e.Tag
		}
		s.line("write %s", strings.Join(names, " "))
	}
	if f.Prove != 0 && f.NotBefore.IsZero() {
		s.mark = f.Prove
		s.line("prove %d at once", f.Prove)
	} else if f.Prove != 0 {
		s.mark = f.Prove
		s.line("prove %d from %s", f.Prove, f.NotBefore.Sub(start))
	}
	if f.Ping {
		s.line("ping")
	}
	if f.Dial {
		s.line("dial")
	}
	if f.Open {
		s.line("open")
	}
	if !f.Wake.IsZero() {
		s.line("wake at %s", f.Wake.Sub(start))
	}
}

func (s *scenario) line(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func (s *scenario) state() string {
	text := fmt.Sprintf("= %s: %s", s.now.Sub(start), s.box.State())
	if n := s.box.Len(); n > 0 {
		text += fmt.Sprintf(", %d unsettled", n)
	}
	if n := s.box.Unproven(); n > 0 {
		text += fmt.Sprintf(", %d unproven", n)
	}
	if times, err := s.box.EndedByPeer(); times > 0 {
		text += fmt.Sprintf(", not taken %d times: %v", times, err)
	}
	if s.box.Idle() {
		text += ", nothing to do"
	}
	return text
}

// reason reads the reason of a failure as Reason.String has it, with hyphens.
func reason(t *testing.T, d *datadriven.TestData) protocol.Reason {
	if len(d.CmdArgs) == 0 {
		return protocol.ReasonNone
	}
	for r := protocol.NoPeer; r <= protocol.NotTaken; r++ {
		if strings.ReplaceAll(r.String(), " ", "-") == d.CmdArgs[0].Key {
			return r
		}
	}
	d.Fatalf(t, "unknown reason %q", d.CmdArgs[0].Key)
	return protocol.ReasonNone
}

func problem(d *datadriven.TestData) error {
	if len(d.CmdArgs) == 0 {
		return nil
	}
	return errors.New("no route")
}
