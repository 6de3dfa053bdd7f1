package onecall

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

var begin = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// TestServerScripts runs testdata/server-*.txt. A command is an event at the
// server; the lines below it say what follows. "at" moves the clock and looks at
// the time. With -rewrite the expected lines are written; read them.
func TestServerScripts(t *testing.T) {
	for _, name := range []string{
		// conforms: comms 99
		"server-calls",
		// conforms: comms 97, 98, 104
		"server-requests",
		// conforms: comms 102, 103
		"server-cancel",
		"server-time",
		"server-leave",
		"server-idle",
	} {
		t.Run(name, func(t *testing.T) {
			now := begin
			s := NewServer(now, ServerOptions{})
			datadriven.RunTest(t, "testdata/"+name+".txt", func(t *testing.T, d *datadriven.TestData) string {
				switch d.Cmd {
				case "new":
					now = begin
					s = NewServer(now, ServerOptions{})
					return "ready"
				case "clock":
					now = begin.Add(duration(t, d))
					return "ready"
				case "at":
					now = begin.Add(duration(t, d))
					r, answer, next, err := s.Due(now)
					text := ""
					if answer {
						text = "send " + response(r) + "\n"
					}
					if !next.IsZero() {
						text += fmt.Sprintf("next at %v\n", next.Sub(begin))
					}
					return outcome(text, err)
				case "request":
					r := Request{ID: number(t, d, "id", 1), Method: number(t, d, "method", 1), Flags: Flags(number(t, d, "flags", 0)), Deadline: uint64(number(t, d, "deadline", 120))}
					verdict, resp, err := s.Received(now, r)
					return decided(verdict, resp, err)
				case "large":
					return decided(s.TooLarge(now, number(t, d, "id", 1)))
				case "leave":
					s.Leave()
					return fmt.Sprintf("left: %v", s.Left())
				case "idle":
					since, ok := s.Idle()
					return fmt.Sprintf("%v, since %v", ok, since.Sub(begin))
				case "left":
					return strconv.FormatBool(s.Left())
				case "item":
					r, wanted := s.Item(now)
					return sent(r, wanted)
				case "finish":
					r, wanted := s.Finish(now, rpc.Status(number(t, d, "status", 0)))
					return sent(r, wanted)
				case "wrote":
					s.Wrote(now)
					return "ready"
				case "done":
					if w := s.Done(now); w != nil {
						return fmt.Sprintf("run %d method %d", w.Call.ID, w.Call.Method)
					}
					return "free"
				}
				t.Fatalf("unknown command %q", d.Cmd)
				return ""
			})
		})
	}
}

