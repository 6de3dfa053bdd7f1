package keepalive_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/internal/transport/keepalive"
)

// TestSilence runs looks at a connection. All times of a look count back from now.
//
// conforms: V 36
func TestSilence(t *testing.T) {
	var s keepalive.Silence
	now := start
	datadriven.RunTest(t, "testdata/silence.txt", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "new":
			s, now = keepalive.Silence{}, start
			return ""
		case "after": // DURATION
			wait, err := time.ParseDuration(d.CmdArgs[0].Key)
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(wait)
			return fmt.Sprintf("= %s\n", now.Sub(start))
		case "look": // heard=D [pinged=D] [received=D] acked=D sent=D [unacked] [unsent] | blind heard=D [pinged=D] [blocked]
			var pinged time.Time
			if d.HasArg("pinged") {
				pinged = now.Add(-duration(t, d, "pinged"))
			}
			heard := now.Add(-duration(t, d, "heard"))
			f := &keepalive.Progress{
				Unacknowledged: d.HasArg("unacked"), Unsent: d.HasArg("unsent"),
				Acknowledged: duration(t, d, "acked"), Received: now.Sub(heard), Sent: duration(t, d, "sent"),
			}
			if d.HasArg("received") {
				f.Received = duration(t, d, "received")
			}
			if d.HasArg("blind") {
				f = nil
			}
			switch v, next := s.Look(now, heard, pinged, f, d.HasArg("blocked")); v {
			case keepalive.DeadUnacknowledged:
				return "dead: not acknowledged\n"
			case keepalive.DeadSilent:
				return "dead: silent\n"
			case keepalive.DeadUnanswered:
				return "dead: no answer\n"
			default:
				return fmt.Sprintf("alive, look in %s\n", next.Sub(now))
			}
		}
		d.Fatalf(t, "unknown event %q", d.Cmd)
		return ""
	})
}
