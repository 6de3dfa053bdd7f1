package rpcpart

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/gamelan-p2p/gamelan/internal/protocol/manycalls"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/internal/turns"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// Exchange makes a call with a stream of requests: see [rpc.Transport]. again is as for [Session.Invoke], and f was not called then.
func (s *Session) Exchange(ctx context.Context, method uint32, stream bool, f func(rpc.Channel) error) (again onecall.Repeat, err error) {
	m := s.many.Load()
	if m == nil {
		s.release()
		return onecall.RepeatNever, rpc.ErrOneRequest
	}
	k, err := m.prepare(ctx, method, stream)
	if err != nil {
		s.release()
		return onecall.RepeatNever, err
	}
	k.more, k.patience = turns.NewBell(), rpc.MaxDeadline+onecall.Grace
	defer m.conduct(ctx, k)() // also when f ends the goroutine
	m.look()
	m.mu.Lock()
	open, again, err := m.begin(ctx, k)
	if err == nil {
		open.Bare = true
		m.gather.add(&open)
		if m.flush(k); k.err != nil || k.refused {
			again, err = m.failed(ctx, k)
		}
	}
	m.mu.Unlock()
	if err != nil {
		return again, err
	}
	defer func() { // for a goroutine that still uses the channel
		m.mu.Lock()
		defer m.mu.Unlock()
		k.err = cmp.Or(k.err, errExchangeOver)
		k.ring()
	}()
	return onecall.RepeatNever, f(&exchange{m: m, k: k, ctx: ctx})
}

var errExchangeOver = errors.New("rpc: the call is over: its function has returned")

// exchange is a call with a stream of requests, for its caller.
type exchange struct {
	m   *manyCalls
	k   *manyCall
	ctx context.Context

	sending sync.Mutex // by one goroutine at a time
}

// Send sends a request.
func (x *exchange) Send(encode func([]byte) ([]byte, error)) error {
	buf, err := encodeRequest(encode, 0)
	defer func() { putBuffer(buf) }()
	if err != nil {
		return err
	}
	return x.send(func() (whole bool) {
		whole = x.m.send(x.ctx, x.k, manycalls.Frame{Call: x.k.c.ID, Kind: manycalls.Message}, buf, false)
		x.m.extend(x.ctx, x.k)
		return whole
	})
}

// CloseSend says that there are no more requests.
func (x *exchange) CloseSend() error {
	return x.send(func() (whole bool) {
		x.k.sent = true
		x.m.gather.add(&manycalls.Frame{Call: x.k.c.ID, Kind: manycalls.End})
		x.m.flush(x.k)
		return true
	})
}

// send sends what f does. Behind a request that has not gone whole nothing may go.
func (x *exchange) send(f func() (whole bool)) error {
	x.sending.Lock()
	defer x.sending.Unlock()
	x.m.mu.Lock()
	defer x.m.mu.Unlock()
	if x.k.sent || x.k.over() || x.k.hasten {
		return io.EOF
	}
	if whole := f(); !whole {
		x.k.sent = true
		return io.EOF
	}
	if x.k.over() || x.k.hasten {
		return io.EOF
	}
	return nil
}

// Receive waits for the next answer.
func (x *exchange) Receive(got func([]byte) error) error {
	x.m.mu.Lock()
	defer x.m.mu.Unlock()
	given, again, err := x.m.next(x.ctx, x.k, got)
	switch {
	case err == nil && !given:
		return io.EOF
	case again == onecall.RepeatAnyTime:
		return rpc.NotRun(err)
	}
	return err
}
