package kadrepl

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/actors/kad"
	"github.com/gamelan-p2p/gamelan/actors/kad/seed"
)

func service(t *testing.T) (*seed.Service, string) {
	t.Helper()
	n, err := kad.SeedUDP(kad.SeedUDPOptions{})
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
		if err := Run(t.Context(), strings.NewReader("\n"+c.line+"\n"), &out, s); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSuffix(out.String(), "\n"); !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("%.40s: got %q, want %s", c.line, got, c.want)
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
