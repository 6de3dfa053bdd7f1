package prompt

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gamelan-p2p/gamelan/kad/seed"
)

func service(t *testing.T) (*seed.Service, string) {
	t.Helper()
	n, err := seed.UDP(seed.UDPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := seed.New(nil, 0, 0, 0, 0, 0)
	if err := s.RegisterGateway(n); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	c, err := s.Client()
	if err != nil {
		t.Fatal(err)
	}
	return s, string(c.Addresses()[0])
}

// TestVerbs types each verb, right and wrong.
//
// conforms: kad 15
func TestVerbs(t *testing.T) {
	s, _ := service(t)
	_, other := service(t)
	for _, c := range []struct{ line, want string }{
		{"status", `^0 known peers$`},
		{"query key", `^not found$`},
		{"save key value", `^saved$`},
		{"query key", `^value$`},
		{`save "my key" 'my "value"'`, `^saved$`},
		{`  query   "my key"  `, `^my "value"$`},
		{`save empty ""`, `^saved$`},
		{"query empty", `^$`},
		{"connect " + other, fmt.Sprintf(`^connected to [0-9a-f]{40} at %s$`, other)},
		{"status", `^1 known peers$`},
		{"connect nowhere", `^failed: kad: no usable address`},
		{"help", `connect <multiaddr>`},
		{"save key", `^save takes 2 arguments, got 1; try help$`},
		{"sing", `^unknown verb "sing"; try help$`},
		{`save "key`, `^a quote has no end`},
		{"save long " + strings.Repeat("x", 1305), `^failed: kad: 1305 bytes, and seed udp .* takes at most 1304$`},
	} {
		var out strings.Builder
		if err := run(t.Context(), strings.NewReader("\n"+c.line+"\n"), &out, s); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSuffix(out.String(), "\n"); !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("%.40s: got %q, want %s", c.line, got, c.want)
		}
	}
}

// TestServe types verbs, right and wrong, for a node of its own.
func TestServe(t *testing.T) {
	var out strings.Builder
	lines := "help\nsave \"my key\" \"my value\"\nquery \"my key\"\nsave alone\njump\nstatus\n"
	if err := Serve(t.Context(), "/ip4/127.0.0.1/udp/0", strings.NewReader(lines), &out); err != nil {
		t.Fatal(err)
	}
	want := `\Alistening on /ip4/127\.0\.0\.1/udp/[0-9]+\n` + regexp.QuoteMeta(help) +
		`saved\nmy value\nsave takes 2 arguments, got 1; try help\nunknown verb "jump"; try help\n0 known peers\n\z`
	if got := out.String(); !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("got %q, want %s", got, want)
	}
	out.Reset()
	err := Serve(t.Context(), "/ip4/127.0.0.1/tcp/1", strings.NewReader(""), &out)
	if err == nil || !strings.HasSuffix(err.Error(), "; give an address such as /ip4/0.0.0.0/udp/12345") || out.Len() > 0 {
		t.Errorf("an address of TCP: got %v and %q, want an error that says what to give", err, out.String())
	}
}

// TestNothingControlsTheTerminal types bytes that clear the screen, set a title, go back in the
// line and turn the direction of writing, wherever a verb takes a word. None is written as it is.
func TestNothingControlsTheTerminal(t *testing.T) {
	const hostile = "p\x1b[2J\x1b]0;t\x07\b\u009b1m\u202ep\x9b\xff"
	s, _ := service(t)
	for _, line := range []string{
		"save key \"" + hostile + "\"\nquery key", "save \"" + hostile + "\" value\nquery \"" + hostile + "\"", "connect " + hostile, "query " + hostile, hostile, "help " + hostile,
	} {
		var out strings.Builder
		if err := run(t.Context(), strings.NewReader(line+"\n"), &out, s); err != nil {
			t.Fatal(err)
		}
		if !utf8.ValidString(out.String()) {
			t.Errorf("%q: got %q, want UTF-8", line, out.String())
		}
		for _, r := range out.String() {
			if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Errorf("%q: got %U in %q", line, r, out.String())
				break
			}
		}
		if line[:8] == "save key" && !strings.Contains(out.String(), `p\x1b[2J\x1b]0;t\a\b`) {
			t.Errorf("%q: got %q, want the value, escaped", line, out.String())
		}
	}
}

func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		"":                nil,
		" \t ":            nil,
		"a b":             {"a", "b"},
		`a "" b`:          {"a", "", "b"},
		`"a b"c d`:        {"a bc", "d"},
		`'it"s' "it's"`:   {`it"s`, "it's"},
		"query schlüssel": {"query", "schlüssel"},
	} {
		if got, err := split(line); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %q and %v, want %q", line, got, err, want)
		}
	}
}
