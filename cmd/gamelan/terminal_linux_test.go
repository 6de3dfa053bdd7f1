package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemon"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// openTerminal returns both ends of a new pseudo-terminal of 120 columns.
func openTerminal(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here: ", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: 120, Row: 40}); err != nil {
		t.Fatal(err)
	}
	return master, terminal
}

// onTerminal runs a command line on a pseudo-terminal and returns what that is sent.
func onTerminal(t *testing.T, stdin string, args ...string) []byte {
	t.Helper()
	master, terminal := openTerminal(t)
	all := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(master) // ends with an error when nobody has the terminal open
		all <- b
	}()
	out := render.On(terminal, terminal)
	if !out.OutTerminal || !out.ErrTerminal {
		t.Fatal("got no terminal")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	run(ctx, args, &app{in: strings.NewReader(stdin), Output: out})
	out.Flush()
	terminal.Close()
	return <-all
}

// hostileText clears the screen, sets a title, goes back in the line, and turns the direction
// of writing.
const hostileText = "p\x1b[2J\x1b]0;t\x07\r\b\u009b1m\u202ep\x9b\xff"

// hostile sets every text in a value to hostileText, to any depth.
func hostile(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostileText)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		hostile(v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(hostileText))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		hostile(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		hostile(key)
		hostile(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(fakeTime))
			return
		}
		for _, field := range v.Fields() {
			if field.CanSet() {
				hostile(field)
			}
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint64:
		v.SetUint(1)
	}
}

func hostileOf[T any]() (v T) {
	hostile(reflect.ValueOf(&v).Elem())
	return v
}

// hostileSource has one actor whose texts strangers chose.
type hostileSource struct{}

func (hostileSource) Actors() []inspect.Actor {
	a := hostileOf[inspect.Actor]()
	a.ID, a.Parent, a.State = "g/node", "", inspect.Running
	return []inspect.Actor{a}
}

func (hostileSource) Ask(context.Context, string) (inspect.Detail, error) {
	return hostileOf[inspect.Detail](), nil
}

type hostileInbox struct{}

func (hostileInbox) Listen(context.Context, inspect.Listening) iter.Seq2[models.Message, error] {
	return func(yield func(models.Message, error) bool) {
		m := hostileOf[models.Message]()
		m.Lost = 0
		yield(m, nil)
	}
}

// hostileSender knows the peer and refuses in a stranger's words.
type hostileSender struct{}

func (hostileSender) Resolve(context.Context, string) (string, error) { return fakePeer, nil }

func (hostileSender) Send(context.Context, inspect.SendRequest) (inspect.Pending, error) {
	return settled{Outcome: models.OutcomeFailed, Reason: hostileText, Detail: hostileText}, nil
}

type hostileDHT struct{}

func (hostileDHT) Prepare(context.Context, inspect.DHTRequest) (inspect.DHTSend, error) {
	return nil, &inspect.Error{Code: inspect.CodeUnknownPeer, Message: hostileText, Hint: hostileText}
}

