package reach_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/internal/protocol/reach"
)

// TestWatch runs looks at a machine, 2 s apart.
func TestWatch(t *testing.T) {
	var w reach.Watch
	now := time.Unix(1_700_000_000, 0)
	datadriven.RunTest(t, "testdata/watch.txt", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "new":
			w = reach.Watch{}
			return ""
		case "after":
			wait, err := time.ParseDuration(d.CmdArgs[0].Key)
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(wait)
			return ""
		case "look": // ADDRESS[!]…, "!" is one without a carrier
		default:
			d.Fatalf(t, "unknown event %q", d.Cmd)
		}
		var present []reach.Interface
		for _, a := range d.CmdArgs {
			text, down := strings.CutSuffix(a.Key, "!")
			present = append(present, reach.Interface{Addr: netip.MustParseAddr(text), Down: down})
		}
		now = now.Add(reach.Look)
		f := w.Look(now, present)
		var out strings.Builder
		for _, x := range []struct {
			what string
			list []netip.Addr
		}{{"added", f.Added}, {"gone", f.Gone}, {"unplugged", f.Unplugged}} {
			if len(x.list) > 0 {
				fmt.Fprintln(&out, x.what, x.list)
			}
		}
		if f.Way {
			fmt.Fprintln(&out, "way")
		}
		if f.Tell {
			fmt.Fprintln(&out, "tell")
		}
		return out.String()
	})
}
