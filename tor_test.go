package gamelan

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// TestTorIdentityFile starts a node with a key of an onion service that is not in order. No
// control connection is made.
func TestTorIdentityFile(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want error
	}{
		"readable by others": {"{}", 0o644, ErrTorIdentityOpen},
		"damaged":            {"{}", 0o600, tor.ErrIdentity},
		"version 2":          {`{"private_key":{"Rsa1024":"secret"},"service_id":"x","onion_port":1}`, 0o600, tor.ErrIdentityV2},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, TorIdentityFile)
			if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
				t.Fatal(err)
			}
			n, err := Start(t.Context(), Config{DataDir: dir, Transport: TransportTor}, WithTorControl(func(context.Context) (io.ReadWriteCloser, error) {
				t.Error("Tor was asked")
				return nil, errors.New("no Tor in this test")
			}))
			if err == nil {
				n.Close(t.Context())
			}
			if !errors.Is(err, c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != c.text {
				t.Errorf("got the file %q, %v, want it as it was", b, err)
			}
		})
	}
}
