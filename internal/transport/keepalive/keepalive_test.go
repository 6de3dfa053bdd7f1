package keepalive_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/internal/transport/keepalive"
)

var start = time.Unix(1_700_000_000, 0)

// TestScripts runs the machine against testdata/*.txt; -rewrite writes what it
// does into them. Times count from the beginning of the script.
func TestScripts(t *testing.T) {
	t.Run("idle", script)
	// conforms: comms 147 (no ping before the time named, and none that left earlier, proves a mark)
	t.Run("prove", script)
}

func script(t *testing.T) {
	var m *keepalive.Machine[string]
	now := start
	datadriven.RunTest(t, "testdata/"+t.Name()[len("TestScripts/"):]+".txt", func(t *testing.T, d *datadriven.TestData) string {
		var f keepalive.Effects[string]
		switch d.Cmd {
		case "new": // [interval=DURATION]
			now = start
			m = keepalive.New[string](now, duration(t, d, "interval"))
		case "after": // DURATION
			wait, err := time.ParseDuration(d.CmdArgs[0].Key)
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(wait)
			return fmt.Sprintf("= %s\n", now.Sub(start))
		case "prove": // ASKER N [in=DURATION]
			var n uint64
			if _, err := fmt.Sscan(d.CmdArgs[1].Key, &n); err != nil {
				t.Fatal(err)
			}
			f = m.Prove(now, keepalive.Mark[string]{Key: d.CmdArgs[0].Key, N: n}, now.Add(duration(t, d, "in")))
		case "heard": // [ago=DURATION]
			m.Heard(now.Add(-duration(t, d, "ago")))
		case "ponged":
			f = m.Ponged(now)
		case "due":
			f = m.Due(now)
		default:
			d.Fatalf(t, "unknown event %q", d.Cmd)
		}
		var out strings.Builder
		for _, mark := range f.Proven {
			fmt.Fprintf(&out, "proven %s %d\n", mark.Key, mark.N)
		}
		if f.Ping {
			fmt.Fprintln(&out, "ping")
		}
		if !f.Wake.IsZero() {
			fmt.Fprintf(&out, "wake at %s\n", f.Wake.Sub(start))
		}
		return out.String()
	})
}

func duration(t *testing.T, d *datadriven.TestData, key string) time.Duration {
	var text string
	if !d.MaybeScanArgs(t, key, &text) {
		return 0
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A mark without a time is proven as soon as may be, and does not silence the
// machine.
func TestProveWithoutTime(t *testing.T) {
	m := keepalive.New[string](start, time.Minute)
	if f := m.Prove(start, keepalive.Mark[string]{Key: "a", N: 1}, time.Time{}); !f.Ping {
		t.Errorf("got %+v, want a ping", f)
	}
}
