package rpc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan/identity"
)

// noting returns an interceptor that notes when a call passes it, and with what result.
func noting(notes *[]string, name string) Interceptor {
	return func(ctx context.Context, call Invocation, next func(context.Context) error) error {
		*notes = append(*notes, fmt.Sprintf("%s begins %d %q stream %v", name, call.Method, call.Name, call.Stream))
		err := next(context.WithValue(ctx, noteKey{}, name))
		*notes = append(*notes, fmt.Sprintf("%s ends %v", name, err))
		return err
	}
}

type noteKey struct{}

// bound returns a method of a service as it serves.
func bound(t *testing.T, s Service, number uint32) Method {
	t.Helper()
	methods, err := s.Bind()
	if err != nil {
		t.Fatal(err)
	}
	return methods[slices.IndexFunc(methods, func(m Method) bool { return m.Number() == number })]
}

func discard(encode func([]byte) ([]byte, error)) error { _, err := encode(nil); return err }

func TestInterceptors(t *testing.T) {
	var notes []string
	peer := identity.NodeID{7}
	ctx := WithCaller(t.Context(), &Caller{Peer: peer})
	s := Service{Protocol: "test/noted/1", Methods: []Method{
		Unary(1, func(ctx context.Context, in *text) (*text, error) {
			notes = append(notes, fmt.Sprint("method within ", ctx.Value(noteKey{})))
			if in.Value == "" {
				return nil, NotFound
			}
			return in, nil
		}).Named("Echo"),
		Stream(2, func(context.Context, *text) iter.Seq2[*text, error] {
			return func(yield func(*text, error) bool) { yield(wrapperspb.String("item"), nil) }
		}),
	}, Interceptors: []Interceptor{noting(&notes, "outer"), noting(&notes, "inner")}}
	for method, want := range map[uint32][]string{
		1: {`outer begins 1 "Echo" stream false`, `inner begins 1 "Echo" stream false`, "method within inner", "inner ends rpc: not found", "outer ends rpc: not found"},
		2: {`outer begins 2 "" stream true`, `inner begins 2 "" stream true`, "inner ends <nil>", "outer ends <nil>"},
	} {
		notes = nil
		bound(t, s, method).Serve(ctx, nil, discard)
		if !slices.Equal(notes, want) {
			t.Errorf("got %q, want %q", notes, want)
		}
	}

	s.Interceptors = []Interceptor{func(_ context.Context, call Invocation, _ func(context.Context) error) error {
		return Errorf(Conflict, "%s %v", call.Protocol, call.Peer == peer)
	}}
	notes = nil
	if err := bound(t, s, 1).Serve(ctx, nil, discard); !errors.Is(err, Conflict) || !strings.Contains(err.Error(), "test/noted/1 true") || notes != nil {
		t.Errorf("got %v, %q, want that the call is refused", err, notes)
	}
	s.Interceptors = []Interceptor{func(ctx context.Context, _ Invocation, next func(context.Context) error) error {
		return errors.Join(next(ctx), next(ctx))
	}}
	if err := bound(t, s, 2).Serve(ctx, nil, discard); !errors.Is(err, errNextTwice) {
		t.Errorf("got %v, want that a second time is refused", err)
	}
	s.Interceptors = []Interceptor{nil}
	if err := s.Validate(); !errors.Is(err, ErrBadService) {
		t.Errorf("got %v for an interceptor that is nil", err)
	}
}

func TestPolicies(t *testing.T) {
	friend, admin, stranger := identity.NodeID{1}, identity.NodeID{2}, identity.NodeID{3}
	calls := 0
	method := func(number uint32) Method {
		return UnaryBytes(number, func(context.Context, []byte) ([]byte, error) { calls++; return nil, nil })
	}
	secret := errors.New("the list is on the disk")
	s := Service{
		Protocol: "test/allowed/1", Methods: []Method{method(1), method(2), method(3), method(4), method(5)},
		Allow: AllowPeers(friend, admin),
		AllowMethod: map[uint32]Policy{
			2: AllowAll, 3: AllowPeers(admin),
			4: func(context.Context, Invocation) error { return secret },
			5: func(context.Context, Invocation) error { return Errorf(Conflict, "not now") },
		},
	}
	for _, tt := range []struct {
		peer   identity.NodeID
		method uint32
		want   error
	}{
		{friend, 1, nil},
		{stranger, 1, Forbidden},
		{identity.NodeID{}, 1, Forbidden},
		{stranger, 2, nil},
		{friend, 3, Forbidden},
		{admin, 3, nil},
		{admin, 4, Forbidden},
		{admin, 5, Conflict},
	} {
		calls = 0
		err := bound(t, s, tt.method).Serve(WithCaller(t.Context(), &Caller{Peer: tt.peer}), nil, discard)
		if !errors.Is(err, tt.want) || (tt.want == nil) != (calls == 1) {
			t.Errorf("method %d for %v: got %v, %d calls, want %v", tt.method, tt.peer[0], err, calls, tt.want)
		}
		own := tt.method == 4 // its policy's own error stays here, and is not lost
		var failed *policyError
		if tt.want != nil && StatusOf(err) != tt.want {
			t.Errorf("method %d: got status %v", tt.method, StatusOf(err))
		}
		if private := errors.As(err, &failed); private != own || errors.Is(err, secret) != own || own && strings.Contains(failed.Answer().Details, "disk") {
			t.Errorf("method %d: private %v of %v", tt.method, private, err)
		}
	}
	// A request is not decoded for a peer that may not make it.
	s = Service{Protocol: "test/allowed/1", Methods: greeter.Methods, Allow: AllowPeers()}
	if err := bound(t, s, 1).Serve(t.Context(), []byte{0xff}, discard); !errors.Is(err, Forbidden) {
		t.Errorf("got %v, want forbidden", err)
	}
	for want, bad := range map[string]map[uint32]Policy{
		"AllowMethod has a policy for method 9, but the service has no such method": {9: AllowAll},
		"the policy for method 1 in AllowMethod is nil":                             {1: nil},
	} {
		if err := (Service{Protocol: "a", Methods: greeter.Methods, AllowMethod: bad}).Validate(); !errors.Is(err, ErrBadService) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v for %v, want %q", err, bad, want)
		}
	}
}

