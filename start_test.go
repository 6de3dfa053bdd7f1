package gamelan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/memory"
)

const loopback = "/ip4/127.0.0.1/tcp/0"

// wantNoStart expects that cfg does not start, for a reason that is want and
// that is told in one line with each of the words in it once.
func wantNoStart(t *testing.T, cfg gamelan.Config, want error, words ...string) {
	t.Helper()
	n, err := gamelan.Start(t.Context(), cfg)
	if err == nil {
		n.Close(context.Background())
		t.Fatal("got a node that runs, want an error")
	}
	if !errors.Is(err, want) {
		t.Errorf("got %q, want one that is %q", err, want)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("got %q, want one line", err)
	}
	for _, w := range words {
		if got := strings.Count(err.Error(), w); got != 1 {
			t.Errorf("got %q with %q in it %d times, want once", err, w, got)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  gamelan.Config
		want error
		word string
	}{
		"network":           {gamelan.Config{Network: "foonet"}, gamelan.ErrConfig, "use localnet"},
		"release":           {gamelan.Config{Release: "9"}, gamelan.ErrConfig, "use 6.2"},
		"profile":           {gamelan.Config{Profile: &protocol.Profile{Name: "none"}}, gamelan.ErrConfig, "Profile"},
		"listen":            {gamelan.Config{Listen: []string{"here"}}, gamelan.ErrConfig, "write it as"},
		"nobody's":          {gamelan.Config{Listen: []string{"/ip4/127.0.0.1/udp/1"}}, gamelan.ErrConfig, "; use"},
		"six addresses":     {gamelan.Config{PublicAddresses: strings.Fields(strings.Repeat("/ip4/127.0.0.1/tcp/1 ", 6))}, address.ErrNotAdvertised, "remove some"},
		"link-local":        {gamelan.Config{Network: "igor", Listen: []string{loopback}, PublicAddresses: []string{"/ip4/169.254.0.1/tcp/1"}}, address.ErrNotAdvertised, "use a public address"},
		"none to tell":      {gamelan.Config{Network: "igor", Listen: []string{loopback}}, gamelan.ErrConfig, "ListenNowhere"},
		"user agent":        {gamelan.Config{UserAgent: strings.Repeat("x", 51-len(" gamelan/"+gamelan.Version))}, gamelan.ErrConfig, fmt.Sprintf("at most %d are left before \" gamelan/", 50-len(" gamelan/"+gamelan.Version))},
		"user agent, ours":  {gamelan.Config{UserAgent: "gamelan/" + strings.Repeat("x", 43)}, gamelan.ErrConfig, "at most 50"},
		"user agent, bytes": {gamelan.Config{UserAgent: "caf\xc3\xa9"}, gamelan.ErrConfig, "printable ASCII"},
		"seed":              {gamelan.Config{Seeds: []string{"me"}}, gamelan.ErrConfig, "write it as"},
		"negative":          {gamelan.Config{MaxPeers: -1}, gamelan.ErrConfig, "leave it 0"},
		"credit of peers":   {gamelan.Config{PeerCredit: 1 << 30}, gamelan.ErrConfig, "raise NodeCredit"},
		"credit of one":     {gamelan.Config{NodeCredit: 8 << 20, PeerCredit: 2 << 20}, gamelan.ErrConfig, "an eighth of NodeCredit"},
		"multiplexer":       {gamelan.Config{Mux: gamelan.MuxConfig{Window: 5}}, gamelan.ErrConfig, "Mux.Window"},
		"negative of DHT":   {gamelan.Config{DHT: &gamelan.DHTConfig{SendPace: -1}}, gamelan.ErrConfig, "DHT.SendPace"},
		"relay bytes":       {gamelan.Config{DHT: &gamelan.DHTConfig{RelayBytes: 1<<30 + 1}}, gamelan.ErrConfig, "is above 1073741824"},
		"shards":            {gamelan.Config{DHT: &gamelan.DHTConfig{Shards: 257}}, gamelan.ErrConfig, "is above 256"},
		"DHT and NoDHT":     {gamelan.Config{DHT: &gamelan.DHTConfig{}, NoDHT: true}, gamelan.ErrConfig, "leave one of them out"},
		"plain on profile":  {gamelan.Config{PlainOnProfile: true}, gamelan.ErrConfig, "set NoDHT as well"},
		"two plain ids":     {gamelan.Config{NoDHT: true, PlainOnProfile: true, PlainID: "t-plain"}, gamelan.ErrConfig, "leave one of them out"},
		"plain id":          {gamelan.Config{PlainID: "a,b"}, protocol.ErrBadID, "PlainID"},
		"plain as DHT":      {gamelan.Config{PlainID: string(protocol.MessagingID)}, gamelan.ErrConfig, "choose another"},
		"plain as profile":  {gamelan.Config{NoDHT: true, PlainID: string(protocol.MessagingID)}, gamelan.ErrConfig, "PlainOnProfile"},
		"plain as marker":   {gamelan.Config{PlainID: string(protocol.DHTMarker)}, gamelan.ErrConfig, "choose another"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			c.cfg.DataDir = dir
			wantNoStart(t, c.cfg, c.want, c.word)
			if name == "none to tell" || name == "nobody's" || name == "link-local" || name == "six addresses" {
				return // found out later
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("data directory of a config that does not work: got %v, want none made", err)
			}
		})
	}
}

