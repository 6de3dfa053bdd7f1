package dial

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/identity"
)

// TestScripts runs testdata/*.txt. A command is an event; the lines below it are
// its effects. "wishes" shows the scheduler's books, "new" starts afresh, "clock"
// moves the clock alone, "at" moves it and says that it is due. Times count from
// the start. With -rewrite the expected lines are written; read them.
func TestScripts(t *testing.T) {
	for _, name := range []string{
		// conforms: comms 113
		"share",
		// conforms: comms 114
		"inbound",
		// conforms: comms 43
		"retry",
		"adopt",
		"cancel",
		"ease",
		// conforms: V 9
		"busy",
		"budget",
		"rate",
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
			now := begin
			s := New(Options{})
			datadriven.RunTest(t, "testdata/"+name+".txt", func(t *testing.T, d *datadriven.TestData) string {
				var e Event
				switch d.Cmd {
				case "new":
					s, now = New(options(t, d)), begin
					return "ready"
				case "clock", "at":
					now = begin.Add(scanTime(t, d.CmdArgs[0].Key))
					if e = (Due{}); d.Cmd == "clock" {
						return "ready"
					}
				case "wishes":
					return wishes(s, begin)
				case "want":
					w := Wanted{Peer: scanPeer(d), Automatic: d.HasArg("auto")}
					d.MaybeScanArgs(t, "attempts", &w.Attempts)
					e = w
				case "dialled":
					f := Dialled{Peer: scanPeer(d), Err: scanErr(t, d)}
					if d.HasArg("busy") {
						f.Class = Busy
					} else if d.HasArg("final") {
						f.Class = Final
					}
					e = f
				case "refused":
					e = Refused{Peer: scanPeer(d), Err: scanErr(t, d)}
				case "connected":
					e = Connected{Peer: scanPeer(d)}
				case "cancel":
					e = Cancelled{Peer: scanPeer(d)}
				case "ease":
					e = Eased{Peer: scanPeer(d)}
				default:
					t.Fatalf("unknown command %q", d.Cmd)
				}
				return effects(s.Step(now, e), begin)
			})
		})
	}
}

func options(t *testing.T, d *datadriven.TestData) (o Options) {
	d.MaybeScanArgs(t, "attempts", &o.Attempts)
	d.MaybeScanArgs(t, "inflight", &o.InFlight)
	d.MaybeScanArgs(t, "queue", &o.Queue)
	d.MaybeScanArgs(t, "rate", &o.Rate)
	return o
}

func scanTime(t *testing.T, text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// scanPeer returns the peer whose id begins with the letter.
func scanPeer(d *datadriven.TestData) identity.NodeID {
	return identity.NodeID{d.CmdArgs[0].Key[0]}
}

func scanErr(t *testing.T, d *datadriven.TestData) error {
	var text string
	if d.MaybeScanArgs(t, "err", &text); text == "" {
		return nil
	}
	return errors.New(text)
}

func name(id identity.NodeID) string { return string(rune(id[0])) }

func effects(list []Effect, begin time.Time) string {
	if len(list) == 0 {
		return "nothing"
	}
	var b strings.Builder
	for _, f := range list {
		switch f := f.(type) {
		case Attempt:
			fmt.Fprintf(&b, "attempt %s", name(f.Peer))
			if f.Try > 1 {
				fmt.Fprintf(&b, ", try %d", f.Try)
			}
		case Cancel:
			fmt.Fprintf(&b, "cancel %s", name(f.Peer))
		case Wake:
			fmt.Fprintf(&b, "wake at %v", f.At.Sub(begin))
		case Settled:
			fmt.Fprintf(&b, "settled %s", name(f.Peer))
			if f.Err != nil {
				fmt.Fprintf(&b, ": %v", f.Err)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func wishes(s *Scheduler, begin time.Time) string {
	if s.Len() == 0 {
		return "none"
	}
	var b strings.Builder
	for _, w := range s.Wishes() {
		fmt.Fprintf(&b, "%s %s %d/%d", name(w.Peer), w.State, w.Tries, w.Attempts)
		if w.Automatic {
			b.WriteString(" automatic")
		}
		if !w.Wanted {
			b.WriteString(" unwanted")
		}
		if !w.Due.IsZero() {
			fmt.Fprintf(&b, " due %v", w.Due.Sub(begin))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
