package ticket

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	"github.com/gamelan-p2p/gamelan/internal/gate"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport/tor"
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
			append(opts, gamelan.WithInbox(gamelan.InboxConfig{MaxAttempts: 1}), gamelan.WithLogger(slog.New(slog.DiscardHandler)))...)
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
	reader, err := control.KeptToken(dir.Path, inspect.ReadTokenName)
	if err != nil {
		t.Fatal(err)
	}
	secrets["the token of a reader"] = unhexed(t, reader.Reveal())
	certificate, err := gate.Own(dir.Path, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if secrets["the key of the certificate"], err = x509.MarshalPKCS8PrivateKey(certificate.PrivateKey); err != nil {
		t.Fatal(err)
	}
	inPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secrets["the key of the certificate"]})
	secrets["a line of that key"] = bytes.Split(inPEM, []byte("\n"))[1]
	if err := dir.ChangeNames(func(n nodedir.Names) error { n["Carol-Smith"] = carol.PublicKey(); return nil }); err != nil {
		t.Fatal(err)
	}
	secrets["the name of a peer"] = []byte("Carol-Smith")

	id, err := carol.Peers().AddSeed(t.Context(), bob.Seed())
	if err != nil {
		t.Fatal(err)
	}
	given := "given up: " + secrets.text("a message that was given up")
	if _, err := carol.Send(t.Context(), id, []byte(given), gamelan.Kept()); err != nil {
		t.Fatal(err)
	}
	for _, err := range bob.Inbox().Listen(t.Context(), gamelan.ListenOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		break // without an answer
	}
	for n := 0; n == 0; time.Sleep(10 * time.Millisecond) { // until it is on the shelf
		for m, err := range bob.Inbox().Dead(t.Context()) {
			if n++; err != nil || string(m.Body) != given {
				t.Fatalf("on the shelf: got %q, %v", m.Body, err)
			}
		}
	}
	hub := kad.NewHub(kad.HubOptions{})
	open := func(n *gamelan.Node, name string, bootstrap ...kad.Address) *kad.Client {
		c, err := n.KV().Open(t.Context(), kad.Config{Name: name, Networks: []kad.Network{hub.Network()}, Bootstrap: bootstrap})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	values := open(bob, "main")
	others := open(carol, "main", values.Addresses()...)
	for c, where := range map[*kad.Client]string{values: "a value that it publishes", others: "a value that it keeps for others"} {
		value := []byte(secrets.text(where))
		for accepted := 0; accepted == 0; time.Sleep(10 * time.Millisecond) { // until they know each other
			r, err := c.Put(t.Context(), value)
			if accepted = r.Accepted; accepted == 0 && t.Context().Err() != nil {
				t.Fatalf("%s: got %+v, %v", where, r, err)
			}
		}
	}
	plantFiles(t, dir, secrets)
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
	secrets.everywhere(t, dir)
	all := look("running", true, "README.txt", "version.json", "machine.json", "disk.json", "health.json", "settings.json", "sections/node.json", "sections/inbox.json", "sections/kad.json", "sections/kad-own.json", "sections/network.json",
		"peers.json", "closed.json", "events.json", "actors.json", "failures.json", "doctor.json")
	for name, want := range map[string]string{
		"failures.json":         `\(left out: \d+ bytes\)[^}]*ticket\.blow\(…\)`,
		"events.json":           `clumsy has failed: \(left out`,
		"disk.json":             `"name": "tor_identity\.json".*"name": "file-1"|"name": "file-1".*"name": "tor_identity\.json"`,
		"sections/inbox.json":   `"text": "\(left out: \d+ bytes\)"`,
		"sections/kad-own.json": `"bytes": 17`,
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

// plantFiles plants secrets in the files of a data directory that nothing else in the test writes, and in one that is a person's.
func plantFiles(t *testing.T, dir nodedir.Dir, secrets planted) {
	t.Helper()
	key, err := tor.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	onion := tor.Identity{Key: key, Port: 1}.Append(nil)
	secrets["the key of the onion service"] = onionKey(t, onion)
	secrets["the name of the onion service"] = []byte(key.ID())
	notes := secrets.text("the name of a file") + ".txt"
	for name, text := range map[string][]byte{
		"tor_identity.json": onion,
		"listen":            []byte("/dns4/" + secrets.text("the address of the last start") + "/tcp/1\n"),
		"names.json.lock":   []byte(secrets.text("another one")),
		"gamelan.lock":      []byte(secrets.text("the file that is locked")),
		notes:               []byte(secrets.text("a file of somebody's")),
	} {
		if err := os.WriteFile(filepath.Join(dir.Path, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// onionKey returns the key in a file tor_identity.json.
func onionKey(t *testing.T, file []byte) []byte {
	t.Helper()
	digits := regexp.MustCompile(`"Ed25519V3":"([^"]+)"`).FindSubmatch(file)
	if digits == nil {
		t.Fatalf("got no key in %s", file)
	}
	key, err := base64.StdEncoding.DecodeString(string(digits[1]))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// everywhere reports a file of the data directory without a secret: whoever has the node write another one
// plants one there.
func (p planted) everywhere(t *testing.T, dir nodedir.Dir) {
	t.Helper()
	store := false
	err := filepath.WalkDir(dir.Path, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		switch found := p.in(b); {
		case err != nil:
			return err
		case filepath.Base(filepath.Dir(path)) == "peers": // files of the store, of which one has what was written last
			store = store || len(found) > 0
		case len(found) == 0:
			t.Errorf("%s holds no secret that is looked for", e.Name())
		}
		return nil
	})
	if err != nil || !store {
		t.Errorf("got %v, and secrets in the store %v", err, store)
	}
}

// TestKeyOfOnionService: the key of the onion service is looked for in what is written, in each of its forms.
func TestKeyOfOnionService(t *testing.T) {
	key, err := tor.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir, onion := nodedir.Dir{Path: t.TempDir()}, tor.Identity{Key: key, Port: 1}.Append(nil)
	if err := os.WriteFile(filepath.Join(dir.Path, "tor_identity.json"), onion, 0o600); err != nil {
		t.Fatal(err)
	}
	raw := onionKey(t, onion)
	for _, form := range []string{base64.StdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw), hex.EncodeToString(raw)} {
		loaded := daemonconfig.Load(daemonconfig.Sources{Flags: map[string][]string{"data_dir": {dir.Path}}})
		g := &gatherer{Options: Options{Dir: dir, Loaded: loaded}, hide: disguise.New()}
		g.secrets()
		if !g.hide.Finds([]byte("before " + form + " behind")) {
			t.Errorf("it is not found as %s", form)
		}
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
	g.add("y.json", "", strings.Repeat("x ", maxEntry/2+1))
	g.seal()
	var list []int
	if len(g.Entries) != 1 || json.Unmarshal(g.Entries[0].data, &list) != nil || len(list) != maxList {
		t.Errorf("got %d entries", len(g.Entries))
	}
	if len(g.Missing) != 2 || !strings.Contains(g.Missing[0], "4000 of 5000") || !strings.HasPrefix(g.Missing[1], "y.json: ") {
		t.Errorf("got %q", g.Missing)
	}
}