// TestMultiplexerIsChecked has two settings of the multiplexer wrong: both are
// reported.
func TestMultiplexerIsChecked(t *testing.T) {
	err := gamelan.Config{Mux: gamelan.MuxConfig{Window: 5, PingTimeout: -1}}.Validate()
	for _, field := range []string{"Mux.Window", "Mux.PingTimeout"} {
		if !errors.Is(err, gamelan.ErrConfig) || !errors.Is(err, mux.ErrConfig) || !strings.Contains(err.Error(), field) {
			t.Errorf("got %v, want %s reported", err, field)
		}
	}
}

// TestWhatIsAdvertisedByDefault: with no address configured a node tells those it
// listens on that pass on its network, and one without any does not start.
//
// conforms: V 3
func TestWhatIsAdvertisedByDefault(t *testing.T) {
	listening := start(t, gamelan.Config{Listen: []string{loopback}}, nil)
	if got, want := fmt.Sprint(listening.Addresses()), fmt.Sprint(listening.Listening()); got != want {
		t.Errorf("loopback on localnet: got %s, want %s", got, want)
	}

	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	everywhere := start(t, gamelan.Config{Listen: []string{"/ip4/0.0.0.0/tcp/0"}}, nil)
	port, err := everywhere.Listening()[0].ValueForProtocol(ma.P_TCP)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range interfaces {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() && len(want) < 5 {
			want = append(want, "/ip4/"+ip.IP.String()+"/tcp/"+port)
		}
	}
	if want == nil { // a machine without a network
		want = []string{"/ip4/127.0.0.1/tcp/" + port}
	}
	if got, want := fmt.Sprint(everywhere.Addresses()), fmt.Sprint(want); got != want {
		t.Errorf("an unspecified address on localnet: got %s, want %s", got, want)
	}
	wantNoStart(t, gamelan.Config{Network: "igor", Listen: []string{loopback}}, gamelan.ErrConfig, "set one that can")
	wantNoStart(t, gamelan.Config{Network: "igor", PublicAddresses: []string{"/ip4/169.254.0.1/tcp/1"}}, gamelan.ErrConfig, "cannot be reached from outside")

	inMemory := func(cfg gamelan.Config) (*gamelan.Node, error) {
		cfg.Listen = []string{"/memory/0"}
		return gamelan.Start(t.Context(), cfg, gamelan.WithTransport(memory.NewNetwork().Transport()))
	}
	n, err := inMemory(gamelan.Config{Network: "igor"})
	if err != nil {
		t.Fatalf("in memory on igor: got %v, want a node that tells its address in memory", err)
	}
	if got, want := fmt.Sprint(n.Addresses()), fmt.Sprint(n.Listening()); got != want {
		t.Errorf("in memory on igor: got %s, want %s", got, want)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Error(err)
	}
	profile := protocol.Tari(protocol.Igor)
	if n, err := inMemory(gamelan.Config{Profile: &profile}); !errors.Is(err, gamelan.ErrConfig) {
		t.Errorf("in memory with a profile that has test addresses off: got %v, want %v", err, gamelan.ErrConfig)
		if err == nil {
			n.Close(t.Context())
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, opt := range map[string]gamelan.Option{
		"handler":   gamelan.WithHandler(nil),
		"protocol":  gamelan.WithProtocol("/p", nil),
		"long id":   gamelan.WithProtocol(protocol.ID(strings.Repeat("x", 51)), newEcho),
		"transport": gamelan.WithTransport(nil),
		"system":    gamelan.WithSystem(nil),
	} {
		if n, err := gamelan.Start(t.Context(), gamelan.Config{}, opt); err == nil {
			n.Close(context.Background())
			t.Errorf("%s: got a node that runs, want an error", name)
		}
	}
}

// TestInboxHasRoomForTheLargest: a node with an inbox starts only if the largest message can be
// kept, also the largest one over the DHT if such messages are kept.
func TestInboxHasRoomForTheLargest(t *testing.T) {
	body := protocol.Tari(protocol.LocalNet).Limits.MessageBody
	for _, types := range [][]int32{nil, {1001}} {
		least := gamelan.InboxLeast(body, types != nil)
		for _, most := range []int64{least - 1, least} {
			n, err := gamelan.Start(t.Context(), gamelan.Config{}, gamelan.WithInbox(gamelan.InboxConfig{MaxBytes: most, Types: types}))
			switch {
			case err == nil && most < least:
				t.Errorf("types %v: got a node with %d bytes, want an error", types, most)
			case err != nil && (most == least || !strings.Contains(err.Error(), fmt.Sprintf("want at least %d", least))):
				t.Errorf("types %v, %d bytes: got %v", types, most, err)
			}
			if err == nil {
				n.Close(context.Background())
			}
		}
	}
}

func TestPortInUse(t *testing.T) {
	a := start(t, gamelan.Config{}, nil)
	wantNoStart(t, gamelan.Config{Listen: []string{loopback, a.Listening()[0].String()}}, transport.ErrAddressInUse,
		"already in use", "choose another port")
}

func TestDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	start(t, gamelan.Config{DataDir: dir}, nil)
	wantNoStart(t, gamelan.Config{DataDir: dir}, kv.ErrLocked, dir, "stop that node")
}

func TestDirectoryIsAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := gamelan.Start(t.Context(), gamelan.Config{DataDir: file})
	if err == nil {
		n.Close(context.Background())
	}
	if err == nil || !strings.Contains(err.Error(), "; ") {
		t.Errorf("got %v, want an error with a remedy", err)
	}
}

