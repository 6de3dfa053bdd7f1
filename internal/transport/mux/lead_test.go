package mux

import (
	"errors"
	"io"
	"os"
	"runtime"
	"testing"
	"time"
)

// With GAMELAN_LEADS, all tests of this package have each Read lead as soon as it can.
func TestMain(m *testing.M) {
	if os.Getenv("GAMELAN_LEADS") != "" {
		newLead = eager
	}
	os.Exit(m.Run())
}

// eager is the state of a connection whose Reads lead at once. It has a lookout of its own, which sleeps by the runtime's clock.
func eager() *lead {
	d := &lead{after: 1, lookout: &lookout{nap: func() { time.Sleep(100 * time.Microsecond) }}}
	d.may.Store(true)
	return d
}

// eagerly has all Reads of a test lead at once.
func eagerly(t *testing.T) {
	was := newLead
	newLead = eager
	t.Cleanup(func() { newLead = was })
}

// turn has a byte go there and back n times, and leaves the Read that reads it last to lead.
func turn(t *testing.T, from, to *Stream, n int) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		b := make([]byte, 1)
		for range n {
			if _, err := io.ReadFull(to, b); err != nil {
				done <- err
				return
			}
			if _, err := to.Write(b); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for range n {
		mustWrite(t, from, "x")
		mustRead(t, from, "x")
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// led waits until the Reads of st lead.
func led(t *testing.T, st, other *Stream) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		turn(t, st, other, 10)
		if st.session.lead.st.Load() == st {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the Read does not lead")
		}
	}
}

// leadingPair returns both ends of a substream, of which the first leads.
func leadingPair(t *testing.T) (client, server *Session, st, other *Stream) {
	eagerly(t)
	client, server = pair(t, true, Config{})
	st = mustOpen(t, client)
	mustWrite(t, st, "s")
	other = <-accept(server)
	mustRead(t, other, "s")
	led(t, st, other)
	return client, server, st, other
}

// TestLeadOthers: what comes for others while the Read's caller does something else, is there soon: bytes, a ping, a new substream, and the
// end of the connection.
func TestLeadOthers(t *testing.T) {
	for name, comes := range map[string]func(t *testing.T, client, server *Session, second, its *Stream){
		"bytes": func(t *testing.T, _, _ *Session, second, its *Stream) {
			mustWrite(t, its, "for the second")
			mustRead(t, second, "for the second")
		},
		"ping": func(t *testing.T, _, server *Session, _, _ *Stream) {
			if _, err := server.Ping(); err != nil {
				t.Fatal(err)
			}
		},
		"pong": func(t *testing.T, client, _ *Session, _, _ *Stream) {
			if _, err := client.Ping(); err != nil {
				t.Fatal(err)
			}
		},
		"substream": func(t *testing.T, client, server *Session, _, _ *Stream) {
			mustWrite(t, mustOpen(t, server), "new")
			mustRead(t, <-accept(client), "new")
		},
		"end": func(t *testing.T, client, server *Session, second, _ *Stream) {
			server.Close()
			<-client.Done()
			if _, err := second.Read(make([]byte, 1)); !errors.Is(err, ErrSessionEnded) {
				t.Fatalf("got %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			eagerly(t)
			client, server := pair(t, true, Config{})
			came := accept(server)
			open := func() (*Stream, *Stream) {
				st := mustOpen(t, client)
				mustWrite(t, st, "s")
				other := <-came
				mustRead(t, other, "s")
				return st, other
			}
			second, its := open()
			st, other := open()
			led(t, st, other)
			comes(t, client, server, second, its) // nobody reads st
			if name != "end" {
				turn(t, st, other, 3)
			}
		})
	}
}

// TestLeadWaits: the same while the Read waits and leads.
func TestLeadWaits(t *testing.T) {
	for name, wakes := range map[string]struct {
		f    func(client, server *Session, st, other *Stream) error
		want error
	}{
		"deadline before": {func(_, _ *Session, st, _ *Stream) error {
			return st.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		}, os.ErrDeadlineExceeded},
		"deadline passed": {func(_, _ *Session, st, _ *Stream) error { return st.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"reset":           {func(_, _ *Session, st, _ *Stream) error { return st.Reset() }, ErrClosed},
		"peer's reset":    {func(_, _ *Session, _, other *Stream) error { return other.Reset() }, ErrReset},
		"peer's end":      {func(_, _ *Session, _, other *Stream) error { return other.CloseWrite() }, io.EOF},
		"close":           {func(client, _ *Session, _, _ *Stream) error { return client.Close() }, ErrSessionEnded},
		"peer's close":    {func(_, server *Session, _, _ *Stream) error { return server.Close() }, ErrSessionEnded},
		"GoAway": {func(_, server *Session, _, _ *Stream) error {
			_ = server.GoAway() // the peer may close before it returns
			return nil
		}, ErrSessionEnded},
	} {
		t.Run(name, func(t *testing.T) {
			client, server, st, other := leadingPair(t)
			read := make(chan error)
			go func() {
				_, err := st.Read(make([]byte, 1))
				read <- err
			}()
			for st.session.lead.elsewhere() { // the Read is about to lead, or the library's goroutine is called back
				runtime.Gosched()
			}
			if err := wakes.f(client, server, st, other); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-read:
				wantErr(t, err, wakes.want)
			case <-time.After(20 * time.Second):
				t.Fatal("the Read still waits")
			}
		})
	}
}

func (d *lead) reading() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reads
}

// elsewhere reports whether a Read leads whose caller does something else.
func (d *lead) elsewhere() bool { return d.st.Load() != nil && !d.reading() }

// TestLeadEnds: a connection that has ended leaves nothing with the lookout.
func TestLeadEnds(t *testing.T) {
	client, server, st, _ := leadingPair(t)
	w := st.session.lead.lookout
	client.Close()
	server.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.over) != 0 {
		t.Errorf("%d connections", len(w.over))
	}
}

