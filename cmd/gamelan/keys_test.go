package main

import (
	"context"
	"testing"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// TestKeysOf: keys come from the command line and from the node, and stay known when the node
// has ended.
func TestKeysOf(t *testing.T) {
	d := nodedir.Named(t.TempDir())
	if _, err := d.Create(protocol.LocalNet, ""); err != nil {
		t.Fatal(err)
	}
	given := gamelantest.Secret(7).PublicKey()
	args := []string{"send", given.String() + "::/ip4/127.0.0.1/tcp/1", "hello"}
	want := func(of func(string) string, id, key string) {
		t.Helper()
		if got := of(id); got != key {
			t.Errorf("%s: got %q, want %q", id, got, key)
		}
	}
	without := keysOf(t.Context(), client.New(d.Path, client.Options{}), args)
	want(without, given.NodeID().String(), given.String())
	want(without, fakePeer, "") // no node runs

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- fakeNode(ctx, d.Path) }()
	with := keysOf(ctx, client.New(d.Path, client.Options{}), args)
	gamelantest.Eventually(t, patience, "an answer", func() bool { return with(fakePeer) == fakeKey })
	want(with, fakePeer[:16], fakeKey)
	want(with, "9c01d2e4a1b2c3d4e5f6a7b8c9", "") // the node does not know it
	want(with, "00c0ffee00000001", "")           // a tag
	stop()
	want(with, fakePeer, fakeKey)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
