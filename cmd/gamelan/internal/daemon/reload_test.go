package daemon

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestReloadsAreTaken: a setting says that a reload applies it if there is something that does.
func TestReloadsAreTaken(t *testing.T) {
	n := 0
	for _, s := range daemonconfig.Table.Rows {
		if got := takes[s.Key] != nil; got != s.Reload {
			t.Errorf("%s: got a function that applies it: %v, want %v as its row says", s.Key, got, s.Reload)
		}
		if s.Reload {
			n++
		}
	}
	if n != len(takes) {
		t.Errorf("got %d settings that a reload applies, want %d, one for each function", n, len(takes))
	}
}

// TestSeedNotAdded: a new seed of the network's file that could not be added is admitted all the same, and
// the next reload adds it.
func TestSeedNotAdded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ours.network")
	p, err := config.NewNetwork("ours")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.WriteNew(file); err != nil {
		t.Fatal(err)
	}
	n, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Private: &p})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close(context.Background()) })
	loaded := daemonconfig.Load(daemonconfig.Sources{Flags: map[string][]string{"data_dir": {t.TempDir()}, "node.network": {file}}})
	var says bytes.Buffer
	d := newDaemon(Options{Output: &render.Output{Out: &says, Err: &says}, Loaded: loaded})
	d.node = n
	if d.network, err = readNetwork(loaded); err != nil {
		t.Fatal(err)
	}
	seed, err := gamelan.CreateIdentity(t.TempDir(), protocol.LocalNet)
	if err != nil {
		t.Fatal(err)
	}
	key := seed.Secret.PublicKey()
	if err := config.ChangeNetwork(file, func(p *config.PrivateConfig) error {
		return p.AddSeed(key.String() + "::/ip4/127.0.0.1/tcp/9")
	}); err != nil {
		t.Fatal(err)
	}

	late, cancel := context.WithCancel(t.Context())
	cancel()
	if !d.reloadNetwork(late, loaded) || !strings.Contains(says.String(), "A seed of ours was not added") {
		t.Fatalf("the first reload said %q", &says)
	}
	says.Reset()
	d.admitSeeds(nil) // as after another change of the settings
	if n.Peers().Admits(key) != nil || says.Len() > 0 {
		t.Errorf("the seed is not admitted any more: %s", &says)
	}
	if !d.reloadNetwork(t.Context(), loaded) || !strings.Contains(says.String(), "ours has a new seed") {
		t.Errorf("the second reload said %q", &says)
	}
	says.Reset()
	if d.reloadNetwork(t.Context(), loaded) || says.Len() > 0 {
		t.Errorf("the third reload said %q, want nothing", &says)
	}
	if got := len(d.network.Seeds); got != 1 {
		t.Errorf("got %d seeds, want 1", got)
	}
}