// serveHostile serves the API of a node in the directory whose every text is hostile.
func serveHostile(t *testing.T, dir string) {
	t.Helper()
	d := nodedir.Named(dir)
	var s inspect.Sections
	node := hostileOf[models.Node]()
	live := hostileOf[models.Connection]()
	live.ClosedAt = time.Time{}
	for name, value := range map[string]any{
		"node": node, "peers": []models.Peer{peerOf(fakePeer), hostileOf[models.Peer]()}, "connections": []models.Connection{live, hostileOf[models.Connection]()},
		"dht": hostileOf[models.DHT](), "network": hostileOf[models.Network](), "admission": hostileOf[models.Admission](), "saf": hostileOf[models.StoreForward](), "inbox": hostileOf[models.InboxShelf](), "kad": hostileOf[models.Kad](),
		"kad-peers": hostileOf[[]models.KadContacts](), "kad-own": hostileOf[[]models.KadPublications](), "ledger": hostileOf[models.Ledger](), "tor": hostileOf[models.Tor](),
	} {
		s.Section(name, func(context.Context) any { return value })
	}
	refuse := func(context.Context, url.Values, []byte) (any, error) {
		return nil, &inspect.Error{Message: hostileText, Hint: hostileText}
	}
	give := func(v any) inspect.Verb {
		return inspect.Verb{Params: []string{"client", "key", "target", "quorum", "max_stale", "find"}, Body: 1 << 16, Do: func(context.Context, url.Values, []byte) (any, error) { return v, nil }}
	}
	server, err := daemon.Serve(d,
		inspect.Options{Source: hostileSource{}, Sections: &s, Messages: hostileInbox{}},
		inspect.Actions{
			Sender: hostileSender{}, DHT: hostileDHT{},
			Verbs: map[string]map[string]inspect.Verb{
				"network":   {"join": {Do: refuse}, "discover": {Params: []string{"key", "for"}, Do: refuse}, "sync": {Do: refuse}},
				"admission": {"admit": {Params: []string{"key"}, Do: refuse}, "unadmit": give(hostileOf[models.Admitted]())},
				"inbox":     {"retry": {Params: []string{"seqs", "all"}, Do: refuse}, "drop": {Params: []string{"seqs", "all"}, Do: refuse}},
				"saf":       {"fetch": {Params: []string{"peers"}, Do: refuse}, "purge": {Params: []string{"to", "all"}, Do: refuse}},
				"kad": {
					"connect": give(hostileOf[models.KadConnected]()), "get": give(hostileOf[models.KadRecord]()), "forget": give(hostileOf[models.KadForgotten]()),
					"put": give(hostileOf[models.KadReport]()),
					"trace": {Params: []string{"client", "target", "find"}, Stream: func(context.Context, url.Values) iter.Seq2[any, error] {
						return func(yield func(any, error) bool) {
							step := hostileOf[models.KadStep]()
							end := models.KadStep{End: step.End}
							step.End = nil
							if yield(step, nil) {
								yield(end, nil)
							}
						}
					}},
				},
			},
			Acknowledge: func(context.Context, []uint64) error { return nil },
		}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		_ = server.Close(now)
	})
}

func peerOf(id string) models.Peer {
	p := hostileOf[models.Peer]()
	p.NodeID, p.PublicKey = id, fakeKey
	return p
}

// own matches what the program itself sends a terminal: progress that replaces itself, a
// clear screen of tree --watch, colours.
var own = regexp.MustCompile(`\r\x1b\[K|^\x1b\[H\x1b\[2J|\x1b\[[0-9]{1,2}m`)

// onTerminals are arguments for each verb; nil: it shows nothing of a stranger.
func onTerminals(file string) map[string][][]string {
	key := strings.Repeat("ab", 32)
	return map[string][][]string{
		"init": nil, "id": {{}}, "node": nil, "seed": nil, "status": {{}}, "health": {{}},
		"send": {{fakePeer, "text"}, {"--to", "broadcast", "text"}, {"--to", "broadcast", "--tag", "2a", "text"}}, "listen": {{"-n", "1"}, {"-n", "1", "--raw"}, {"-n", "1", "--json"}},
		"messages": {{}}, "message": {{hostileText}}, "dht": {{}}, "network status": {{}}, "network sync": {{}},
		"network create": nil, "network add": {{file, fakeKey + "::/ip4/127.0.0.1/tcp/1"}}, "network rotate": {{"begin", file}}, "network file": {{file}},
		"peers admit": {{fakeKey}}, "peers unadmit": {{fakeKey}}, "peers admitted": {{}, {"--json"}},
		"inbox dead": {{}}, "inbox retry": {{"1"}}, "inbox drop": {{"1"}},
		"saf status": {{}}, "saf fetch": {{}}, "saf purge": {{"--all"}},
		"kad status": {{}, {"--own"}}, "kad peers": {{}, {"--buckets"}}, "kad connect": {{"00::/ip4/127.0.0.1/tcp/1"}}, "kad put": {{"value"}},
		"kad get": {{key}, {key, "--json"}}, "kad forget": {{key}}, "kad trace": {{"get", key}, {"find", key}},
		"join": {{}}, "discover": {{fakeKey}},
		"peers list": {{}, {"--json"}}, "peers add": {{fakeKey + "::/ip4/127.0.0.1/tcp/1"}}, "peers name": {{hostileText, fakeKey}}, "peers unname": {{hostileText}}, "peers names": {{}}, "peers forget": {{fakePeer}},
		"peers export": {{}}, "doctor": {{}, {fakePeer}}, "top actors": {{"--count", "1"}}, "top peers": {{"--count", "1"}}, "top conns": {{"--count", "1"}, {"--count", "1", "--json"}}, "actors restart": {{"conns"}}, "actors stop": {{"conns"}}, "drain": {{}}, "log level": {{}}, "trace actor": {{"node/conns", "--limit", "1"}}, "trace peer": {{fakePeer, "--limit", "1"}}, "trace message": {{"2a", "--limit", "1"}}, "failures": {{}}, "deadletters": {{}}, "report": {{"--list", "--doctor", "0s"}}, "token": {{}}, "ui": nil, "events": {{}, {"--follow"}}, "peers import": {{file}}, "conns": {{}, {"--closed"}}, "dial": {{fakePeer}}, "ping": {{fakePeer}}, "disconnect": {{fakePeer}},
		"ban": {{fakePeer}}, "unban": {{fakePeer}}, "why": {{"node"}, {fakePeer}}, "tree": {{}, {"--dot"}}, "interop": nil,
		"show": {{"network"}, {"network", "--json"}, {"kad-peers"}, {"connections"}, {"nosuch"}}, "do": {{"kad", "get", "key=" + key}, {"kad", "get", "key=" + key, "--json"}},
		"store check": {{}}, "demo": nil, "completion": nil, "man": nil, "version": nil,
		"config init": nil, "config check": {{file}}, "config show": nil, "config explain": {{hostileText}},
	}
}

