package config_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gamelan-p2p/gamelan/config"
)

// A program reads the settings of its node and a section of its own from one file.
func ExampleLoad() {
	dir, err := os.MkdirTemp("", "app")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "app.toml")
	text := "[connections]\nmax_inbound = 200\n\n[shop]\nname = \"corner\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
	f, err := config.Load([]string{path}, []string{"GAMELAN_LIMITS_PEER_CREDIT=2MiB"})
	if err != nil {
		panic(err)
	}
	fmt.Println(f.Config.MaxInbound, f.Config.PeerCredit, f.Rest)
	// gamelan.Start(ctx, f.Config)

	// Output: 200 2097152 map[shop:map[name:corner]]
}