func TestIdentityIsNotGuessed(t *testing.T) {
	for name, c := range map[string]struct {
		content func(good string) string
		mode    os.FileMode
		want    error
	}{
		"others can read": {func(good string) string { return good }, 0o644, gamelan.ErrIdentityOpen},
		"truncated":       {func(good string) string { return good[:len(good)/2] }, 0o600, gamelan.ErrIdentityDamaged},
		"empty":           {func(string) string { return "" }, 0o600, gamelan.ErrIdentityDamaged},
		"newer":           {func(good string) string { return strings.Replace(good, `"version": 1`, `"version": 2`, 1) }, 0o600, gamelan.ErrIdentityNewer},
		"other network":   {func(good string) string { return strings.Replace(good, "localnet", "nonet", 1) }, 0o600, gamelan.ErrIdentityDamaged},
		"other key": {func(good string) string {
			return strings.Replace(good, `"public_key": "`, `"public_key": "00`, 1)
		}, 0o600, gamelan.ErrIdentityDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := gamelan.CreateIdentity(dir, protocol.LocalNet); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, gamelan.IdentityFile)
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			bad := c.content(string(good))
			if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			wantNoStart(t, gamelan.Config{DataDir: dir}, c.want, path)
			if got, err := os.ReadFile(path); err != nil || string(got) != bad {
				t.Errorf("got a file that was changed (%v), want it untouched", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "peers")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("peer store: got %v, want none made", err)
			}
		})
	}
}