// TestNothingControlsTheTerminal runs every verb on a pseudo-terminal, with a node whose every
// text clears the screen, sets a title and turns the direction of writing: none of it is sent
// to the terminal as it is, as text or as JSON.
func TestNothingControlsTheTerminal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	onTerminal(t, "", "init", "--data-dir", dir)
	serveHostile(t, dir)
	file := filepath.Join(t.TempDir(), "hostile.toml")
	if err := os.WriteFile(file, []byte(hostileText), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := onTerminals(file)
	shown := 0
	for _, v := range model(t) {
		name := strings.TrimPrefix(v.path, "gamelan ")
		if len(v.node.Children) > 0 {
			continue
		}
		calls, ok := lines[name]
		if !ok {
			t.Errorf("%s: got no command line for it, want one in onTerminals", name)
		}
		for _, call := range calls {
			args := slices.Concat(strings.Fields(name), []string{"--data-dir", dir}, call)
			got := onTerminal(t, "", args...)
			if bytes.Contains(got, []byte(`\x1b`)) || bytes.Contains(got, []byte(`\u001b`)) {
				shown++
			}
			wantHarmless(t, strings.Join(args, " "), got)
		}
	}
	if shown < 20 {
		t.Errorf("got hostile text, escaped, in %d outputs, want it in at least 20", shown)
	}
}

// wantHarmless checks what a terminal was sent, which writes a line feed as two characters.
func wantHarmless(t *testing.T, what string, got []byte) {
	t.Helper()
	text := own.ReplaceAll(bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")), nil)
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 || r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			t.Errorf("%s: got %U sent to the terminal:\n%q", what, r, text)
			return
		}
		i += n
	}
}

// TestKeysOfTop types keys on a terminal while top runs: they change what is shown and its order at once, and the terminal
// is as before when top ends, whether by q or by Ctrl-C, which is a key there.
func TestKeysOfTop(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	onTerminal(t, "", "init", "--data-dir", dir)
	serveHostile(t, dir)
	for _, end := range []string{"q", "\x03"} {
		master, terminal := openTerminal(t)
		before, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan int, 1)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		go func() {
			ended <- run(ctx, []string{"top", "--data-dir", dir, "--interval", "1h"}, &app{in: terminal, Output: render.On(terminal, terminal)})
		}()
		var got []byte
		for _, x := range []struct{ until, key string }{
			{"s sort: rate", "c"},
			{"DIR", ""},
			{"s sort: rate", "s"},
			{"DIR", ""},
			{"s sort: bytes", "p"},
			{"connection, at", ""},
			{"s sort: bytes", "x"},
			{"s sort: bytes", "a"},
			{"ACTOR", ""},
			{"s sort: rate", end},
		} {
			for b := make([]byte, 4096); !bytes.Contains(got, []byte(x.until)); {
				n, err := master.Read(b)
				if err != nil {
					t.Fatalf("until %q: %v after %q", x.until, err, got)
				}
				got = append(got, b[:n]...)
			}
			_, got, _ = bytes.Cut(got, []byte(x.until))
			if _, err := master.WriteString(x.key); err != nil {
				t.Fatal(err)
			}
		}
		if code := <-ended; code != 0 {
			t.Errorf("%q: got the code %d", end, code)
		}
		if after, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS); err != nil || *after != *before {
			t.Errorf("%q: got the terminal %+v, %v; want %+v", end, after, err, before)
		}
		terminal.Close()
	}
}
