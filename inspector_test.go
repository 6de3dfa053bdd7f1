package gamelan_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/nodeview"
)

// A node with an inspector shows its sections on a socket of its owner's, and
// the socket ends with it.
func TestWithInspector(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, inspect.SocketName)
	if err := os.WriteFile(socket, nil, 0o644); err != nil { // what a killed one left
		t.Fatal(err)
	}
	n, err := gamelan.Start(t.Context(), gamelan.Config{DataDir: dir, Listen: []string{gamelan.ListenNowhere}}, gamelan.WithInspector())
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got the socket %v, %v, want one that is its owner's alone", info, err)
	}
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	get := func(path string, v any) {
		t.Helper()
		res, err := c.Get("http://gamelan" + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: got %s", path, res.Status)
		}
		if err := json.NewDecoder(res.Body).Decode(v); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	var node models.Node
	get("/v1/node", &node)
	if node.NodeID != n.ID().String() || node.Network == "" || len(node.Addresses) != 0 { // it only dials
		t.Errorf("got the section %+v, want that of the node", node)
	}
	var tree inspect.Tree
	get("/v1/tree", &tree)
	if len(tree.Branches) == 0 {
		t.Error("got an empty tree")
	}
	var health inspect.HealthReport
	get("/healthz", &health)
	var page struct{ Total int }
	get("/v1/connections", &page)
	get("/v1/peers", &page)
	c.CloseIdleConnections()
	if err := n.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want no socket after the end", err)
	}
	if why := n.Inspection().Health(t.Context()); len(why) != 1 {
		t.Errorf("got %q of an ended node, want that it has ended", why)
	}
}

// TestSectionsStay: a node without the DHT has all sections. Those of the trunk, whose names no part may use, are among them.
func TestSectionsStay(t *testing.T) {
	var want []string
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		want = net.Start(gamelan.Config{}).Inspection().Sections.Names()
		if got := net.Start(gamelan.Config{NoDHT: true}).Inspection().Sections.Names(); !slices.Equal(got, want) {
			t.Errorf("without the DHT: got the sections %q, want %q", got, want)
		}
	})
	for _, name := range nodeview.Names {
		if !slices.Contains(want, name) {
			t.Errorf("no part may use the name %q, and there is no such section in %q", name, want)
		}
	}
}

func TestInspectorNeedsADirectory(t *testing.T) {
	_, err := gamelan.Start(t.Context(), gamelan.Config{}, gamelan.WithInspector())
	if bad := (*gamelan.ConfigError)(nil); !errors.As(err, &bad) || bad.Field != "DataDir" {
		t.Errorf("got %v, want that DataDir is missing", err)
	}
}
