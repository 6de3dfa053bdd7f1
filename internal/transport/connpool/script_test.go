package connpool

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestScripts runs testdata/*.txt on one Health: "good A" and "bad A" end a dial
// of A, "may A" asks for a speculative one, "lost A" abandons it, "peer A" and
// "rate" show what is known, "clock" moves the clock. "choose missing=N" chooses
// among the candidates in its input, one a line: peer, then group=, reached,
// tried=, out=. With -rewrite the expected lines are written; read them.
func TestScripts(t *testing.T) {
	for _, name := range []string{
		// conforms: V 30
		"breaker",
		"rate",
		// conforms: V 30
		"choose",
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
			now, h := begin, new(Health)
			datadriven.RunTest(t, "testdata/"+name+".txt", func(t *testing.T, d *datadriven.TestData) string {
				switch d.Cmd {
				case "new":
					now, h = begin, new(Health)
					return "ready"
				case "clock":
					offset, err := time.ParseDuration(d.CmdArgs[0].Key)
					if err != nil {
						t.Fatal(err)
					}
					now = begin.Add(offset)
					return "ready"
				case "good":
					h.Succeeded(now, scriptPeer(d.CmdArgs[0].Key))
				case "bad":
					times := 1
					d.MaybeScanArgs(t, "times", &times)
					for range times {
						h.Failed(now, scriptPeer(d.CmdArgs[0].Key))
					}
				case "may":
					if h.Admit(now, scriptPeer(d.CmdArgs[0].Key)) {
						return "yes"
					}
					return "no"
				case "lost":
					h.Abandoned(scriptPeer(d.CmdArgs[0].Key))
					return "ready"
				case "rate":
					return fmt.Sprintf("%.3f", h.Rate(now))
				case "peer":
				case "choose":
					return choose(t, d, h, begin, now)
				default:
					t.Fatalf("unknown command %q", d.Cmd)
				}
				return record(h.Peer(now, scriptPeer(d.CmdArgs[0].Key)), begin)
			})
		})
	}
}

func scriptPeer(name string) (id identity.NodeID) {
	copy(id[:], name)
	return id
}

func scriptName(id identity.NodeID) string { return strings.TrimRight(string(id[:]), "\x00") }

func record(r protocol.DialHealth, begin time.Time) string {
	s := fmt.Sprintf("rate %.3f, %d failures, score %.3f", r.Rate, r.Failures, r.Score)
	if !r.Open.IsZero() {
		s += fmt.Sprintf(", open until %v", r.Open.Sub(begin))
	}
	if r.Trial {
		s += " for a trial"
	}
	return s
}

func choose(t *testing.T, d *datadriven.TestData, h *Health, begin, now time.Time) string {
	r := Request{At: now, Rate: h.Rate(now)}
	d.ScanArgs(t, "missing", &r.Missing)
	if d.HasArg("rate") {
		var text string
		d.ScanArgs(t, "rate", &text)
		if _, err := fmt.Sscan(text, &r.Rate); err != nil {
			t.Fatal(err)
		}
	}
	for i, line := range strings.Split(d.Input, "\n") {
		words := strings.Fields(line)
		c := protocol.DialCandidate{Peer: scriptPeer(words[0]), Health: h.Peer(now, scriptPeer(words[0])), Draw: uint64(i)}
		for _, w := range words[1:] {
			key, value, _ := strings.Cut(w, "=")
			switch key {
			case "group":
				c.Group = value
			case "reached":
				c.Reached = true
			case "tried":
				offset, err := time.ParseDuration(value)
				if err != nil {
					t.Fatal(err)
				}
				c.Tried = begin.Add(offset)
			case "entry":
				c.Entry = true
			case "out":
				c.Out = value
			default:
				t.Fatalf("unknown word %q", w)
			}
		}
		r.Candidates = append(r.Candidates, c)
	}
	c := Choose(r)
	if again := Choose(RequestOf(c)); fmt.Sprint(again) != fmt.Sprint(c) {
		t.Errorf("got %v from the record of a choice, want the same choice %v", again, c)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d wanted\n", c.Wanted, c.Considered)
	for i, x := range c.Ranked {
		place, got, ok := c.Rank(x.Peer)
		if place != i+1 || !ok || got.Peer != x.Peer {
			t.Errorf("got rank %d, %v, want %d", place, ok, i+1)
		}
		fmt.Fprintf(&b, "%s %.3f", scriptName(x.Peer), x.Score)
		for _, p := range x.Parts {
			fmt.Fprintf(&b, " %s=%.3f", strings.ReplaceAll(p.Name, " ", "-"), p.Value)
		}
		fmt.Fprintf(&b, ": %s\n", x.Verdict)
	}
	return b.String()
}
