package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/config"
)

// TestLoad reads a file of a program that embeds a node.
func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("[node]\nnetwork = \"igor\"\n[connections]\nfloor = 0\n[dht]\nneighbours = 9\ntypes = [225]\n[app]\nname = \"x\"\n")
	f, err := config.Load([]string{path + ".none", path}, []string{"GAMELAN_MUX_WINDOW=2MiB", "HOME=/"})
	if err != nil {
		t.Fatal(err)
	}
	c := f.Config
	if c.Network != "igor" || c.Floor != config.NoFloor || c.DHT.Neighbours != 9 || c.Mux.Window != 2<<20 || c.KeepAlive != 0 || len(f.Inbox.Types) != 1 {
		t.Errorf("got %+v", c)
	}
	if app, ok := f.Rest["app"].(map[string]any); !ok || app["name"] != "x" || f.Path != path {
		t.Errorf("got the rest %v of %s, want the section of the program", f.Rest, f.Path)
	}

	write("[dht]\nenabled = false\n")
	if f, err = config.Load([]string{path}, nil); err != nil || f.Config.DHT != nil || !f.Config.NoDHT {
		t.Errorf("got %+v, %v, want no DHT", f.Config, err)
	}

	write("[node]\nnetwork = \"igr\"\nclient = 1\n[nod]\nx = 1\n[mux]\nwindw = \"1MiB\"\n")
	_, err = config.Load([]string{path}, []string{"GAMELAN_LIMITS_MAX_PEERS=0"})
	if !errors.Is(err, config.ErrConfig) {
		t.Fatalf("got %v, want ErrConfig", err)
	}
	for _, want := range []string{
		":2: node.network cannot be", ":3: node.client cannot be 1", `:4: there is no section "nod", did you mean [node]?`, `:7: there is no setting "mux.windw"`,
		"GAMELAN_LIMITS_MAX_PEERS: limits.max_peers cannot be 0",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got\n%v\nwant %s in it", err, want)
		}
	}
	if f, err = config.Load(nil, nil); err != nil || f.Path != "" {
		t.Errorf("got %+v, %v, want the defaults without a file", f, err)
	}
}
