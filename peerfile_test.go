package gamelan_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// TestExportAndImport moves what one node knows to another, which is connected
// with a peer that the first has banned.
func TestExportAndImport(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a, b, c := net.Start(gamelan.Config{}), net.Start(gamelan.Config{}), net.Start(gamelan.Config{})
		net.Connect(a, c)
		net.Connect(a, b)
		net.Connect(b, c)
		if err := a.Peers().Ban(t.Context(), c.ID(), time.Hour, "noise"); err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		if n, err := a.Peers().Export(&file); err != nil || n != 2 {
			t.Fatalf("export: got %d, %v, want 2 peers", n, err)
		}
		got, err := b.Peers().Import(t.Context(), strings.NewReader(file.String()))
		if want := (actors.Imported{Merged: 1, Skipped: 1}); err != nil || got != want {
			t.Errorf("import: got %+v, %v, want %+v", got, err, want)
		}
		synctest.Wait()
		if _, ok := b.Connection(c.ID()); ok {
			t.Error("got a connection with a peer whose ban was imported, want it closed")
		}
		if p, _ := b.Peers().Get(c.ID()); !p.Banned(time.Now()) || p.BanReason != "noise" {
			t.Errorf("got %+v, want the ban", p)
		}

		before := b.Peers().Len()
		_, err = b.Peers().Import(t.Context(), strings.NewReader(strings.Replace(file.String(), "]}", "", 1)))
		if !errors.Is(err, peerstore.ErrBadImport) || b.Peers().Len() != before {
			t.Errorf("got %v and %d peers, want ErrBadImport and nothing changed", err, b.Peers().Len())
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Peers().Import(t.Context(), strings.NewReader(file.String())); !errors.Is(err, gamelan.ErrClosed) {
			t.Errorf("closed node: got %v, want ErrClosed", err)
		}
	})
}
