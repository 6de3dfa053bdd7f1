package daemon

import (
	"bytes"
	"net"
	"os"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
)

// TestFirstStartWithoutMetrics: a node that has run keeps its identity, which others may have seen. One that has
// not started leaves none.
func TestFirstStartWithoutMetrics(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, x := range []struct{ listen, kind string }{{gamelan.ListenNowhere, "metrics_listen"}, {"/ip4/127.0.0.1/tcp/" + portOf(taken), "start"}} {
		d := nodedir.Named(t.TempDir())
		l := daemonconfig.Load(daemonconfig.Sources{})
		l.Config.Node.Listen, l.Config.Metrics = []string{x.listen}, taken.Addr().String()
		err = Run(t.Context(), Options{Dir: d, Output: &render.Output{Out: new(bytes.Buffer), Err: new(bytes.Buffer)}, Loaded: l})
		if err == nil || failure.As(err).Kind != x.kind {
			t.Fatalf("got %v, want %s", err, x.kind)
		}
		if _, err := os.Stat(d.IdentityFile()); (err == nil) != (x.kind != "start") {
			t.Errorf("%s: got %v of the identity", x.kind, err)
		}
	}
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
