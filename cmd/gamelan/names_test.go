package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
)

// TestNamesOfManyWriters: no name is lost when several commands give one at a time, and
// there is an end to them.
func TestNamesOfManyWriters(t *testing.T) {
	d := nodedir.Named(t.TempDir())
	key, err := identity.ParsePublicKey(fakeKey)
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	for i := range 20 {
		work.Go(func() {
			if err := d.ChangeNames(func(n nodedir.Names) error { n[fmt.Sprintf("n%02d", i)] = key; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	n, err := d.ReadNames()
	if err != nil || len(n) != 20 || n["n00"] != key || n["n19"] != key || n.Sorted()[19] != "n19" {
		t.Errorf("got %v, %v, want 20 names", n, err)
	}
	err = d.ChangeNames(func(n nodedir.Names) error {
		for i := range nodedir.MaxNames + 1 {
			n[fmt.Sprintf("m%d", i)] = key
		}
		return nil
	})
	if n, _ := d.ReadNames(); err == nil || failure.As(err).Kind != "names" || len(n) != 20 {
		t.Errorf("got %d names, %v, want no more than 20", len(n), err)
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"bob": true, "Bob-2_x.y": true, "a0": false, "abe": false, "g": true, "xyz0123": true,
		"": false, "2bob": false, "-bob": false, "bob::x": false, "bob/x": false, "böb": false, "bob ": false,
		"face": false, fakePeer: false, fakeKey: false, strings.Repeat("x", 32): true, strings.Repeat("x", 33): false,
	} {
		if err := nodedir.CheckName(name); (err == nil) != ok {
			t.Errorf("%q: got %v, want it possible: %v", name, err, ok)
		}
	}
}

func TestIsPrefix(t *testing.T) {
	for text, ok := range map[string]bool{
		"0123": true, "ABCD": true, "012": false, "wxyz": false, fakePeer: false, fakePeer[:25]: true, fakeKey: false, fakeKey[:27]: true, fakeKey + "0": false,
	} {
		if inspect.IsPrefix(text) != ok {
			t.Errorf("%q: got %v, want %v", text, !ok, ok)
		}
	}
}
