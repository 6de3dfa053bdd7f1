package daemon

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
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
