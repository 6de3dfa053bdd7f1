package netsync_test

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
)

func idOf(n int) (id identity.NodeID) {
	id[0], id[1], id[2] = byte(n), byte(n>>8), byte(n>>16)
	return id
}

func TestRequestsOfOnePeer(t *testing.T) {
	var q netsync.Quota
	now := wall
	for i := range 10 {
		if !q.Take(now, idOf(1), 100, 100) {
			t.Fatalf("request %d refused", i)
		}
	}
	if q.Take(now, idOf(1), 100, 100) {
		t.Error("the 11th request served")
	}
	if !q.Take(now, idOf(2), 100, 100) {
		t.Error("another peer refused")
	}
	served := 0
	for range 600 { // the caller goes on asking ten times a second
		now = now.Add(100 * time.Millisecond)
		if q.Take(now, idOf(1), 100, 100) {
			served++
		}
	}
	if served != 10 {
		t.Errorf("got %d served in the next minute, want 10", served)
	}
	now = now.Add(time.Minute)
	for i := range 10 {
		if !q.Take(now, idOf(1), 100, 100) {
			t.Errorf("request %d after a minute of silence refused", i)
		}
	}
}

func TestWorkOfAllPeers(t *testing.T) {
	var q netsync.Quota
	now, served := wall, 0
	for i := range 10_000 { // each looks at 50,000 peers and sends 500
		if q.Take(now, idOf(i), 50_000, 500) {
			served++
		}
	}
	if want := netsync.WorkBurst / 55_000; served != want {
		t.Errorf("got %d requests at once, want %d", served, want)
	}
	served = 0
	for i := range 10_000 {
		now = now.Add(time.Millisecond)
		if q.Take(now, idOf(10_000+i), 50_000, 500) {
			served++
		}
	}
	if want := 10 * netsync.WorkPerSecond / 55_000; served < want-1 || served > want+1 {
		t.Errorf("got %d requests in 10 s, want %d", served, want)
	}
	if q.Take(now, idOf(30_000), 2*netsync.WorkBurst, 500) {
		t.Error("too much work served beside other work")
	}
	now = now.Add(time.Minute)
	if !q.Take(now, idOf(30_000), 2*netsync.WorkBurst, 500) {
		t.Error("no request of a store above the limit is ever served")
	}
}

// TestCallersAreForgotten has new peers ask for an hour.
func TestCallersAreForgotten(t *testing.T) {
	var q netsync.Quota
	now := wall
	for i := range 36_000 {
		now = now.Add(100 * time.Millisecond)
		if !q.Take(now, idOf(i), 1, 1) {
			t.Fatalf("request %d refused", i)
		}
		if n := netsync.Callers(&q); n > 1000 {
			t.Fatalf("%d callers remembered after %d requests", n, i)
		}
	}
}
