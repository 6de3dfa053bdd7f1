package onion

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// startBehind starts a node behind a Tor that has no network.
func startBehind(t *testing.T, d *daemon, dir string, more ...func(*gamelan.Config)) (*gamelan.Node, error) {
	t.Helper()
	cfg := gamelan.Config{
		DataDir: dir, Transport: gamelan.TransportTor, Tor: gamelan.TorConfig{ControlAddress: "/unix" + d.control},
		SOCKS: gamelan.SOCKSConfig{Address: "/ip4/127.0.0.1/tcp/9"},
	}
	for _, f := range more {
		f(&cfg)
	}
	n, err := gamelan.Start(t.Context(), cfg, gamelan.WithLogger(slog.New(slog.DiscardHandler)))
	if err == nil {
		t.Cleanup(func() { n.Close(context.Background()) })
	}
	return n, err
}

// awaitTor waits for a state of the node's Tor.
func awaitTor(t *testing.T, n *gamelan.Node, what string, so func(gamelan.TorStatus) bool) {
	t.Helper()
	limit := time.Now().Add(time.Minute)
	for {
		s, ok := n.Tor()
		if ok && so(s) {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("waited a minute for: %s; got %+v", what, s)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// onions returns what Tor says of services.
func (d *daemon) onions(t *testing.T) string {
	r := drive(t, d, d.auth())
	r.until("ready", r.ready)
	reply, err := r.ask("GETINFO", "onions/detached", "onions/current")
	if err != nil {
		t.Fatal(err)
	}
	v, _ := reply.Value("onions/detached")
	return v
}

// TestNodeBehindTor has a node keep its onion service through the ends of Tor and of the
// node, with one address, which is stored before Tor hears of it.
func TestNodeBehindTor(t *testing.T) {
	d := startTor(t, "CookieAuthentication 1")
	dir := t.TempDir()
	byCookie := func(c *gamelan.Config) { c.Tor.ControlAuth = d.auth() }
	n, err := startBehind(t, d, dir, byCookie)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, gamelan.TorIdentityFile))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, gamelan.TorIdentityFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, %v, want 0600", info.Mode(), err)
	}
	kept, err := tor.ParseIdentity(text)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := n.Tor()
	if want, _ := kept.Key.ID().Multiaddr(18141); s.Service.State != tor.Added || !s.Onion.Equal(want) {
		t.Errorf("got %s of %s, want added of %s", s.Service.State, s.Onion, want)
	}
	if s.Trouble() == "" || strings.Contains(s.Trouble(), "install") {
		t.Errorf("got %q, want that Tor has no network", s.Trouble())
	}
	if got := n.Addresses(); len(got) != 0 {
		t.Errorf("got %v advertised before the service is published, want nothing", got)
	}

	d.kill()
	awaitTor(t, n, "Tor is away", func(s gamelan.TorStatus) bool { return s.Phase != tor.Ready && s.Err != nil })
	if s, _ := n.Tor(); !strings.Contains(s.Trouble(), "install the package tor") {
		t.Errorf("got %q, want what to install", s.Trouble())
	}
	d.start()
	awaitTor(t, n, "the same service", func(s gamelan.TorStatus) bool { return s.Service.State == tor.Added && s.Service.ID == kept.Key.ID() })

	if err := n.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if left := d.onions(t); left != "" {
		t.Errorf("got %q left in Tor, want nothing", left)
	}
	again, err := startBehind(t, d, dir, byCookie)
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := again.Tor(); s.Service.ID != kept.Key.ID() {
		t.Errorf("got %s after a start, want %s", s.Service.ID, kept.Key.ID())
	}
}

// TestStartWithoutTor has a start fail in one sentence that says what to do.
func TestStartWithoutTor(t *testing.T) {
	d := startTor(t, hashed(t, "secret"))
	for name, c := range map[string]struct {
		change func(*gamelan.Config)
		want   string
	}{
		"nobody listens": {func(c *gamelan.Config) { c.Tor.ControlAddress = "/unix" + d.dir + "/nobody" }, "install the package tor"},
		"a password":     {func(*gamelan.Config) {}, "wants a password"},
		"another":        {func(c *gamelan.Config) { c.Tor.ControlAuth = "password=other" }, "correct the password"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := startBehind(t, d, t.TempDir(), c.change)
			if _, ok := errors.AsType[*tor.StartError](err); !ok || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want a StartError with %q", err, c.want)
			}
		})
	}
}
