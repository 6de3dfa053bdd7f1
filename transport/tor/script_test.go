package tor

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestScripts runs testdata/*.txt. A command is an event; the lines below it are its effects.
// The replies of "tor" are the lines of its input. Services are called a, b and so on: their
// keys are made of that letter. "at" moves the clock and says that it is due; times count from
// the start. "status" shows the state, "trouble" the sentence for the operator. With -rewrite
// the expected lines are written; read them.
func TestScripts(t *testing.T) {
	for _, name := range []string{
		// conforms: comms 137; V 35
		"auth",
		// conforms: comms 138
		"publish",
		// conforms: comms 139
		"collision",
		// conforms: comms 140
		"away",
		"ask",
		"stop",
		"stuck",
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript("auto")
			datadriven.RunTest(t, "testdata/"+name+".txt", func(t *testing.T, d *datadriven.TestData) string { return s.run(t, d) })
		})
	}
}

type script struct {
	begin, now time.Time
	wake       time.Time // as it was shown last
	c          *Controller
	cookie     []byte
	file       string // that is read
	names      map[ServiceID]string
}

func newScript(auth string) *script {
	begin := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	a, err := ParseAuth(auth)
	if err != nil {
		panic(err)
	}
	s := &script{begin: begin, now: begin, wake: begin, names: map[ServiceID]string{}, cookie: bytes.Repeat([]byte{0xC0}, 32)}
	s.c = NewController(begin, Options{
		Auth: a, Local: true, Nonce: bytes.NewReader(bytes.Repeat([]byte{0x11}, 1<<12)), Random: rand.New(rand.NewPCG(1, 2)),
	})
	return s
}

func (s *script) key(letter string) Key {
	k, err := NewKey(strings.NewReader(strings.Repeat(letter, 32)))
	if err != nil {
		panic(err)
	}
	s.names[k.ID()] = letter
	return k
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	arg := ""
	if len(d.CmdArgs) > 0 {
		arg = d.CmdArgs[0].String()
	}
	var e Event
	switch d.Cmd {
	case "new":
		*s = *newScript(strings.TrimSpace(d.Input))
		s.c.options.NewCircuits = arg == "new-circuits"
		return "ready"
	case "at":
		after, err := time.ParseDuration(arg)
		if err != nil {
			t.Fatal(err)
		}
		s.now = s.begin.Add(after)
		e = Due{}
	case "due":
		e = Due{}
	case "connected":
		e = Connected{}
	case "lost":
		e = Lost{errors.New("refused")}
	case "cookie":
		read := CookieRead{Bytes: s.cookie, File: CookieFile{s.file, 107}}
		d.MaybeScanArgs(t, "owner", &read.File.Owner)
		e = read
		switch arg {
		case "short":
			e = CookieRead{Bytes: s.cookie[1:], File: read.File}
		case "unsafe":
			e = CookieRead{Err: fmt.Errorf("read: %w", &UnsafeError{Path: s.file, Owner: 1000, Tor: "debian-tor"})}
		case "none":
			e = CookieRead{Err: errors.New("permission denied")}
		}
	case "challenge":
		theirs := bytes.Repeat([]byte{0x22}, 32)
		hash := safeCookie(serverKey, s.cookie, bytes.Repeat([]byte{0x11}, 32), theirs)
		if arg == "wrong" {
			hash[0]++
		}
		e = Received{Reply{250, []Line{{Text: fmt.Sprintf("AUTHCHALLENGE SERVERHASH=%X SERVERNONCE=%X", hash, theirs)}}}}
	case "tor":
		text := d.Input
		for _, letter := range []string{"a", "b"} {
			text = strings.ReplaceAll(text, "<"+letter+">", string(s.key(letter).ID()))
		}
		var all []string
		r := NewReader(strings.NewReader(text + "\n"))
		for {
			reply, err := r.Read()
			if err != nil {
				break
			}
			if text := s.effects(s.c.Step(s.now, Received{reply})); text != "" {
				all = append(all, text)
			}
		}
		return strings.Join(all, "\n")
	case "want":
		service := Service{Key: s.key(arg), Ports: []Port{{18141, "127.0.0.1:4001"}}}
		for _, a := range d.CmdArgs[1:] {
			switch a.Key {
			case "detach":
				service.Detach = true
			case "streams":
				service.MaxStreams, _ = strconv.Atoi(a.Vals[0])
			case "target":
				service.Ports[0].Target = a.Vals[0]
			case "second":
				service.Ports = append(service.Ports, Port{80, a.Vals[0]})
			case "portless":
				service.Ports = nil
			}
		}
		e = Publish{service}
	case "unwant":
		e = Withdraw{s.key(arg).ID()}
	case "ask":
		e = Asked{Token: arg, Command: Command(strings.ReplaceAll(strings.TrimSpace(d.Input), `\n`, "\n"))}
	case "stop":
		e = Stop{}
	case "stuck":
		e = Stuck{}
	case "status":
		return s.status()
	case "trouble":
		return s.short(s.c.Status().Trouble())
	default:
		t.Fatalf("unknown command %q", d.Cmd)
	}
	return s.effects(s.c.Step(s.now, e))
}

// short puts letters for the names of services and keys.
func (s *script) short(text string) string {
	for id, letter := range s.names {
		text = strings.ReplaceAll(text, s.key(letter).text(), "<key of "+letter+">")
		text = strings.ReplaceAll(text, string(id), "<"+letter+">")
		text = strings.ReplaceAll(text, string(id)[:8]+"…", "<"+letter+">")
	}
	text = strings.ReplaceAll(text, hex.EncodeToString(s.cookie), "<cookie>")
	text = strings.ReplaceAll(text, strings.Repeat("11", 32), "<nonce>")
	proof := safeCookie(controllerKey, s.cookie, bytes.Repeat([]byte{0x11}, 32), bytes.Repeat([]byte{0x22}, 32))
	return strings.ReplaceAll(text, hex.EncodeToString(proof), "<proof>")
}

func (s *script) effects(all []Effect) string {
	var b strings.Builder
	for _, e := range all {
		switch e := e.(type) {
		case Connect:
			b.WriteString("connect")
		case Send:
			fmt.Fprintf(&b, "> %s", string(e.Command))
		case ReadCookie:
			s.file = e.Files[0]
			fmt.Fprintf(&b, "read %s", strings.Join(e.Files, ", else "))
		case Hangup:
			fmt.Fprintf(&b, "hang up: %v", e.Err)
		case Changed:
			fmt.Fprintf(&b, "service <%s>: %s", s.names[e.Service.ID], e.Service.State)
			if e.Service.Err != nil {
				fmt.Fprintf(&b, ": %v", e.Service.Err)
			}
		case Answered:
			fmt.Fprintf(&b, "answer %v: %v", e.Token, e.Err)
			if e.Err == nil {
				fmt.Fprintf(&b, " %d %s", e.Reply.Code, e.Reply.Lines[0].Text)
			}
		case Stopped:
			b.WriteString("stopped")
		}
		b.WriteString("\n")
	}
	if at := s.c.Wake(); !at.Equal(s.wake) {
		s.wake = at
		if at.IsZero() {
			b.WriteString("no wake\n")
		} else {
			fmt.Fprintf(&b, "wake at %s\n", at.Sub(s.begin).Round(time.Millisecond))
		}
	}
	return strings.TrimSuffix(s.short(b.String()), "\n")
}

func (s *script) status() string {
	st := s.c.Status()
	var b strings.Builder
	fmt.Fprintf(&b, "%s, tor %q, socks %v, bootstrap %d, circuits %v, offline %v, error %v\n", st.Phase, st.Version, st.Socks, st.Bootstrap, st.Circuits, st.Offline, st.Err)
	for _, one := range st.Services {
		fmt.Fprintf(&b, "service <%s>: %s since %s\n", s.names[one.ID], one.State, one.Since.Sub(s.begin))
	}
	return s.short(b.String())
}
