package ticket

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/disguise"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/control"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// planted are secrets, by where they were put.
type planted map[string][]byte

// text plants a text that occurs nowhere else.
func (p planted) text(where string) string {
	s := "s3cr_" + strings.ToLower(rand.Text()[:12])
	p[where] = []byte(s)
	return s
}

// in returns where the secrets were put that stand in b, in any form.
func (p planted) in(b []byte) (found []string) {
	for where, secret := range p {
		for _, form := range disguise.Forms(secret) {
			if bytes.Contains(b, []byte(form)) {
				found = append(found, where)
				break
			}
		}
	}
	slices.Sort(found)
	return found
}

// files returns the files of a ticket as they are written.
func files(t *testing.T, k *Ticket) map[string][]byte {
	t.Helper()
	b := new(bytes.Buffer)
	if err := k.Write(b); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]byte)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if all[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	for i, e := range k.Entries {
		if len(all[e.Name]) != e.Bytes || i == 0 && e.Name != "README.txt" {
			t.Errorf("%s has %d bytes, and was listed with %d", e.Name, len(all[e.Name]), e.Bytes)
		}
	}
	return all
}

type boom struct{ key [4]uint64 }

//go:noinline
func blow(key [4]uint64, why string) { panic(fmt.Sprintf("%s %x", why, key)) }