const lookoutSleeps = 2 * time.Minute

// sleepy has all Reads of a test lead at once, and a lookout that looks so rarely that it does not help.
func sleepy(t *testing.T) {
	t.Helper()
	was := newLead
	newLead = func() *lead {
		d := eager()
		d.lookout.nap = func() { time.Sleep(lookoutSleeps) }
		return d
	}
	t.Cleanup(func() { newLead = was })
}

// TestLeadLookoutAsleep: who begins to wait for a frame calls the library's goroutine back, and so does a Read that returns before a
// frame that has come already: nobody waits for the lookout.
func TestLeadLookoutAsleep(t *testing.T) {
	for name, waits := range map[string]func(t *testing.T, client, server *Session, st, other, second, its *Stream){
		"another Read": func(t *testing.T, _, _ *Session, _, _, second, its *Stream) {
			mustWrite(t, its, "y")
			mustRead(t, second, "y")
		},
		"ping": func(t *testing.T, client, _ *Session, _, _, _, _ *Stream) {
			if _, err := client.Ping(); err != nil {
				t.Fatal(err)
			}
		},
		"credit": func(t *testing.T, _, _ *Session, _, _, second, its *Stream) {
			go io.Copy(io.Discard, its)
			if _, err := second.Write(make([]byte, 2<<20)); err != nil {
				t.Fatal(err)
			}
		},
		"a frame behind": func(t *testing.T, _, _ *Session, st, other, second, its *Stream) {
			heard := make(chan struct{})
			second.Notify(nil, func() { close(heard) })
			mustWrite(t, other, "x")
			mustWrite(t, its, "y")
			time.Sleep(20 * time.Millisecond) // both are with the kernel
			mustRead(t, st, "x")
			<-heard
			mustRead(t, second, "y")
		},
	} {
		t.Run(name, func(t *testing.T) {
			sleepy(t)
			a, b := noisePair(t)
			client, server := wrap(t, a, true, Config{}), wrap(t, b, false, Config{})
			server.lead.may.Store(false)
			came := accept(server)
			open := func() (*Stream, *Stream) {
				st := mustOpen(t, client)
				mustWrite(t, st, "s")
				other := <-came
				mustRead(t, other, "s")
				return st, other
			}
			second, its := open()
			st, other := open()
			led(t, st, other)
			done := make(chan struct{})
			go func() {
				defer close(done)
				waits(t, client, server, st, other, second, its)
			}()
			select {
			case <-done:
			case <-time.After(lookoutSleeps / 2):
				t.Fatal("it waits for the lookout")
			}
		})
	}
}

// TestLeadPanic: a listener that panics while a Read leads: its caller recovers, and the session goes on.
func TestLeadPanic(t *testing.T) {
	eagerly(t)
	client, server := pair(t, true, Config{})
	came := accept(server)
	open := func() (*Stream, *Stream) {
		st := mustOpen(t, client)
		mustWrite(t, st, "s")
		other := <-came
		mustRead(t, other, "s")
		return st, other
	}
	second, its := open()
	st, other := open()
	for {
		led(t, st, other)
		got := make(chan any, 1)
		second.Notify(nil, func() {
			if st.session.lead.reading() {
				panic("listener")
			}
			got <- nil // on the library's goroutine, which was called back
		})
		go func() {
			defer func() {
				if r := recover(); r != nil {
					got <- r
				}
			}()
			st.Read(make([]byte, 1))
		}()
		for st.session.lead.elsewhere() {
			runtime.Gosched()
		}
		mustWrite(t, its, "y")
		recovered := <-got
		mustRead(t, second, "y")
		if recovered != nil {
			break
		}
		mustWrite(t, other, "x") // for the Read that waits
	}
	turn(t, st, other, 3)
}
