package dial

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestRace: the next address 2 s after the one before, or at once when that has ended.
//
// conforms: V 34
func TestRace(t *testing.T) {
	var r *Race
	begin := time.Unix(1_700_000_000, 0)
	now := begin
	datadriven.RunTest(t, "testdata/race.txt", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "new": // ADDRESSES
			var n int
			if _, err := fmt.Sscan(d.CmdArgs[0].Key, &n); err != nil {
				t.Fatal(err)
			}
			r, now = NewRace(n), begin
		case "at": // TIME
			now = begin.Add(scanTime(t, d.CmdArgs[0].Key))
		case "ended": // ADDRESS [settled]
			var i int
			if _, err := fmt.Sscan(d.CmdArgs[0].Key, &i); err != nil {
				t.Fatal(err)
			}
			r.Ended(i, d.HasArg("settled"))
		default:
			d.Fatalf(t, "unknown event %q", d.Cmd)
		}
		var out strings.Builder
		for i, ok := r.Next(now); ok; i, ok = r.Next(now) {
			fmt.Fprintf(&out, "try %d\n", i)
		}
		if at := r.Wake(); !at.IsZero() {
			fmt.Fprintf(&out, "wake at %s\n", at.Sub(begin))
		}
		if r.Over() {
			fmt.Fprintln(&out, "over")
		}
		return out.String()
	})
}