// waits is a call that lasts until its context ends.
func waits(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := Deadline(3*time.Second)(t.Context(), Invocation{}, waits)
		if StatusOf(err) != Timeout || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 3*time.Second {
			t.Errorf("got %v after %v, want a timeout after 3s", err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := Deadline(time.Second)(ctx, Invocation{}, waits); !errors.Is(err, context.Canceled) || errors.Is(err, Timeout) {
			t.Errorf("got %v, want that the caller has given up", err)
		}
		own := fmt.Errorf("the database: %w", context.DeadlineExceeded)
		if err := Deadline(time.Second)(t.Context(), Invocation{}, func(context.Context) error { return own }); err != own {
			t.Errorf("got %v, want the method's own error: its deadline has not passed", err)
		}
		if err := Deadline(time.Second)(t.Context(), Invocation{}, func(context.Context) error { return NotFound }); err != NotFound {
			t.Errorf("got %v, want the error of the call", err)
		}
	})
}

func TestClientInterceptors(t *testing.T) {
	var notes []string
	d := &direct{Service: greeter}
	c := d.to(noting(&notes, "outer"), noting(&notes, "inner"))
	if reply, err := Call[text, text](t.Context(), c, 1, wrapperspb.String("Anna")); err != nil || reply.Value != "Hello, Anna" {
		t.Errorf("got %v, %v", reply, err)
	}
	for range Items[num, num](t.Context(), c, 2, wrapperspb.UInt32(10)) {
		break
	}
	want := []string{
		`outer begins 1 "" stream false`, `inner begins 1 "" stream false`, "inner ends <nil>", "outer ends <nil>",
		`outer begins 2 "" stream true`, `inner begins 2 "" stream true`, "inner ends <nil>", "outer ends <nil>",
	}
	if !slices.Equal(notes, want) {
		t.Errorf("got %q, want %q", notes, want)
	}

	// An error of an interceptor after the loop was left has nobody to get it.
	late := Interceptor(func(ctx context.Context, _ Invocation, next func(context.Context) error) error {
		return errors.Join(next(ctx), errUnwanted)
	})
	c = d.to(late)
	for _, err := range Items[num, num](t.Context(), c, 2, wrapperspb.UInt32(10)) {
		if err != nil {
			t.Errorf("got %v, want an item", err)
		}
		break
	}
	for range ItemsBytes(t.Context(), c, 2, []byte{8, 10}) {
		break
	}

	// A unary call may be made again, and its answer replaces the one before; a stream not.
	twice := Interceptor(func(ctx context.Context, _ Invocation, next func(context.Context) error) error {
		if err := next(ctx); err != nil {
			return err
		}
		return next(ctx)
	})
	notesOf := []order{{Item: "a", Note: "first"}, {Item: "b"}}
	n := 0
	c = (&direct{Service: Service{Protocol: "test/again/1", Encoding: JSON, Methods: []Method{
		Unary(1, func(context.Context, *order) (*order, error) { n++; return &notesOf[n-1], nil }),
		Stream(2, func(context.Context, *order) iter.Seq2[*order, error] { return func(func(*order, error) bool) {} }),
	}}}).to(JSON, twice)
	if got, err := Call[order, order](t.Context(), c, 1, &order{}); err != nil || *got != notesOf[1] {
		t.Errorf("got %+v, %v, want the second answer", got, err)
	}
	var last error
	for _, err := range Items[order, order](t.Context(), c, 2, &order{}) {
		last = err
	}
	if !errors.Is(last, errNextTwice) {
		t.Errorf("got %v, want that a stream is not made again", last)
	}
}
