package store_test

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/safpart/store"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/kv/kvtest"
)

// TestChecker counts whole messages, and each that is not whole once.
func TestChecker(t *testing.T) {
	db := kv.Memory()
	check := func() dht.StoredReport {
		var c store.Checker
		entries, _ := db.Scan(nil)
		for key, value := range entries {
			c.Visit(key, value)
		}
		r, err := c.Report()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	kvtest.Set(t, db, "r other part", "value")
	kvtest.Set(t, db, "s", "of nobody")
	if got, want := check(), (dht.StoredReport{Current: store.Schema}); got != want {
		t.Errorf("nothing stored: got %+v, want %+v", got, want)
	}
	secret, err := identity.NewSecret(constant{})
	must(t, err)
	e := wire.Envelope{Header: wire.Header{Version: 2, Destination: wire.Destination{Known: true, Key: secret.PublicKey()}}, Body: []byte("body")}
	s := open(t, db.Client())
	var add []store.Message
	for seq := uint64(1); seq <= 6; seq++ {
		add = append(add, store.Message{Record: saf.Record{Seq: seq, Priority: saf.Low}, Envelope: e.Append(nil)})
	}
	must(t, s.Write(&store.Batch{Round: round(t, s), Add: add, Confirm: []store.Confirmation{{Seq: 2, Sent: 1}}}, false))
	whole := check()
	if whole.Messages != 6 || whole.Damaged != 0 || whole.Schema != store.Schema || whole.Bytes < int64(6*len(add[0].Envelope)) {
		t.Errorf("got %+v, want 6 messages", whole)
	}
	last := "\x00\x00\x00\x00\x00\x00\x00"
	del := new(kv.Batch)
	del.Delete([]byte("\xffsb" + last + "\x01")) // a head without an envelope
	del.Delete([]byte("\xffsb" + last + "\x03"))
	del.Delete([]byte("\xffsb" + last + "\x06"))
	must(t, db.Apply(del, true))
	kvtest.Set(t, db, "\xffsb"+last+"\x04", "no envelope")
	kvtest.Set(t, db, "sh"+last+"\x05", "no head")
	if got := check(); got.Messages != 1 || got.Damaged != 5 {
		t.Errorf("got %+v, want one message and 5 damaged", got)
	}
}

type constant struct{}

func (constant) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 7
	}
	return len(b), nil
}