func duration(t *testing.T, d *datadriven.TestData) time.Duration {
	v, err := time.ParseDuration(d.CmdArgs[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func number(t *testing.T, d *datadriven.TestData, key string, or uint32) uint32 {
	for _, a := range d.CmdArgs {
		if a.Key == key {
			v, err := strconv.ParseUint(a.Vals[0], 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			return uint32(v)
		}
	}
	return or
}

func decided(verdict Verdict, r Response, err error) string {
	if err != nil {
		return outcome("", err)
	}
	text := [...]string{"ignore", "answer", "run", "queue", "cancel"}[verdict]
	if verdict == Answer {
		text += " " + response(r)
	}
	return text
}

func outcome(text string, err error) string {
	if err != nil {
		text += "end: " + err.Error()
	}
	if text == "" {
		return "nothing"
	}
	return text
}

func sent(r Response, wanted bool) string {
	if !wanted {
		return "not wanted"
	}
	return "send " + response(r)
}

func response(r Response) string {
	s := fmt.Sprintf("id %d", r.ID)
	if r.Status != rpc.OK {
		s += " " + r.Status.String()
	}
	if r.Flags != 0 {
		s += " " + flags(r.Flags)
	}
	if len(r.Payload) > 0 {
		s += fmt.Sprintf(" %q", r.Payload)
	}
	return s
}

func flags(f Flags) string {
	var names []string
	for bit, name := range map[Flags]string{FIN: "FIN", ACK: "ACK", MORE: "MORE"} {
		if f&bit != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// TestClientScripts runs testdata/client-*.txt: "unary", "stream" and "ping"
// begin a call, "response" is what comes back, with pay bytes of payload.
func TestClientScripts(t *testing.T) {
	for _, name := range []string{
		// conforms: comms 105
		"client-ids",
		// conforms: V 17
		"client-chunks",
		"client-answers",
		// conforms: comms 149
		"client-repeat",
	} {
		t.Run(name, func(t *testing.T) {
			c := new(Client)
			datadriven.RunTest(t, "testdata/"+name+".txt", func(t *testing.T, d *datadriven.TestData) string {
				switch d.Cmd {
				case "new":
					c = new(Client)
					return "ready"
				case "skip": // calls
					for range number(t, d, "n", 1) {
						c.Start(1, time.Second, false)
					}
					return "ready"
				case "unary", "stream":
					return requested(c.Start(number(t, d, "method", 1), 90*time.Second, d.Cmd == "stream"))
				case "ping":
					return requested(c.Ping(90 * time.Second))
				case "drain":
					c.Drain()
					return "ready"
				case "stop":
					return requested(c.Stop())
				case "repeat":
					var ways []string
					for _, ours := range []bool{true, false} {
						c.Ours = ours
						for end, way := range []string{"lost", "in order", "reset"} {
							if again := c.Repeat(SessionEnd(end)); again != RepeatNever {
								who := map[bool]string{true: "ours", false: "another"}[ours]
								ways = append(ways, fmt.Sprintf("%s by %s: %s", way, who, [...]string{"", "once", "any time"}[again]))
							}
						}
					}
					if ways == nil {
						return "never"
					}
					return strings.Join(ways, "\n")
				case "response":
					var e Event
					var err error
					for range number(t, d, "times", 1) {
						e, err = c.Received(Response{
							ID: number(t, d, "id", c.last), Status: rpc.Status(number(t, d, "status", 0)), Flags: Flags(number(t, d, "flags", 0)),
							Payload: []byte(strings.Repeat("x", int(number(t, d, "pay", 0)))),
						})
					}
					if err != nil {
						if !errors.Is(err, rpc.ErrProtocol) {
							t.Fatalf("got %v, want a protocol error", err)
						}
						return "end: " + err.Error()
					}
					text := [...]string{"nothing", "item", "final", "end", "failed", "pong"}[e.Meaning]
					if e.Meaning == Item || e.Meaning == Final {
						text += fmt.Sprintf(" %d bytes", len(e.Payload))
					}
					if e.Err != nil {
						text += " " + e.Err.Error()
					}
					if e.Open {
						text += ", still open"
					}
					return text
				}
				t.Fatalf("unknown command %q", d.Cmd)
				return ""
			})
		})
	}
}

func requested(r Request) string {
	s := fmt.Sprintf("send id %d method %d", r.ID, r.Method)
	if r.Flags != 0 {
		s += " " + flags(r.Flags)
	}
	return s + fmt.Sprintf(" deadline %d", r.Deadline)
}

// TestPoolScripts runs testdata/pool.txt: who wants a session, and how opening
// one went.
func TestPoolScripts(t *testing.T) {
	now := begin
	p := NewPool(PoolOptions{})
	// conforms: V 18
	datadriven.RunTest(t, "testdata/pool.txt", func(t *testing.T, d *datadriven.TestData) string {
		var f PoolEffects
		switch d.Cmd {
		case "new":
			now = begin
			p = NewPool(PoolOptions{Max: int(number(t, d, "max", 0))})
			return "ready"
		case "wanted":
			f = p.Wanted(now)
		case "served":
			p.Served()
		case "resting":
			p.Returning(1)
		case "rested":
			p.Returning(-1)
		case "opened":
			f = p.Opened(now)
		case "ended":
			f = p.Ended(now)
		case "refused":
			f = p.NotOpened(now, &rpc.RejectedError{Reason: rpc.Reason(number(t, d, "reason", 2))}, 1)
		case "failed":
			f = p.NotOpened(now, errors.New("no way there"), 1)
		case "at":
			now = begin.Add(duration(t, d))
			f = p.Due(now)
		case "unwanted":
			return strconv.Itoa(p.Surplus())
		case "given-up":
			f = p.GivenUp(now)
		case "unused":
			return strconv.FormatBool(p.Unused())
		default:
			t.Fatalf("unknown command %q", d.Cmd)
		}
		var lines []string
		if f.Open > 0 {
			lines = append(lines, fmt.Sprintf("open %d", f.Open))
		}
		if f.Fail != nil {
			lines = append(lines, "tell all: "+f.Fail.Error())
		}
		if !f.Wake.IsZero() {
			lines = append(lines, fmt.Sprintf("wake at %v", f.Wake.Sub(begin)))
		}
		if len(lines) == 0 {
			return "nothing"
		}
		return strings.Join(lines, "\n")
	})
}
