package daemon

import (
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
)

func TestSocketPathTooLong(t *testing.T) {
	d := nodedir.Named(filepath.Join(t.TempDir(), strings.Repeat("x", 120)))
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	_, err := Serve(d, inspect.Options{}, inspect.Actions{}, slog.New(slog.DiscardHandler))
	if f := (*failure.Error)(nil); !errors.As(err, &f) || !strings.Contains(f.Hint, "shorter") {
		t.Errorf("got %v, want a failure that asks for a shorter directory", err)
	}
	if left, _ := filepath.Glob(filepath.Join(d.Path, "*")); len(left) != 0 {
		t.Errorf("got %v left behind, want nothing", left)
	}
}

// TestMetricsPortInUse: a node whose metrics cannot be served says where, why, and what to do.
func TestMetricsPortInUse(t *testing.T) {
	d := newDaemon(Options{Output: &render.Output{Out: io.Discard, Err: io.Discard}, Loaded: daemonconfig.Load(daemonconfig.Sources{})})
	if err := d.serveMetrics("", inspect.Options{}); err != nil || d.metrics != nil {
		t.Fatalf("got %v, %v without a setting", d.metrics, err)
	}
	if err := d.serveMetrics("0", inspect.Options{}); err != nil {
		t.Fatal(err)
	}
	defer d.metrics.Close(t.Context())
	at := d.metrics.Address().String()
	other := newDaemon(d.Options)
	f, ok := errors.AsType[*failure.Error](other.serveMetrics(at, inspect.Options{}))
	if !ok || f.Kind != "metrics_listen" || f.Code != failure.ExitFailed || !strings.Contains(f.Message, at) || !strings.Contains(f.Hint, "metrics.listen") {
		t.Errorf("got %+v, want the address and what to do", f)
	}
}
