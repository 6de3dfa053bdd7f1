package calls

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// sum and total are the messages of a service on plain Go types.
type (
	sum struct {
		Numbers []int `json:"numbers"`
	}
	total struct {
		Total int `json:"total"`
	}
)

var jsonService = rpc.Service{Protocol: kit.TestService, Encoding: rpc.JSON, Methods: []rpc.Method{
	rpc.Unary(1, func(_ context.Context, in *sum) (*total, error) {
		out := new(total)
		for _, n := range in.Numbers {
			out.Total += n
		}
		return out, nil
	}),
	rpc.Stream(2, func(_ context.Context, in *sum) iter.Seq2[*total, error] {
		return func(yield func(*total, error) bool) {
			for i, n := range in.Numbers {
				if !yield(&total{i + n}, nil) {
					return
				}
			}
		}
	}),
	rpc.UnaryBytes(3, func(_ context.Context, in []byte) ([]byte, error) { return append([]byte("got "), in...), nil }),
}}

// Plain Go types and bytes cross the wire, and a message of another type is an error that
// names both types. The session goes on.
func TestBubbleRPCTypes(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		server, client := net.Start(gamelan.Config{}, gamelan.WithService(jsonService)), net.Start(gamelan.Config{})
		net.Connect(client, server)
		calls := client.RPC().Client(server.ID(), kit.TestService, rpc.JSON)
		if calls.Peer() != server.ID() || calls.Service() != kit.TestService || calls.Encoding() != rpc.JSON {
			t.Errorf("got a client of %v, %s, %s", calls.Peer(), calls.Service(), calls.Encoding())
		}
		one := false
		if got, err := rpc.Call[sum, total](t.Context(), calls, 1, &sum{[]int{1, 2, 3}}); err != nil || got.Total != 6 {
			t.Errorf("got %v, %v, want 6", got, err)
		}
		// A stream of a method that gives one answer says what to call, and the session goes on.
		for item, err := range rpc.Items[sum, total](t.Context(), calls, 1, &sum{[]int{1}}) {
			if !errors.Is(err, rpc.ErrOneAnswer) {
				t.Errorf("got %v, %v, want %v", item, err, rpc.ErrOneAnswer)
			}
			one = true
		}
		if got, err := rpc.Call[sum, total](t.Context(), calls, 1, &sum{[]int{2}}); !one || err != nil || got.Total != 2 {
			t.Errorf("got %v, %v, %v, want an error before, and 2", one, got, err)
		}
		n := 0
		for got, err := range rpc.Items[sum, total](t.Context(), calls, 2, &sum{[]int{5, 5}}) {
			if err != nil || got.Total != 5+n {
				t.Errorf("got %v, %v, want %d", got, err, 5+n)
			}
			n++
		}
		if n != 2 {
			t.Errorf("got %d items, want 2", n)
		}
		if got, err := rpc.CallBytes(t.Context(), calls, 3, []byte("x")); err != nil || string(got) != "got x" {
			t.Errorf("got %q, %v", got, err)
		}
		_, err := rpc.Call[total, total](t.Context(), calls, 1, &total{7})
		if !errors.Is(err, rpc.ErrType) || !errors.Is(err, rpc.BadRequest) ||
			!strings.Contains(err.Error(), `the request is not a calls.sum: it has no field "total"; method 1 was sent a calls.total`) {
			t.Errorf("got %v, want both types", err)
		}
		_, err = rpc.Call[kit.Text, kit.Text](t.Context(), client.RPC().Client(server.ID(), kit.TestService), 1, wrapperspb.String("x"))
		if !errors.Is(err, rpc.ErrType) || !strings.Contains(err.Error(), "calls.sum") || !strings.Contains(err.Error(), "google.protobuf.StringValue") {
			t.Errorf("got %v, want both types", err)
		}
		_, err = rpc.Call[sum, sum](t.Context(), calls, 1, &sum{[]int{1}})
		if !errors.Is(err, rpc.ErrType) || !errors.Is(err, rpc.ErrBadAnswer) || !strings.Contains(err.Error(), "not a calls.sum") {
			t.Errorf("got %v, want a wrong answer", err)
		}
		if got, err := rpc.Call[sum, total](t.Context(), calls, 1, &sum{[]int{4}}); err != nil || got.Total != 4 {
			t.Errorf("got %v, %v afterwards, want 4", got, err)
		}
		if n := kit.Sessions(server); n != 1 {
			t.Errorf("got %d sessions, want 1", n)
		}
	})
}
