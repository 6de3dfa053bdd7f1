package ticket

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/disguise"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/control"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// TestProgramStaysOut plants secrets in what a program tells its node, and in names that only the node knows: the settings of the
// command have none of them. The examination has no time to end, and its steps are there.
func TestProgramStaysOut(t *testing.T) {
	secrets := planted{}
	top, err := os.MkdirTemp("", "g") //nolint:usetesting // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(top)
	dir := nodedir.Dir{Path: filepath.Join(top, "bob")}
	mute, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	key := func() string {
		id, err := identity.NewSecret(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return id.PublicKey().String()
	}
	admit := errors.New("because " + secrets.text("why a peer is not admitted") + "\nand " + secrets.text("more of it"))
	carol, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{"/ip4/127.0.0.1/tcp/0"}}, gamelan.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	defer carol.Close(context.Background())
	mine := models.Notice{
		Code: "orders_wait", Severity: models.Degraded, What: secrets.text("a notice"), Step: secrets.text("its step"), Args: map[string]string{"order": secrets.text("its argument")},
	}
	borrowed := codes.ClockOff.Notice(secrets.text("a notice with a code of the library"), secrets.text("its argument, too"))
	ofPart := codes.ListenerSilent.Notice(secrets.text("a notice of a part"), secrets.text("the argument of a part"))
	bob, err := gamelan.Start(t.Context(), gamelan.Config{
		DataDir: dir.Path, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Seeds: []string{key() + "::/ip4/127.0.0.1/tcp/" + portOf(mute)},
		Discovery: gamelan.DiscoveryConfig{SeedNames: []string{secrets.text("a name of seeds") + ".invalid"}},
		Admit: func(key identity.PublicKey) error {
			if key == carol.PublicKey() {
				return admit
			}
			return nil
		},
	},
		gamelan.WithLogger(slog.New(slog.DiscardHandler)), gamelan.WithNotices(func() models.Notices { return models.Notices{mine, borrowed} }),
		gamelan.WithPart(func(*gamelan.Node) (gamelan.Part, error) {
			return gamelan.Part{Name: "orders", Warnings: func() models.Notices { return models.Notices{ofPart} }}, nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer bob.Close(context.Background())
	server, err := control.Serve(dir.Path, bob.Inspection().Options, control.Actions(bob, control.Options{}), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close(context.Background())
	if _, err := bob.KV().Open(t.Context(), gamelan.KVConfig{Name: "mine", Network: secrets.text("the name of a network of the key-value DHT")}); err != nil {
		t.Fatal(err)
	}
	dial := func(seed string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		id, err := bob.Peers().AddSeed(ctx, seed)
		if err != nil {
			t.Fatal(err)
		}
		_, err = bob.Dial(ctx, id)
		return err
	}
	if err := dial(carol.Seed()); !errors.Is(err, admit) {
		t.Errorf("got %v, want what Config.Admit has returned", err)
	}
	if err := dial(key() + "::/dns4/" + secrets.text("a name of a machine") + ".invalid/tcp/1"); err == nil {
		t.Error("a machine without an address was reached")
	}

	k, err := Gather(t.Context(), Options{Dir: dir, Loaded: daemonconfig.Load(daemonconfig.Sources{}), Now: time.Now(), Doctor: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	all := files(t, k)
	for name, b := range all {
		if found := secrets.in(b); found != nil {
			t.Errorf("%s: found %q in\n%s", name, found, b)
		}
	}
	for name, want := range map[string]string{
		"health.json": `"code": "orders_wait"`, "peers.json": `/dns4/host-`, "events.json": "is not admitted by the program: (left out)", "sections/network.json": `"names": [`, "sections/kad.json": "network network-",
	} {
		if !bytes.Contains(all[name], []byte(want)) {
			t.Errorf("%s: want %s in\n%s", name, want, all[name])
		}
	}
	var x examination
	if err := json.Unmarshal(all["doctor.json"], &x); err != nil {
		t.Fatal(err)
	}
	if len(x.Steps) == 0 || x.Diagnosis != nil || !strings.Contains(x.Ended, "after 3s") || !strings.Contains(strings.Join(k.Missing, "\n"), "doctor.json: it was given up after 3s") {
		t.Errorf("got %s; missing: %q", all["doctor.json"], k.Missing)
	}
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// TestOrdinaryPassword: a password that is a word of each report hinders none, and no name of a field is changed.
func TestOrdinaryPassword(t *testing.T) {
	var want map[string][]byte
	for _, password := range []string{"c0rrect-horse", "gamelan", "Pseudonyms", "machine.json", "versions", "settings", "origin"} {
		loaded := daemonconfig.Load(daemonconfig.Sources{})
		loaded.Config.Node.SOCKS.Auth = "username_password=me:" + password
		k, err := Gather(t.Context(), Options{Dir: nodedir.Dir{Path: t.TempDir()}, Loaded: loaded, Now: time.Unix(1, 0)})
		if err != nil {
			t.Errorf("%s: %v", password, err)
			continue
		}
		got := files(t, k)
		if want == nil {
			want = got
		}
		for _, name := range []string{"README.txt", "settings.json"} {
			if !bytes.Equal(got[name], want[name]) {
				t.Errorf("%s: %s tells the password by what is missing:\n%s", password, name, got[name])
			}
		}
	}
}

// TestSecretIsRefused: a report that would hold a secret is none.
func TestSecretIsRefused(t *testing.T) {
	for _, g := range []*gatherer{
		{hide: disguise.New(), Ticket: Ticket{Entries: []Entry{{Name: "x.json", data: []byte(`{"a":"hunter22"}`)}}}},
		{hide: disguise.New(), Ticket: Ticket{Missing: []string{"x: hunter22"}}},
	} {
		if err := g.check(); err != nil {
			t.Errorf("got %v before there is a secret", err)
		}
		g.hide.Secret([]byte("hunter22"))
		if err := g.check(); !errors.Is(err, ErrSecret) {
			t.Errorf("got %v, want ErrSecret", err)
		}
	}
}
