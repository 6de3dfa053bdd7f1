package mux

import (
	"runtime"
	"testing"
	"time"
	"weak"
)

// TestEndedStreamsAreForgotten: nothing of a session keeps a substream that has ended, though no other one follows it.
func TestEndedStreamsAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, false, Config{})
		opened := make(chan *Stream, 1)
		server.Handle(func(st *Stream) { opened <- st }, func(error) {})
		own, theirs := exchanged(t, client, opened)
		time.Sleep(10 * time.Minute) // longer than all timers
		runtime.GC()
		runtime.GC()
		if own.Value() != nil {
			t.Error("got an ended substream of this side, want nothing left of it")
		}
		if theirs.Value() != nil {
			t.Error("got an ended substream of the peer, want nothing left of it")
		}
	})
}

// exchanged has a substream opened, used and ended, and returns both ends.
func exchanged(t *testing.T, client *Session, opened <-chan *Stream) (own, theirs weak.Pointer[Stream]) {
	a := mustOpen(t, client)
	mustWrite(t, a, "one")
	if err := a.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	b := <-opened
	mustRead(t, b, "one")
	a.Close()
	b.Close()
	return weak.Make(a), weak.Make(b)
}
