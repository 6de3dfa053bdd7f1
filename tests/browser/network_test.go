package browser

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/control"
)

// hostile is what strangers write wherever they can: it would act if it were markup.
const hostile = `<img src=x onerror=taken=1><script>taken=1</script>"'`

// walled is a port that the firewall of this machine drops, see tools/tests.sh.
const walled = 20199

// shop is the node that is looked at, with what is wrong in it.
type shop struct {
	*gamelan.Node
	dir    string
	others []*gamelan.Node
	alone  identity.NodeID // the peer behind the firewall
	key    string          // its public key
}

// fails panics on each string, and does not end on each number.
type fails struct {
	never chan struct{}
	says  string
}

func (f fails) String() string { return f.says }

func (f fails) Inspect() any { return map[string]string{f.says: f.says} }

func (f fails) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case string:
		panic(m)
	case int:
		<-f.never
	}
}

// lone starts a node that dials nobody.
func lone(t *testing.T) *shop {
	t.Helper()
	s := &shop{dir: filepath.Join(t.TempDir(), "lone")}
	var err error
	c := gamelan.Config{DataDir: s.dir, Network: "localnet", Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Floor: gamelan.NoFloor}
	if s.Node, err = gamelan.Start(t.Context(), c, gamelan.WithLogger(slog.New(slog.DiscardHandler))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.Background()) })
	s.serves(t)
	return s
}

// serves lets programs look at the node.
func (s *shop) serves(t *testing.T) {
	t.Helper()
	api, err := control.Serve(s.dir, s.Inspection().Options, control.Actions(s.Node, control.Options{}), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close(context.Background()) })
}

// opened starts five nodes: the shop, and four others. All that strangers and actors write is says. The shop has an
// actor that is stuck, one that fails again and again, messages to nobody, and a peer behind a firewall.
func opened(t *testing.T, says string) *shop {
	t.Helper()
	s := &shop{dir: filepath.Join(t.TempDir(), "shop")}
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	start := func(dir string, c gamelan.Config, opts ...gamelan.Option) *gamelan.Node {
		t.Helper()
		c.DataDir, c.Network = dir, "localnet"
		c.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
		n, err := gamelan.Start(t.Context(), c, append(opts, gamelan.WithLogger(slog.New(slog.DiscardHandler)))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if err := n.Close(ctx); err != nil && !strings.Contains(err.Error(), "stuck") {
				t.Log(err)
			}
		})
		return n
	}
	is := func(a actor.Actor) gamelan.NewActor { return func(*gamelan.Node) actor.Actor { return a } }
	s.Node = start(s.dir, gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{}),
		gamelan.WithActor("cashier", is(fails{never, says})), gamelan.WithActor("printer", is(fails{never, says})),
		gamelan.WithSection("stock", func(context.Context) any {
			return map[string]any{"note": says, "jars": []map[string]any{{"name": says, "bytes": 12}}}
		}))
	s.serves(t)
	for i := range 4 {
		c := gamelan.Config{}
		if i == 0 {
			c.UserAgent = says[:min(len(says), 28)]
		}
		n := start("", c, gamelan.WithMessages(func(context.Context, gamelan.Message) error { return nil }))
		if _, err := n.Peers().AddSeed(t.Context(), s.Seed()); err != nil {
			t.Fatal(err)
		}
		s.others = append(s.others, n)
	}
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s.key = secret.PublicKey().String()
	if s.alone, err = s.Peers().AddSeed(t.Context(), fmt.Sprintf("%s::/ip4/127.0.0.1/tcp/%d", s.key, walled)); err != nil {
		t.Fatal(err)
	}
	root := s.System().Root
	cashier, _ := s.Actor("cashier")
	for i := range 20 {
		root.Send(cashier, i)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	t.Cleanup(func() { cancel(); done.Wait() })
	done.Go(func() { // something to see: messages, panics, letters to nobody
		for i := 0; ctx.Err() == nil; i++ {
			if printer, ok := s.Actor("printer"); ok && i%20 == 0 {
				root.Send(printer, says)
			}
			if i%10 == 0 {
				root.Send(s.System().NewLocalPID(cashier.Id+"/gone"), "letter")
			}
			to := s.others[i%len(s.others)]
			_, _ = s.Send(ctx, to.ID(), []byte(says))
			_, _ = to.Send(ctx, s.ID(), []byte(says))
			if i%5 == 0 { // one sends most
				_, _ = s.others[0].Send(ctx, s.ID(), make([]byte, 20_000))
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	done.Go(func() { _, _ = s.Dial(ctx, s.alone) })
	return s
}

var link = regexp.MustCompile(`http://127\.0\.0\.1:\d+/\S+`)

// served is a gamelan ui that runs.
type served struct {
	at   string // the address that it writes
	stop func()
}

// ui runs gamelan ui, and returns the address that it writes.
func (s *shop) ui(t *testing.T) string {
	t.Helper()
	return s.start(t).at
}

// start runs gamelan ui.
func (s *shop) start(t *testing.T, flags ...string) served {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, program(t), append([]string{"ui", "--no-browser", "--data-dir", s.dir}, flags...)...)
	var out lines
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		cancel()
		if err := cmd.Wait(); err != nil && !errors.Is(err, context.Canceled) {
			t.Logf("gamelan ui: %v\n%s", err, out.String())
		}
	})
	t.Cleanup(stop)
	for begin := time.Now(); time.Since(begin) < 20*time.Second; time.Sleep(20 * time.Millisecond) {
		if at := link.FindString(out.String()); at != "" {
			return served{at, stop}
		}
	}
	t.Fatalf("gamelan ui writes no address:\n%s", out.String())
	return served{}
}

var build sync.Once

// program returns the command gamelan: that of GAMELAN_PROGRAM, or one that is built now.
func program(t *testing.T) string {
	t.Helper()
	at := os.Getenv("GAMELAN_PROGRAM")
	if at != "" {
		return at
	}
	at = filepath.Join(os.TempDir(), fmt.Sprintf("gamelan-browser-%d", os.Getpid()))
	build.Do(func() {
		cmd := exec.Command("go", "build", "-o", at, "./cmd/gamelan")
		cmd.Dir = "../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	})
	return at
}

func TestMain(m *testing.M) {
	code := m.Run()
	os.Remove(filepath.Join(os.TempDir(), fmt.Sprintf("gamelan-browser-%d", os.Getpid())))
	os.Exit(code)
}

// lines is what a program writes.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
