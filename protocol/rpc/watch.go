package rpc

import (
	"fmt"
	"io"
)

// Watcher sees the messages of a call: see [Invocation.Watch].
type Watcher struct {
	// Request gets each request: at a client before it is sent, at a service before the method gets it. Nil: none.
	Request func(message any) error
	// Answer gets each answer: at a service before it is sent, at a client before the caller gets it. Nil: none.
	Answer func(message any) error
}

// Watch lets an [Interceptor] see the messages of the call, from next on: protobuf messages, pointers to Go types, or bytes. An
// error ends the call, and is that of Send or Receive in an [Exchange]; at a service one made with [Errorf] reaches the caller. A Watcher must not change or keep a message. The
// requests and the answers of one call may come at the same time.
func (i Invocation) Watch(w Watcher) {
	if i.watching != nil {
		i.watching.list = append(i.watching.list, w)
	}
}

// watching is who sees the messages of a call. Nil: nobody.
type watching struct{ list []Watcher }

func (w *watching) request(m any) error {
	return w.each(m, func(w Watcher) func(any) error { return w.Request })
}

func (w *watching) answer(m any) error {
	return w.each(m, func(w Watcher) func(any) error { return w.Answer })
}

func (w *watching) each(m any, of func(Watcher) func(any) error) error {
	if w == nil || m == nil {
		return nil
	}
	for _, watcher := range w.list {
		if see := of(watcher); see != nil {
			switch err := see(m); err {
			case nil:
			case io.EOF: // it is not that of the call
				return fmt.Errorf("rpc: a watcher: %w", err)
			default:
				return err
			}
		}
	}
	return nil
}
