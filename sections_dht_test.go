package gamelan_test

import (
	"reflect"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// section reads a section of a node as the inspector does.
func section[T any](t *testing.T, n *gamelan.Node, name string) T {
	t.Helper()
	v, err := n.Inspection().Sections.Value(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return v.(T)
}

func TestSectionsOfTheDHT(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		cfg := gamelan.Config{DHT: &gamelan.DHTConfig{DedupCapacity: 77}, PlainID: "t-plain"}
		a, b := net.Start(cfg), net.Start(cfg, gamelan.WithType(1225, newEcho))
		net.Connect(a, b)
		for _, kind := range []int32{1225, 404} {
			r, err := a.DHT().Send(t.Context(), dht.Message{To: dht.DirectKey{Key: b.PublicKey()}, Type: kind, Body: []byte("hello"), Encrypt: true, Tag: 0xc0ffee})
			if err != nil || r.Count(protocol.Confirmed) != 1 {
				t.Fatalf("got %v, %v, want confirmed", r, err)
			}
		}
		synctest.Wait()

		out := section[models.DHT](t, a.Node, "dht")
		if !out.On || !out.Forwarding || out.Protocol != string(a.Profile().MessagingID) || out.PlainProtocol != "t-plain" || out.Dedup.Capacity != 77 {
			t.Errorf("sender: got %+v", out)
		}
		if o := out.Outbound; o == nil || o.Sends != 2 || o.Copies != 2 || o.Confirmed != 2 || o.OpenSends != 0 || o.Credit.Used != 0 || o.Credit.Limit == 0 {
			t.Errorf("sender: got %+v, want two sends", o)
		}
		in := section[models.DHT](t, b.Node, "dht")
		if !slices.Contains(in.Types, 1225) || in.Dedup.Messages != 2 {
			t.Errorf("receiver: got types %v, %d messages remembered, want 1225 and 2", in.Types, in.Dedup.Messages)
		}
		counts := map[string]uint64{}
		for _, c := range in.Inbound {
			counts[c.Reason] = c.Count
			if c.Reason == dht.NoHandler.String() && (c.LastPeer != a.ID().String() || c.LastError == "") {
				t.Errorf("receiver: got %+v, want who sent it and why it was dropped", c)
			}
		}
		if want := map[string]uint64{dht.Delivered.String(): 1, dht.NoHandler.String(): 1}; !reflect.DeepEqual(counts, want) {
			t.Errorf("receiver: got %v, want %v", counts, want)
		}

		if in.Flood == nil || *in.Flood != (models.DHTFlood{Limit: 60_000}) || in.Relayed == nil || *in.Relayed != (models.DHTRelayed{Limit: 256 << 20}) {
			t.Errorf("receiver: got the limits %+v and %+v, want the defaults, untouched", in.Flood, in.Relayed)
		}

		l := section[models.Ledger](t, a.Node, "ledger")
		if l.Accepted != 2 || l.Ended != 2 || len(l.Reports) != 2 {
			t.Fatalf("ledger: got %+v, want two that have ended", l)
		}
		r := l.Reports[0]
		if r.Tag != "0000000000c0ffee" || r.Type != 1225 || !r.Encrypted || r.Size != 5 || r.Destination != b.PublicKey().String() || r.Summary != "confirmed" ||
			len(r.Copies) != 1 || r.Copies[0].Peer != b.ID().String() || r.Copies[0].Outcome.Outcome != models.OutcomeConfirmed || r.Copies[0].Tries != 1 {
			t.Errorf("ledger: got %+v", r)
		}

		off := net.Start(gamelan.Config{NoDHT: true})
		if d := section[models.DHT](t, off.Node, "dht"); d.On || d.Outbound != nil {
			t.Errorf("without the DHT: got %+v", d)
		}
		if l := section[models.Ledger](t, off.Node, "ledger"); l.Accepted != 0 || len(l.Reports) != 0 {
			t.Errorf("without the DHT: got %+v", l)
		}
	})
}
