package view_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/gamelan-p2p/gamelan/internal/view"
)

func TestPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p view.Pending[string]
		p.Wait(t.Context(), "a") // nothing is under way
		first, second := p.Begin("a"), p.Begin("a")
		defer p.Begin("b")()
		done := make(chan struct{})
		go func() { p.Wait(t.Context(), "a"); close(done) }()
		first()
		first() // counts once
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("got the end of the wait with one under way, want none")
		default:
		}
		second()
		<-done
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p.Wait(ctx, "b") // ends with its context
	})
}