// TestSecretsStayOut plants secrets wherever a node and its directory can have them, and looks for them in the
// report: of the running node, and of its directory.
func TestSecretsStayOut(t *testing.T) {
	secrets := planted{}
	top, err := os.MkdirTemp("", "g") //nolint:usetesting // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(top)
	home := filepath.Join(top, "home-of-"+secrets.text("the home directory"))
	t.Setenv("HOME", home)
	dir := nodedir.Dir{Path: filepath.Join(home, "bob")}
	network, err := config.NewNetwork("acme-" + strings.ReplaceAll(secrets.text("the name of the network"), "_", "-"))
	if err != nil {
		t.Fatal(err)
	}
	secrets["the name of the network"] = []byte(network.Name)
	if network.Accept, err = protocol.NewNetworkSecret(rand.Reader); err != nil {
		t.Fatal(err)
	}
	secrets["the secret of the network"], secrets["its second secret"] = network.Secret.Bytes(), network.Accept.Bytes()
	networkFile := filepath.Join(home, network.Name+config.NetworkSuffix)
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := network.WriteNew(networkFile); err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(home, "gamelan.toml")
	if err := os.WriteFile(settings, fmt.Appendf(nil, "[tor]\ncontrol_auth = \"password=%s\"\n[mine]\napi_key = \"%s\"\n[node]\nuser_agent = 7 # %s\n", secrets.text("the password of Tor"), secrets.text("an unknown setting"), secrets.text("a comment")), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GAMELAN_PROXY_AUTH", "username_password=me:"+secrets.text("the password of the proxy"))
	t.Setenv("MY_TOKEN", secrets.text("the environment"))
	t.Setenv("GAMELAN_NODE_NETWORK", networkFile)
	t.Setenv("GAMELAN_DISCOVERY_SEED_NAMES", secrets.text("a name of seeds")+".example.org")
	loaded := daemonconfig.Load(daemonconfig.Sources{Files: []string{settings}, Environ: os.Environ(), Flags: map[string][]string{"data_dir": {dir.Path}}})
	loaded.Config.Node.Network = networkFile

	panicText, sectionText, healthText := secrets.text("the value of a panic"), secrets.text("a section of the program"), secrets.text("the health of the program")
	clumsy := func(*gamelan.Node) actor.Actor {
		return actor.ReceiveFunc(func(c actor.Context) {
			if m, ok := c.Message().(boom); ok {
				blow(m.key, panicText)
			}
		})
	}
	start := func(path string, opts ...gamelan.Option) *gamelan.Node {
		n, err := gamelan.Start(t.Context(), gamelan.Config{DataDir: path, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Private: &network},
			append(opts, gamelan.WithInbox(gamelan.InboxConfig{}), gamelan.WithLogger(slog.New(slog.DiscardHandler)))...)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	bob := start(dir.Path, gamelan.WithActor("clumsy", clumsy),
		gamelan.WithSection("mine", func(context.Context) any { return map[string]string{"k": sectionText} }),
		gamelan.WithHealth(func() error { return errors.New(healthText) }))
	defer bob.Close(context.Background())
	carol := start(filepath.Join(home, "carol"))
	defer carol.Close(context.Background())
	server, err := control.Serve(dir.Path, bob.Inspection().Options, control.Actions(bob, control.Options{}), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}

	for name, n := range map[string]*gamelan.Node{"bob": bob, "carol": carol} {
		id, key := n.ID(), n.PublicKey()
		secrets["the node id of "+name], secrets["the key of "+name] = id[:], key[:]
		secrets["the key of "+name+", shortened"], secrets["the id of "+name+", shortened"] = []byte(key.String()[:10]), []byte(id.String()[:10])
	}
	own, err := dir.Load()
	if err != nil {
		t.Fatal(err)
	}
	secrets["the secret key"] = own.Secret.Bytes()
	token, err := os.ReadFile(dir.TokenFile())
	if err != nil {
		t.Fatal(err)
	}
	secrets["the token"] = unhexed(t, strings.TrimSpace(string(token)))
	if err := dir.ChangeNames(func(n nodedir.Names) error { n["Carol-Smith"] = carol.PublicKey(); return nil }); err != nil {
		t.Fatal(err)
	}
	secrets["the name of a peer"] = []byte("Carol-Smith")

	id, err := carol.Peers().AddSeed(t.Context(), bob.Seed())
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"", secrets.text("a topic")} {
		opts := []gamelan.SendOption{gamelan.Kept()}
		if topic != "" {
			opts = append(opts, gamelan.To(topic))
		}
		if _, err := carol.Send(t.Context(), id, []byte("hello "+secrets.text("a message of topic "+topic)), opts...); err != nil {
			t.Fatal(err)
		}
	}
	stranger := peerIn(t, bob)
	if err := bob.Peers().Ban(t.Context(), stranger, time.Hour, "because "+secrets.text("the reason of a ban")); err != nil {
		t.Fatal(err)
	}
	key := [4]uint64{0x1122334455667788, 0x99aabbccddeeff00, 0x1020304050607080, 0x90a0b0c0d0e0f000}
	secrets["an argument of a function"] = []byte("1122334455667788")
	for range 2 {
		if err := bob.Tell("clumsy", boom{key}); err != nil {
			t.Fatal(err)
		}
	}
	for { // until all of it is told
		all, err := bob.Inspection().Recorded(inspect.EventQuery{Types: []string{models.ActorFailed, models.PeerBanned}})
		if err != nil {
			t.Fatal(err)
		}
		if len(all.Events) >= 2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}

	look := func(what string, running bool, want ...string) map[string][]byte {
		t.Helper()
		k, err := Gather(t.Context(), Options{Dir: dir, Loaded: loaded, Version: "v", Now: time.Now(), Doctor: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if k.Running != running {
			t.Errorf("%s: running is %v", what, k.Running)
		}
		all := files(t, k)
		for name, b := range all {
			if found := secrets.in(append([]byte(name), b...)); found != nil {
				t.Errorf("%s, %s: found %q in\n%s", what, name, found, b)
			}
		}
		for _, name := range want {
			if len(all[name]) < 20 {
				t.Errorf("%s: there is no %s; missing: %q", what, name, k.Missing)
			}
		}
		return all
	}
	all := look("running", true, "README.txt", "version.json", "machine.json", "disk.json", "health.json", "settings.json", "sections/node.json", "sections/inbox.json", "sections/network.json",
		"peers.json", "closed.json", "events.json", "actors.json", "failures.json", "doctor.json")
	for name, want := range map[string]string{
		"failures.json":         `\(left out: \d+ bytes\)[^}]*ticket\.blow\(…\)`,
		"events.json":           `clumsy has failed: \(left out`,
		"settings.json":         `username_password=\*\*\*`,
		"sections/node.json":    `network-1`,
		"sections/network.json": `peer-1`,
		"closed.json":           `"peer": "peer-1"`,
		"peers.json":            `"public_key": "peer-1"`,
	} {
		if !regexp.MustCompile(`(?s)` + want).Match(all[name]) {
			t.Errorf("%s: want %s in\n%s", name, want, all[name])
		}
	}
	if err := errors.Join(server.Close(t.Context()), bob.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	all = look("stopped", false, "README.txt", "machine.json", "disk.json", "settings.json", "store.json", "events.json")
	if !bytes.Contains(all["events.json"], []byte(`"peer": "peer-1"`)) || !bytes.Contains(all["events.json"], []byte(models.NodeStopping)) {
		t.Errorf("stopped: got the events\n%s", all["events.json"])
	}
}

func unhexed(t *testing.T, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// peerIn returns the peer of a node.
func peerIn(t *testing.T, n *gamelan.Node) identity.NodeID {
	t.Helper()
	for p := range n.Peers().All() {
		return p.ID
	}
	t.Fatal("it has no peer")
	return identity.NodeID{}
}

// TestLongListsAreCut: a list has at most 1,000 entries, a file 4 MiB, and what is left out is said.
func TestLongListsAreCut(t *testing.T) {
	g := &gatherer{hide: disguise.New()}
	g.add("x.json", "", first(g, "x.json", make([]int, 5*maxList)))
	g.add("y.json", "", strings.Repeat("x ", maxEntry))
	g.seal()
	var list []int
	if len(g.Entries) != 1 || json.Unmarshal(g.Entries[0].data, &list) != nil || len(list) != maxList {
		t.Errorf("got %d entries", len(g.Entries))
	}
	if len(g.Missing) != 2 || !strings.Contains(g.Missing[0], "4000 of 5000") || !strings.HasPrefix(g.Missing[1], "y.json: ") {
		t.Errorf("got %q", g.Missing)
	}
}
