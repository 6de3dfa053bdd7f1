package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
)

// TestStoreOfOlderSchemas: the check says what the next writes of a node do to a store that an older
// release has written, before that release cannot have it back.
func TestStoreOfOlderSchemas(t *testing.T) {
	for _, c := range []struct {
		name, says string
		change     func(*gamelan.StoreReport)
	}{
		{"nothing older", "upgrade  nothing: starting a node takes it as it is\n", func(*gamelan.StoreReport) {}},
		{"the inbox", "writes schema 2 of the inbox and 3 of what it stores for others, which an older release refuses", func(r *gamelan.StoreReport) { r.Inbox.Schema = 1 }},
		{"no inbox yet", "upgrade  nothing", func(r *gamelan.StoreReport) { r.Inbox.Schema = 0 }},
		{"stored", "writes schema 2 of the inbox and 3 of what it stores for others, which an older release refuses", func(r *gamelan.StoreReport) { r.Stored.Schema = 1 }},
		{"the store itself", "copies it to OLD and upgrades it to schema 2", func(r *gamelan.StoreReport) { r.Upgrade, r.Backup, r.Inbox.Schema = true, "OLD", 1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := gamelan.StoreReport{}
			r.Exists, r.Schema, r.Current = true, 2, 2
			r.Inbox.Schema, r.Inbox.Current, r.Stored.Schema, r.Stored.Current = 2, 2, 3, 3
			c.change(&r)
			var out bytes.Buffer
			if err := printStore(&app{Output: &render.Output{Out: &out, Err: io.Discard}}, r); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), c.says) {
				t.Errorf("got\n%s\nwant %q in it", &out, c.says)
			}
		})
	}
}
