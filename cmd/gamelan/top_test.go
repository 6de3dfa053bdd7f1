package main

import (
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// TestFlows: rates are those since the look before. Those of a connection that is new, or whose statistics have not come
// in time, are the mean since it began.
func TestFlows(t *testing.T) {
	first := []models.Connection{{ID: "old", AgeMS: 10_000, BytesIn: 1000, BytesOut: 200}, {ID: "just now"}, {ID: "busy", AgeMS: 1000, BytesIn: 500}}
	rows := flows(nil, first, time.Hour)
	if r := rows[0]; r.RateIn != 100 || r.RateOut != 20 {
		t.Errorf("the first look: got %v and %v, want 100 and 20", r.RateIn, r.RateOut)
	}
	if r := rows[1]; r.RateIn != 0 || r.RateOut != 0 {
		t.Errorf("a connection of no age: got %v and %v", r.RateIn, r.RateOut)
	}
	rows = flows(rows, []models.Connection{{ID: "old", AgeMS: 12_000, BytesIn: 1010, BytesOut: 200}, {ID: "new", AgeMS: 500, BytesOut: 100}, {ID: "busy", AgeMS: 3000}}, 2*time.Second)
	for i, want := range [][2]float64{{5, 0}, {0, 200}, {0, 0}} {
		if r := rows[i]; r.RateIn != want[0] || r.RateOut != want[1] {
			t.Errorf("%s: got %v and %v, want %v", r.ID, r.RateIn, r.RateOut, want)
		}
	}
}

// TestTrafficOfPeers: a peer has the sum of its connections, and the round trip and the age of the present one. Each order
// has the greatest first.
func TestTrafficOfPeers(t *testing.T) {
	conn := func(peer, id string, rate float64, bytes uint64, pending int64, rtt float64, age int64) render.TopConn {
		return render.TopConn{Connection: models.Connection{ID: id, Peer: peer, BytesIn: bytes, PendingBytes: pending, RTTMS: rtt, AgeMS: age}, RateIn: rate, RateOut: 1}
	}
	rows := ofPeers([]models.Peer{{NodeID: "away"}, {NodeID: "a", Connection: new("a-2")}, {NodeID: "b", Connection: new("b-1")}, {NodeID: "c", Connection: new("c-1")}}, []render.TopConn{
		conn("a", "a-1", 10, 100, 0, 1, 9), conn("a", "a-2", 20, 200, 7, 2, 1), conn("a", "a-3", 1, 1, 0, 3, 5),
		conn("b", "b-1", 5, 5000, 0, 40, 3), conn("c", "c-1", 6, 1, 8, 4, 200),
	})
	if a := rows[1]; a.Connections != 3 || a.Traffic != (render.Traffic{RateIn: 31, RateOut: 3, BytesIn: 301, PendingBytes: 7, RTTMS: 2, AgeMS: 1}) {
		t.Errorf("got %+v", a)
	}
	for order, want := range map[string]string{"rate": "a c b away", "bytes": "b a c away", "queue": "c a b away", "rtt": "b c a away", "age": "c b a away"} {
		sortTraffic(rows, order, func(x *render.TopPeer) render.Traffic { return x.Traffic })
		var got []string
		for i := range rows {
			got = append(got, rows[i].NodeID)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, want %s", order, got, want)
		}
	}
}
