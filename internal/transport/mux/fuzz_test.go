package mux

import (
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"
)

// Whatever a peer sends, the session ends without a panic, holds no more than
// its limits meanwhile, and leaves nothing behind.
func FuzzMuxInbound(f *testing.F) {
	seed := func(frames ...any) {
		var b []byte
		for _, v := range frames {
			switch v := v.(type) {
			case header:
				b = append(b, v[:]...)
			case string:
				b = append(b, v...)
			}
		}
		f.Add(b, uint8(len(b)))
	}
	seed()
	seed("\x00\x00\x00")
	seed(newHeader(typePing, flagSYN, 0, 7), newHeader(typePing, flagACK, 0, 0))
	seed(newHeader(typeData, flagSYN, 1, 5), "hello", newHeader(typeData, flagFIN, 1, 0))
	seed(newHeader(typeWindow, flagSYN, 1, 0), newHeader(typeData, flagRST, 1, 3), "abc", newHeader(typeData, flagFIN, 1, 0))
	seed(newHeader(typeData, flagACK, 2, 3), "own", newHeader(typeWindow, flagFIN|flagACK, 2, 9), newHeader(typeWindow, flagFIN, 2, 0))
	seed(newHeader(typeWindow, flagRST|flagACK, 2, 0), newHeader(typeWindow, flagRST, 2, 0), newHeader(typeData, 0, 2, 2), "xy")
	seed(newHeader(typeData, flagSYN|flagFIN|flagRST|flagACK, 3, 4), "four", newHeader(typeData, 0, 3, 1))
	seed(newHeader(typeData, flagSYN, 1, 0), newHeader(typeData, flagSYN, 1, 0))
	seed(newHeader(typeGoAway, 0, 0, 0), newHeader(typeData, flagSYN, 1, 0))
	seed(newHeader(typeData, flagSYN, 1, 1<<31))
	seed(newHeader(typeData, 0, 9, 1<<32-1), "never ends")
	seed(newHeader(typeWindow, 0, 2, 1<<32-1), newHeader(typeWindow, 0, 2, 1<<32-1))
	var flood []any
	for i := range uint32(90) {
		flood = append(flood, newHeader(typeWindow, flagSYN, 2*i+1, 0))
	}
	seed(flood...)

	f.Fuzz(func(t *testing.T, b []byte, chunk uint8) {
		watchdog := time.AfterFunc(2*time.Minute, func() {
			debug.SetTraceback("all")
			panic("hangs")
		})
		defer watchdog.Stop()
		before := runtime.NumGoroutine()
		a, peer := net.Pipe()
		s, err := start(over(a), false, Config{})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { io.Copy(io.Discard, peer) })
		own, err := s.Open()
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			io.Copy(own, own)
			own.CloseWrite()
			own.Close()
		})
		wg.Go(func() {
			for {
				st, err := s.Accept()
				if err != nil {
					return
				}
				wg.Go(func() {
					if st.ID()%3 == 0 {
						st.Reset()
						return
					}
					io.Copy(st, st)
					st.CloseWrite()
					st.Close()
				})
			}
		})
		size := 1 + int(chunk)
		for len(b) > 0 && s.Err() == nil {
			n := min(size, len(b))
			peer.Write(b[:n])
			b = b[n:]
			if all, in, lib := s.NumStreams(), s.inbound(), s.libraryStreams(); all > 99 || in > 80 || lib > 2*backlog {
				t.Errorf("got %d streams, %d inbound, %d in the library, want at most 99, 80, %d", all, in, lib, 2*backlog)
			}
		}
		peer.Close()
		select {
		case <-s.Done():
		case <-time.After(time.Minute):
			t.Error("got a living session after the end of the connection")
		}
		s.Close()
		wg.Wait()
		if s.Err() == nil {
			t.Error("got no cause, want one")
		}
		for i := 0; runtime.NumGoroutine() > before && i < 10_000; i++ {
			time.Sleep(time.Millisecond)
		}
		if n := runtime.NumGoroutine(); n > before {
			t.Errorf("got %d goroutines, want %d", n, before)
		}
	})
}
