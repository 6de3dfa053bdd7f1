package mux

import (
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// TestWriterStaysUntilIdle: the goroutine that writes out frames for which nobody waits stays
// while substreams deliver something, and serves the next frames. It ends when the session is
// idle, and with the session.
func TestWriterStaysUntilIdle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		x, y := net.Pipe()
		client, server := wrap(t, x, true, Config{}), wrap(t, y, false, Config{})
		idle := runtime.NumGoroutine()
		ping := func() {
			t.Helper()
			if _, err := client.Ping(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		goroutines := func(when string, want int) {
			t.Helper()
			synctest.Wait()
			if got := runtime.NumGoroutine() - idle; got != want {
				t.Errorf("%s: got %d goroutines that wait, want %d", when, got, want)
			}
		}
		ping()
		goroutines("after a ping of an idle session", 0)

		out := mustOpen(t, client)
		mustWrite(t, out, "bytes")
		in, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		mustRead(t, in, "bytes")
		mustWrite(t, in, "bytes")
		mustRead(t, out, "bytes")
		ping()
		goroutines("while bytes are delivered", 2) // of both sessions
		for range 3 {
			ping()
		}
		goroutines("after more pings", 2)

		time.Sleep(2 * Config{}.WithDefaults().IdleTimeout)
		goroutines("when both sessions are idle", 0)
		ping()
		goroutines("after another ping", 0)

		mustWrite(t, out, "more")
		mustRead(t, in, "more")
		ping()
		goroutines("after more bytes, read by the server", 1)
		server.Close()
		client.Close()
		synctest.Wait()
		if got := runtime.NumGoroutine(); got >= idle {
			t.Errorf("after the end: got %d goroutines, want fewer than the %d of two idle sessions", got, idle)
		}
	})
}