func TestNetworkOfTheIdentity(t *testing.T) {
	dir := t.TempDir()
	if _, err := gamelan.CreateIdentity(dir, protocol.Esmeralda); err != nil {
		t.Fatal(err)
	}
	public := []string{"/ip4/8.0.0.1/tcp/1"}
	wantNoStart(t, gamelan.Config{DataDir: dir, Network: "igor"}, gamelan.ErrConfig, "esmeralda")
	profile := protocol.Tari(protocol.Igor)
	wantNoStart(t, gamelan.Config{DataDir: dir, Profile: &profile}, gamelan.ErrConfig, "esmeralda")
	for _, network := range []string{"", "esme", "esmeralda"} {
		n, err := gamelan.Start(t.Context(), gamelan.Config{DataDir: dir, Network: network, Listen: []string{loopback}, PublicAddresses: public})
		if err != nil {
			t.Fatalf("network %q: %v", network, err)
		}
		if got := n.Profile().Network; got != protocol.Esmeralda {
			t.Errorf("network %q: got %v, want esmeralda", network, got)
		}
		if err := n.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestIdentityIsMadeForTheProfile(t *testing.T) {
	dir := t.TempDir()
	profile := protocol.Tari(protocol.Igor)
	start(t, gamelan.Config{DataDir: dir, Profile: &profile, Listen: []string{loopback}, PublicAddresses: []string{"/ip4/8.0.0.1/tcp/1"}}, nil)
	if id, err := gamelan.LoadIdentity(dir); err != nil || id.Network != protocol.Igor {
		t.Errorf("got an identity for %v, %v, want one for igor", id.Network, err)
	}
}

func TestStartWithAContextThatHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n, err := gamelan.Start(ctx, gamelan.Config{})
	if err == nil {
		n.Close(context.Background())
	}
	if !errors.Is(err, context.Canceled) || strings.Count(err.Error(), "canceled") != 1 {
		t.Errorf("got %v, want that the context was canceled, once", err)
	}
}

// TestStartThatFailsLeavesNothing starts again what did not start.
func TestStartThatFailsLeavesNothing(t *testing.T) {
	busy := start(t, gamelan.Config{}, nil)
	sys := gamelan.NewSystem(discard)
	undisturbed(t, func(dir string) bool {
		free := loopback
		for range 2 {
			wantNoStart(t, gamelan.Config{DataDir: dir, Listen: []string{free, busy.Listening()[0].String()}}, transport.ErrAddressInUse)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := gamelan.Start(ctx, gamelan.Config{DataDir: dir, Listen: []string{free}}, gamelan.WithSystem(sys), gamelan.WithLogger(discard)); err == nil {
				t.Fatal("got a node that runs, want an error")
			}
			n, err := gamelan.Start(t.Context(), gamelan.Config{DataDir: dir, Listen: []string{free}}, gamelan.WithSystem(sys))
			if errors.Is(err, transport.ErrAddressInUse) {
				t.Logf("after a start that failed: %v", err)
				return false
			}
			if err != nil {
				t.Fatalf("after a start that failed: %v", err)
			}
			free = n.Listening()[0].String() // must be free again the next time
			if err := n.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return true
	})
}

func TestWhatIsKept(t *testing.T) {
	dir := t.TempDir()
	friend, enemy := start(t, gamelan.Config{}, nil), start(t, gamelan.Config{}, nil)
	n, err := gamelan.Start(t.Context(), gamelan.Config{DataDir: dir, Seeds: []string{friend.Seed()}})
	if err != nil {
		t.Fatal(err)
	}
	id := n.ID()
	if err := n.Peers().Ban(t.Context(), enemy.ID(), 1<<40, "a test"); err != nil {
		t.Error(err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	again := start(t, gamelan.Config{DataDir: dir}, nil)
	if again.ID() != id {
		t.Errorf("id: got %s, want %s", again.ID(), id)
	}
	if _, err := again.Dial(t.Context(), friend.ID()); err != nil {
		t.Errorf("dial a peer that an earlier run knew: %v", err)
	}
	if _, err := again.Peers().AddSeed(t.Context(), enemy.Seed()); err != nil {
		t.Error(err)
	}
	if _, err := again.Dial(t.Context(), enemy.ID()); err == nil || !strings.Contains(err.Error(), "a test") {
		t.Errorf("dial a peer that an earlier run banned: got %v, want the reason of the ban", err)
	}
}

func TestSeveralNodesInOneSystem(t *testing.T) {
	sys := actor.NewActorSystem()
	secret, err := identity.ParseSecret(strings.Repeat("07", 31) + "00")
	if err != nil {
		t.Fatal(err)
	}
	var nodes []*gamelan.Node
	for _, s := range []*identity.Secret{secret, nil, nil} {
		n, err := gamelan.Start(t.Context(), gamelan.Config{Secret: s}, gamelan.WithSystem(sys))
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close(context.Background())
		nodes = append(nodes, n)
	}
	if n, err := gamelan.Start(t.Context(), gamelan.Config{Secret: secret}, gamelan.WithSystem(sys)); err == nil {
		n.Close(context.Background())
		t.Error("one identity twice in one system: got a node that runs, want an error")
	}
	if err := nodes[1].Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := nodes[0].Peers().AddSeed(t.Context(), nodes[2].Seed()); err != nil {
		t.Fatal(err)
	}
	if _, err := nodes[0].Dial(t.Context(), nodes[2].ID()); err != nil {
		t.Errorf("the others, when one of them has closed: %v", err)
	}
}

// eager uses its node from the moment it is started.
type eager struct {
	n    *gamelan.Node
	done chan<- error
}

func (e eager) Receive(c actor.Context) {
	if _, ok := c.Message().(*actor.Started); !ok {
		return
	}
	supervisor.Go(c, "eager", nil, func(ctx context.Context) error {
		if _, err := e.n.Status(ctx); err != nil {
			return err
		}
		if _, err := e.n.Send(ctx, identity.NodeID{1}, nil); err != nil {
			return err
		}
		if err := e.n.Err(); err != nil {
			return err
		}
		if e.n.Inspection().Tree().PID().Id != nodetest.Trunk(e.n).Top().Id {
			return errors.New("another tree")
		}
		e.done <- nil
		return nil
	})
}

// sleeper makes starting take its time.
type sleeper struct{}

func (sleeper) Receive(c actor.Context) {
	if _, ok := c.Message().(*actor.Started); ok {
		time.Sleep(time.Second)
	}
}

// TestNodeInTheHandsOfItsActors has an actor use the node while Start has not
// returned.
func TestNodeInTheHandsOfItsActors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := make(chan error, 1)
		n, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{gamelan.ListenNowhere}}, gamelan.WithLogger(discard),
			gamelan.WithHandler(func(n *gamelan.Node) actor.Actor { return eager{n, done} }),
			gamelan.WithProtocol("/sleep", func(*gamelan.Node) actor.Actor { return sleeper{} }))
		if err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Error("got no answer from the actor's task")
		}
		if err := n.Close(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
	})
}

// TestOnlyDials: on a public network, a node that only dials starts with the address that the error
// without one recommends, whatever addresses the machine has.
func TestOnlyDials(t *testing.T) {
	const recommended = "/ip4/10.0.0.1/tcp/18189"
	n, err := gamelan.Start(t.Context(), gamelan.Config{Network: "igor", Listen: []string{gamelan.ListenNowhere}, PublicAddresses: []string{recommended}},
		gamelan.WithLogger(discard))
	if err != nil {
		t.Fatalf("got %v, want a node", err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestLoggerByDefault: a program that sets no logger has no log of who comes and goes on its output.
func TestLoggerByDefault(t *testing.T) {
	var b bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&b, nil)))
	defer slog.SetDefault(before)
	n, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{gamelan.ListenNowhere}})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "level=INFO") {
		t.Errorf("got\n%s\nwant no messages below a warning", &b)
	}
}
