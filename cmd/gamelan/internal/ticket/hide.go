package ticket

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemon"
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/datadir"
	"github.com/gamelan-p2p/gamelan/internal/gate"
)

// constant tells what each report has.
func (g *gatherer) constant() {
	g.hide.Constant(explanation)
	for c := range codes.All() {
		g.hide.Constant(c.Name, c.Step)
	}
	for _, s := range daemon.Settings(g.Loaded, nil) {
		g.hide.Constant(s.Key)
	}
	for _, s := range sections {
		g.hide.Constant(s.name, s.about)
	}
	for _, of := range []any{
		g.Version,
		Machine{},
		Disk{},
		setting{},
		examination{},
		failure{},
		inspect.HealthReport{},
		inspect.Actor{},
		inspect.DeadLetter{},
		gamelan.StoreReport{},
		models.Node{},
		models.Peer{},
		models.Connection{},
		models.Event{},
		models.Report{},
		models.Admission{},
		models.DHT{},
		models.InboxShelf{},
		models.Kad{},
		models.KadPublications{},
		models.KadContacts{},
		models.Network{},
		models.StoreForward{},
		models.Tor{},
		models.Traffic{},
		models.Calls{},
	} {
		if of != nil {
			g.hide.Shape(reflect.TypeOf(of))
		}
	}
}

// places has paths of this machine be replaced, the longer before those that they begin with.
func (g *gatherer) places() {
	dir, err := filepath.Abs(g.Dir.Path)
	if err == nil {
		g.hide.Replace(dir, "DATA-DIR")
	}
	if filepath.IsAbs(g.Dir.Path) || strings.ContainsRune(g.Dir.Path, filepath.Separator) {
		g.hide.Replace(g.Dir.Path, "DATA-DIR")
	}
	if home, err := os.UserHomeDir(); err == nil && len(home) > 1 {
		g.hide.Replace(home, "~")
	}
	if here, err := os.Getwd(); err == nil && len(here) > 1 {
		g.hide.Replace(here, "CURRENT-DIR")
	}
	if host, err := os.Hostname(); err == nil {
		g.hide.Rename(host, "THIS-MACHINE")
	}
}

// Limits of files with secrets, in bytes.
const (
	maxKeyFile = 64 << 10
	cookieLen  = 32
)

// secrets has the secrets of the node be looked for everywhere. What cannot be read cannot be shown either.
func (g *gatherer) secrets() {
	unhex := func(digits string) []byte { b, _ := hex.DecodeString(digits); return b }
	if id, err := g.Dir.Load(); err == nil {
		g.hide.Secret(id.Secret.Bytes())
	}
	if dir, err := datadir.Look(g.Dir.Path); err == nil {
		for _, name := range []string{inspect.TokenName, inspect.ReadTokenName} {
			if b, _, err := dir.ReadFile(name, maxKeyFile, false); err == nil {
				if t, err := inspect.ParseToken(string(b)); err == nil {
					g.hide.Secret(unhex(t.Reveal()))
				}
			}
		}
		if b, _, err := dir.ReadFile(gate.CertificateName, maxKeyFile, false); err == nil {
			g.pemKey(b)
		}
		if b, _, err := dir.ReadFile(torIdentity, maxKeyFile, false); err == nil {
			g.onionKey(b)
		}
		dir.Close()
	}
	c := &g.Loaded.Config.Node
	if config.IsNetworkFile(c.Network) {
		if p, err := config.ReadNetwork(c.Network); err == nil {
			g.hide.Secret(p.Secret.Bytes())
			g.hide.Secret(p.Accept.Bytes())
			g.hide.Name("network", p.Name)
		}
	}
	for _, auth := range []string{c.SOCKS.Auth, c.Tor.ControlAuth} {
		_, secret, ok := strings.Cut(auth, "=")
		file, isFile := strings.CutPrefix(secret, "@")
		switch {
		case isFile:
			if b, err := os.ReadFile(file); err == nil && len(b) == cookieLen {
				g.hide.Secret(b)
			}
		case ok:
			g.hide.Secret([]byte(secret))
			g.hide.Secret(unhex(secret))
			if _, password, ok := strings.Cut(secret, ":"); ok {
				g.hide.Secret([]byte(password))
			}
		}
	}
	g.namesIn(daemon.Settings(g.Loaded, nil))
}

// namesIn has the names in settings be replaced: of networks, machines and accounts.
func (g *gatherer) namesIn(list []models.Setting) {
	for _, s := range list {
		for _, text := range texts(s.Value) {
			switch {
			case text == "":
			case s.Key == "kad.network":
				g.hide.Name("network", text)
			case s.Key == "discovery.seed_names", s.Key == "inspect.hosts":
				g.hide.Host(text)
			case s.Key == "tor.user" && !strings.Contains(text, "tor"): // else it is a usual one
				g.hide.Name("user", text)
			case withPort.MatchString(text):
				g.hide.Host(withPort.FindStringSubmatch(text)[1])
			}
		}
	}
}

// withPort matches a name of a machine, and its port.
var withPort = regexp.MustCompile(`^([\pL\pN_.-]+):\d{1,5}$`)

// texts returns the texts of a setting.
func texts(v any) (all []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []string:
		return v
	case []any:
		for _, x := range v {
			if text, ok := x.(string); ok {
				all = append(all, text)
			}
		}
	}
	return all
}

// pemKey makes the keys in a file known, also the lines on which they stand.
func (g *gatherer) pemKey(file []byte) {
	for block, rest := pem.Decode(file); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "PRIVATE KEY" {
			continue
		}
		g.hide.Secret(block.Bytes)
		for line := range bytes.Lines(pem.EncodeToMemory(block)) {
			if line = bytes.TrimSpace(line); !bytes.HasPrefix(line, []byte("-----")) {
				g.hide.Secret(line)
			}
		}
	}
}

// onionKey has the key of an onion service be looked for, given the file with it.
func (g *gatherer) onionKey(b []byte) {
	for bytes.HasPrefix(b, []byte("//")) { // a remark
		_, b, _ = bytes.Cut(b, []byte("\n"))
	}
	var file struct {
		PrivateKey map[string]any `json:"private_key"` // by the kind of the key
	}
	if json.Unmarshal(b, &file) != nil {
		return
	}
	for _, v := range file.PrivateKey {
		text, _ := v.(string)
		g.hide.Secret([]byte(text))
		if key, err := base64.StdEncoding.DecodeString(text); err == nil {
			g.hide.Secret(key)
		}
	}
}

// torIdentity is the file with the key of an onion service.
const torIdentity = "tor_identity.json"

// acquaint makes the peers known by both of their ids, before one of them is met in a short form.
func (g *gatherer) acquaint(ctx context.Context, n *models.Node) {
	if id, err := g.Dir.Load(); err == nil {
		g.hide.Own(id.Secret.NodeID().String(), id.Secret.PublicKey().String())
	}
	if !g.Running {
		return
	}
	g.hide.Own(n.NodeID, n.PublicKey)
	if n.Private {
		g.hide.Name("network", n.Network)
	}
	peers, err := g.node.Peers(ctx)
	if err != nil {
		g.miss("peers.json", err)
	}
	for i := range peers {
		g.hide.Peer(peers[i].NodeID, peers[i].PublicKey)
	}
	g.peers = peers
}
