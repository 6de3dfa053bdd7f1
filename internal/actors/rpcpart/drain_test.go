package rpcpart

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// TestDrainWaitsForCallsThatArrived begins a drain between the arrival of a request
// and the start of its method: the call counts as one that runs.
func TestDrainWaitsForCallsThatArrived(t *testing.T) {
	now := time.Unix(1000, 0)
	s := &servedSession{machine: onecall.NewServer(now, onecall.ServerOptions{})}
	verdict, _, err := s.machine.Received(now, onecall.Request{ID: 1, Method: 1, Deadline: 10})
	if verdict != onecall.Run || err != nil {
		t.Fatalf("got %v, %v, want that the call runs", verdict, err)
	}
	if s.close() || s.over {
		t.Error("a request has arrived, and its method has not begun: got that the session can end")
	}
	s.machine.Done(now)
	if !s.close() || !s.over {
		t.Error("after the call: got that the session cannot end")
	}
}

// TestCutBeforeTheMethodBegins has a service removed between the arrival of a request and
// the start of its method: the method does not run.
func TestCutBeforeTheMethodBegins(t *testing.T) {
	now := time.Unix(1000, 0)
	ran := false
	service, err := newRegistered(rpc.Service{Protocol: "service/1", Methods: []rpc.Method{
		rpc.UnaryBytes(1, func(context.Context, []byte) ([]byte, error) { ran = true; return nil, nil }),
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := &servedSession{service: service, machine: onecall.NewServer(now, onecall.ServerOptions{})}
	s.machine.Received(now, onecall.Request{ID: 1, Method: 1, Deadline: 10})
	s.end()
	call, _, _ := s.machine.Running()
	if err := s.call(t.Context(), call, nil); !errors.Is(err, errSessionOver) || ran {
		t.Errorf("got %v, the method ran: %v, want the end of the session", err, ran)
	}
}
