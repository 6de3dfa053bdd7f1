package keep

import (
	"bytes"
	"testing"

	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// FuzzEntries reads any bytes as each kind of entry: nothing panics, and what is read is
// written as the same.
func FuzzEntries(f *testing.F) {
	id := kad.ID{7}
	record := &kad.Record{Key: id, Value: []byte("value")}
	native := &kad.Record{Kind: overlay.Immutable, Key: id, Value: []byte("value")}
	seed := kad.Contact{ID: id, Addresses: []kad.Address{"/ip4/192.0.2.7/udp/1"}}
	f.Add(appendRecord(nil, &kad.KeptRecord{Record: record, Peer: "peer", Cached: true}))
	f.Add(appendRecord(nil, &kad.KeptRecord{Record: native, Group: "group"}))
	f.Add(appendOwn(nil, &kad.KeptOwn{Record: native}))
	live, _ := appendContact(appendLive(nil, &kad.KeptContact{}), &seed)
	f.Add(live)
	former, _ := appendContact(appendFormer(nil, &kad.KeptFormer{}), &seed)
	f.Add(former)
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := decodeRecord(id, b); ok && r.Record.Kind == overlay.Opaque && !bytes.Equal(appendRecord(nil, &r), b) {
			t.Errorf("record %x: got %x", b, appendRecord(nil, &r))
		}
		if o, ok := decodeOwn(id, b); ok && o.Record.Kind == overlay.Opaque {
			if again, ok := decodeOwn(id, appendOwn(nil, &o)); !ok || !again.Due.Equal(o.Due) || again.TTL != o.TTL {
				t.Errorf("publication %x: got %+v, want %+v", b, again, o)
			}
		}
		if x, ok := decodeLive(id, b); ok {
			out, ok := appendContact(appendLive(nil, &x), &x.Contact)
			if again, readable := decodeLive(id, out); !ok || !readable || again.Score != x.Score {
				t.Errorf("contact %x: got %+v, want %+v", b, again, x)
			}
		}
		if x, ok := decodeFormer(id, b); ok {
			out, ok := appendContact(appendFormer(nil, &x), &x.Contact)
			if again, readable := decodeFormer(id, out); !ok || !readable || again.Failures != x.Failures {
				t.Errorf("former contact %x: got %+v, want %+v", b, again, x)
			}
		}
	})
}
