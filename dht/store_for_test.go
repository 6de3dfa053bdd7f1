package dht_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
)

// TestSelectStoreFor: the holder of the key alone if it is connected, otherwise
// nodes that may store, nearest first, and at least two that are not connected.
func TestSelectStoreFor(t *testing.T) {
	holder := repeated(t, 9).PublicKey()
	st := dht.StoreFor{To: holder}
	sorted := func(names string) (ids []identity.NodeID) {
		for n := range strings.FieldsSeq(names) {
			ids = append(ids, idOf(n))
		}
		slices.SortFunc(ids, func(a, b identity.NodeID) int {
			return holder.NodeID().Distance(a).Cmp(holder.NodeID().Distance(b))
		})
		return ids
	}
	for name, c := range map[string]struct {
		forgetful string // these have the feature, and store nothing
		connected string // want, of the connected ones
		others    string // want, of the others
	}{
		"all that may store":    {connected: "a b c d", others: "g m"}, // f, k relay only; l has no address to dial
		"some store nothing":    {forgetful: "b m", connected: "a c d", others: "g"},
		"nobody connected does": {forgetful: "a b c d", others: "g m"},
		"nobody does":           {forgetful: "a b c d g l m"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVillage(t, villagers)
			for n := range strings.FieldsSeq(c.forgetful) {
				p := v.peers[n]
				p.NoStore = true
				v.peers[n] = p
			}
			got, err := self.Select(st, v, rand.New(rand.NewPCG(1, 2)))
			if want := slices.Concat(sorted(c.connected), sorted(c.others)); err != nil || !slices.Equal(got, want) {
				t.Errorf("got %s, %v, want %s", namesOf(got), err, namesOf(want))
			}
		})
	}
	v := newVillage(t, villagers)
	v.peers["holder"] = dht.Candidate{ID: holder.NodeID()}
	v.connected = append(v.connected, "holder")
	if got, err := self.Select(st, v, nil); err != nil || !slices.Equal(got, []identity.NodeID{holder.NodeID()}) {
		t.Errorf("connected: got %v, %v, want the holder alone", got, err)
	}
	v = newVillage(t, villagers) // known, with all features, but away
	v.names = append(v.names, "holder")
	v.peers["holder"] = dht.Candidate{ID: holder.NodeID(), Features: identity.FeatureNode}
	if got, err := self.Select(st, v, nil); err != nil || slices.Contains(got, holder.NodeID()) {
		t.Errorf("away: got %v, %v, want nodes that store for it", got, err)
	}
}

// TestStoreFor: a message to be stored is encrypted for its receiver, and its report says
// how many nodes have read it, and no more.
func TestStoreFor(t *testing.T) {
	holder := repeated(t, 9)
	m := dht.Message{To: dht.StoreFor{To: holder.PublicKey()}, Body: []byte("later"), Encrypt: true}
	d := newDesk(t, villagers, nil)
	id := d.send(m)
	e := decode(t, d.writes[0].Frame)
	if !e.Header.Encrypted() || !e.Header.Destination.Is(holder.PublicKey()) || string(openFor(t, e, holder).Parts[1]) != "later" {
		t.Errorf("got %+v, want it encrypted for the receiver", e.Header)
	}
	if got := d.dedup.Seen(e.DedupHash()); got != 1 {
		t.Errorf("got %d times seen, want 1: nodes relay it, and it may come back", got)
	}
	says := func(want string) {
		t.Helper()
		if r := d.report(id); r.String() != want || !r.ToStore {
			t.Errorf("got %q, to store %v, want %q", r.String(), r.ToStore, want)
		}
	}
	w := slices.Clone(d.writes)
	says("written to no neighbour that may store it, 6 open")
	d.settle(w[0], confirmed)
	says("written to 1 neighbour that may store it, 5 open")
	d.settle(w[1], confirmed)
	for _, x := range w[2:] {
		d.settle(x, refused)
	}
	says("written to 2 neighbours that may store it, 4 failed")
	d.ended(id, 0)
	d.nothing()

	d = newDesk(t, villagers, nil)
	d.view.peers["holder"] = dht.Candidate{ID: holder.PublicKey().NodeID()}
	d.view.connected = append(d.view.connected, "holder")
	id = d.send(m)
	e = decode(t, d.writes[0].Frame)
	if got := d.dedup.Seen(e.DedupHash()); got != 0 {
		t.Errorf("connected: got %d times seen, want 0", got)
	}
	d.settleAll(confirmed)
	if r := d.ended(id, 0); r.ToStore || r.String() != "confirmed" {
		t.Errorf("connected: got %q, to store %v, want an ordinary report", r.String(), r.ToStore)
	}
}

// TestStoreForRefuses: what nodes would not store is refused, with the remedy.
func TestStoreForRefuses(t *testing.T) {
	holder, other := repeated(t, 9).PublicKey(), repeated(t, 8).PublicKey()
	to := dht.StoreFor{To: holder}
	for name, c := range map[string]struct {
		m    dht.Message
		want string // "" if it is sent
	}{
		"in clear":           {dht.Message{To: to}, "set Encrypt"},
		"no key":             {dht.Message{To: dht.StoreFor{}, Encrypt: true}, "set it to the receiver's"},
		"another key":        {dht.Message{To: to, Encrypt: true, Destination: other}, "leave it out"},
		"the same key twice": {dht.Message{To: to, Encrypt: true, Destination: holder}, ""},
		"longest":            {dht.Message{To: to, Encrypt: true, Body: make([]byte, 521_980)}, ""},
		"too long":           {dht.Message{To: to, Encrypt: true, Body: make([]byte, 522_000)}, "at most 524288 bytes, encrypted and padded; this one has 528016; send it in parts"},
	} {
		d := newDesk(t, villagers, nil)
		id := d.send(c.m)
		if c.want == "" {
			if len(d.writes) == 0 {
				r := d.report(id)
				t.Errorf("%s: got %v, want it sent", name, &r)
			}
			continue
		}
		if r := d.ended(id, dht.NotSendable); !errors.Is(r.Err, dht.ErrNotSendable) || !strings.Contains(r.Err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, r.Err, c.want)
		}
	}
	d := newDesk(t, "e client connected\nf relay connected\n", nil)
	r := d.ended(d.send(dht.Message{To: to, Encrypt: true}), dht.NobodySelected)
	if !strings.Contains(r.Err.Error(), "no known node may store the message; connect to a node of Gamelan") {
		t.Errorf("nobody stores: got %v", r.Err)
	}
	d = newDesk(t, villagers, nil)
	d.ended(d.send(dht.Message{To: dht.StoreFor{To: d.secret.PublicKey()}, Encrypt: true}), dht.ToOurselves)
}
