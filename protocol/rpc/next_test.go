package rpc

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/types/known/wrapperspb"
)

// elsewhere is an interceptor that runs next on a goroutine of its own and does not wait for
// it. It hands on what next has returned.
func elsewhere(result chan<- error) Interceptor {
	return func(ctx context.Context, _ Invocation, next func(context.Context) error) error {
		go func() { result <- next(ctx) }()
		synctest.Wait() // next is under way
		return errUnwanted
	}
}

// A call is over before its interceptors have returned, also for those that did not wait.
func TestInterceptorReturnsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		result := make(chan error, 1)
		over := false
		s := Service{Protocol: "test/early/1", Interceptors: []Interceptor{elsewhere(result)}, Methods: []Method{
			UnaryBytes(1, func(ctx context.Context, _ []byte) ([]byte, error) {
				err := waits(ctx)
				over = true
				return nil, err
			}),
		}}
		err := bound(t, s, 1).Serve(t.Context(), nil, discard)
		if !over || !errors.Is(err, errUnwanted) {
			t.Errorf("service: got %v, method over %v, want that the method's context ends and the method is waited for", err, over)
		}
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("service: next returned %v", err)
		}

		over = false
		err = new(direct).to(elsewhere(result)).through(t.Context(), new(Invocation), func(ctx context.Context) error {
			err := waits(ctx)
			over = true
			return err
		})
		if !over || !errors.Is(err, errUnwanted) {
			t.Errorf("client: got %v, call over %v, want that the call's context ends and the call is waited for", err, over)
		}
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("client: next returned %v", err)
		}
	})
}

// A call that an interceptor makes after it has returned is not made.
func TestNextTooLate(t *testing.T) {
	var late func(context.Context) error
	keeps := Interceptor(func(_ context.Context, _ Invocation, next func(context.Context) error) error {
		late = next
		return NotFound
	})
	s := Service{Protocol: "test/late/1", Methods: greeter.Methods, Interceptors: []Interceptor{keeps}}
	if err := bound(t, s, 1).Serve(t.Context(), nil, discard); !errors.Is(err, NotFound) {
		t.Errorf("service: got %v", err)
	}
	if err := late(t.Context()); !errors.Is(err, errNextLate) {
		t.Errorf("service: next returned %v after the call", err)
	}
	made := false
	err := new(direct).to(keeps).through(t.Context(), new(Invocation), func(context.Context) error { made = true; return nil })
	if !errors.Is(err, NotFound) {
		t.Errorf("client: got %v", err)
	}
	if err := late(t.Context()); !errors.Is(err, errNextLate) || made {
		t.Errorf("client: next returned %v after the call, made %v", err, made)
	}
}

// An interceptor that says nil for a call without an answer gives nobody an empty answer.
func TestInterceptorSaysNil(t *testing.T) {
	skips := Interceptor(func(context.Context, Invocation, func(context.Context) error) error { return nil })
	swallows := Interceptor(func(ctx context.Context, _ Invocation, next func(context.Context) error) error {
		_ = next(ctx)
		return nil
	})
	failing := Service{Protocol: "test/nil/1", Methods: []Method{
		Unary(1, func(context.Context, *text) (*text, error) { return nil, NotFound }),
		Stream(2, func(context.Context, *text) iter.Seq2[*text, error] {
			return func(yield func(*text, error) bool) { yield(nil, NotFound) }
		}),
	}}
	for name, tt := range map[string]struct {
		interceptor Interceptor
		want        error
	}{"skips": {skips, errNextNever}, "swallows": {swallows, NotFound}} {
		client := (&direct{Service: failing}).to(tt.interceptor)
		got, err := Call[text, text](t.Context(), client, 1, wrapperspb.String("a"))
		if !errors.Is(err, tt.want) || got != nil {
			t.Errorf("%s, call: got %v, %v, want %v", name, got, err, tt.want)
		}
		var last error
		for _, err := range Items[text, text](t.Context(), client, 2, wrapperspb.String("a")) {
			last = err
		}
		if !errors.Is(last, tt.want) {
			t.Errorf("%s, stream: got %v, want %v", name, last, tt.want)
		}
		served := failing
		served.Interceptors = []Interceptor{tt.interceptor}
		for _, method := range []uint32{1, 2} {
			if err := bound(t, served, method).Serve(t.Context(), nil, discard); !errors.Is(err, tt.want) {
				t.Errorf("%s, service, method %d: got %v, want %v", name, method, err, tt.want)
			}
		}
	}
}
