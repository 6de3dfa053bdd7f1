package rpc

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// TestDrainWaitsForCallsThatArrived begins a drain between the arrival of a request
// and the start of its method: the call counts as one that runs.
func TestDrainWaitsForCallsThatArrived(t *testing.T) {
	now := time.Unix(1000, 0)
	s := &servedSession{machine: rpc.NewServer(now, rpc.ServerOptions{})}
	a := &serverSession{serving: s}
	if a.leaves() {
		t.Error("before any request: got that a call runs")
	}
	verdict, _, err := s.machine.Received(now, rpc.Request{ID: 1, Method: 1, Deadline: 10})
	if verdict != rpc.Run || err != nil {
		t.Fatalf("got %v, %v, want that the call runs", verdict, err)
	}
	if !a.leaves() {
		t.Error("a request has arrived, and its method has not begun: got that no call runs")
	}
	s.machine.Done(now)
	if a.leaves() {
		t.Error("after the call: got that one runs")
	}
}
