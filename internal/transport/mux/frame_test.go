package mux

import (
	"io"
	"testing"
	"testing/synctest"
	"time"
)

const smallWindow = minWindow // the window of the recorded exchanges

// The exchange of a Go client that writes and a peer that only reads, and
// acknowledges with its FIN. Spec: comms 5.4, first table.
//
// conforms: comms 60, 61, 62, 65, 143
func TestWriteToLazyPeer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{Window: smallWindow})
		d.Write(unhex(t, "00 02 0001 00000000 6cabcd46"))
		d.expect("00 02 0002 00000000 6cabcd46")
		st := mustOpen(t, s)
		d.expect("00 01 0001 00000001 00000000")
		for range 12 { // minutes without ACK
			mustWrite(t, st, "msg")
			d.expect("00 00 0000 00000001 00000003 6d7367")
			time.Sleep(time.Minute)
		}
		if err := st.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		d.expect("00 00 0004 00000001 00000000")
		if got := s.NumStreams(); got != 1 {
			t.Errorf("got %d streams after our FIN, want 1", got)
		}
		d.Write(unhex(t, "00 00 0006 00000001 00000000"))
		if _, err := st.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("got read error %v, want EOF", err)
		}
		if got := s.NumStreams(); got != 0 {
			t.Errorf("got %d streams after both FINs, want 0", got)
		}
		d.quiet()
	})
}

// The exchange of a lazy opener, whose SYN comes with its first bytes. Spec:
// comms 5.4, second table, and 5.3 for our FIN.
//
// conforms: comms 60, 65, 143
func TestLazyOpener(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, false, Config{Window: smallWindow})
		d.Write(unhex(t, "00 02 0001 00000000 00000000"))
		d.Write(unhex(t, "00 00 0001 00000001 0000000f 0308742f6563686f2f3168656c6c6f"))
		d.Write(unhex(t, "00 00 0004 00000001 00000000"))
		d.expect("00 02 0002 00000000 00000000")
		synctest.Wait()
		st, err := s.Accept() // no ACK: the peer has ended already
		if err != nil {
			t.Fatal(err)
		}
		if got := st.ID(); got != 1 {
			t.Errorf("got id %d, want 1", got)
		}
		got, err := io.ReadAll(st)
		if want := string(unhex(t, "0308742f6563686f2f3168656c6c6f")); string(got) != want || err != nil {
			t.Errorf("got %x, %v, want %x", got, err, want)
		}
		if err := st.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		d.expect("00 00 0004 00000001 00000000")
		if got := s.NumStreams(); got != 0 {
			t.Errorf("got %d streams, want 0", got)
		}
		// Nothing more on Close, both sides have ended.
		st.Close()
		d.quiet()
	})
}

// The default window is announced with the SYN and with the ACK.
func TestWindowCredit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, false, Config{})
		mustOpen(t, s)
		d.expect("00 01 0001 00000002 000c0000")
		d.Data(flagSYN, 1, "x")
		if _, err := s.Accept(); err != nil {
			t.Fatal(err)
		}
		d.expect("00 01 0002 00000001 000c0000")
	})
}

// Every combination that peers use to open, acknowledge and end.
//
// conforms: comms 65
func TestFlagsOnAnyFrame(t *testing.T) {
	for _, kind := range []uint8{typeData, typeWindow} {
		t.Run(map[uint8]string{typeData: "data", typeWindow: "window update"}[kind], func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s, d := connect(t, true, Config{})
				streams := accept(s)

				own := mustOpen(t, s)
				d.Send(kind, flagACK, own.ID(), 0)
				synctest.Wait()
				if got := s.unacknowledged(); got != 0 {
					t.Errorf("got %d opens that wait for ACK, want none", got)
				}
				d.Send(kind, flagFIN, own.ID(), 0)
				if _, err := own.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("got %v after FIN, want EOF", err)
				}

				d.Send(kind, flagSYN, 2, 0)
				d.Send(kind, flagRST, 2, 0)
				in := <-streams
				_, err := in.Read(make([]byte, 1))
				wantErr(t, err, ErrReset)

				own = mustOpen(t, s)
				d.Send(kind, flagACK|flagRST, own.ID(), 0)
				_, err = own.Read(make([]byte, 1))
				wantErr(t, err, ErrReset)
				if kind == typeData { // FIN, or all of it, on the last bytes
					own = mustOpen(t, s)
					d.Data(flagACK|flagFIN, own.ID(), "last")
					wantLast(t, own)
					d.Data(flagSYN|flagFIN, 4, "last")
					wantLast(t, <-streams)
				}
				synctest.Wait()
				want := 1
				if kind == typeData {
					want = 3
				}
				if got := s.NumStreams(); got != want {
					t.Errorf("got %d streams, want the %d half-closed ones", got, want)
				}
			})
		})
	}
}

// wantLast reads what came with a FIN, and the end.
func wantLast(t *testing.T, s *Stream) {
	t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(s); string(got) != "last" || err != nil {
		t.Errorf("got %q, %v of a stream that ends with its last bytes, want them and EOF", got, err)
	}
}

// A peer that notes a FIN on a window update but does not wake its reader must
// still answer our half-close: ours is never on one.
//
// conforms: comms 143
func TestNoFINOnWindowUpdate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		for range 3 {
			st := mustOpen(t, s)
			d.next()
			mustWrite(t, st, "question")
			d.next()
			st.CloseWrite()
			f := d.next() // the double wakes its reader only for a data frame
			if f.Type() != typeData || f.Flags() != flagFIN || f.Length() != 0 {
				t.Fatalf("got %v, want FIN on an empty data frame", f)
			}
			d.Data(flagACK, st.ID(), "answer")
			d.Send(typeData, flagFIN, st.ID(), 0)
			start := time.Now()
			if got, err := io.ReadAll(st); string(got) != "answer" || err != nil {
				t.Fatalf("got %q, %v, want the answer", got, err)
			}
			if d := time.Since(start); d != 0 {
				t.Errorf("got an answer after %v, want at once", d)
			}
		}
	})
}

// A FIN with a body ends the half after the body.
func TestFINWithBody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st := mustOpen(t, s)
		d.Data(flagFIN, st.ID(), "all of it")
		if got, err := io.ReadAll(st); string(got) != "all of it" || err != nil {
			t.Errorf("got %q, %v, want all of it", got, err)
		}

		// Cut inside the body, the end of the connection is not its end.
		st = mustOpen(t, s)
		h := newHeader(typeData, flagFIN|flagACK, st.ID(), 10)
		d.Write(append(h[:], "half"...))
		d.conn.Close()
		got, err := io.ReadAll(st)
		if string(got) != "half" {
			t.Errorf("got %q, want what had arrived", got)
		}
		wantErr(t, err, ErrSessionEnded)
	})
}

// Repeated ends, acknowledgements and what comes after them end nothing else.
func TestRepeatedFlags(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		streams := accept(s)
		bystander := mustOpen(t, s) // never acknowledged
		st := mustOpen(t, s)
		for range 3 {
			d.Send(typeWindow, flagACK, st.ID(), 0)
		}
		d.Send(typeData, flagSYN|flagACK, 2, 0) // its ACK acknowledges nothing
		in := <-streams
		for range 3 {
			d.Send(typeData, flagFIN, st.ID(), 0)
			d.Send(typeWindow, flagFIN, in.ID(), 0)
		}
		st.CloseWrite()
		for range 3 {
			d.Send(typeData, flagFIN, st.ID(), 0)
			d.Send(typeData, flagRST, in.ID(), 0)
		}
		d.Send(typeData, flagFIN, in.ID(), 0)
		d.Data(flagSYN, 4, "unread")
		reset := <-streams
		d.Send(typeData, flagRST, 4, 0)
		d.Send(typeData, flagFIN, 4, 0)
		d.Send(typeData, flagRST, 4, 0)
		d.Send(typeData, flagFIN|flagRST, 7777, 0)
		d.Data(flagFIN, 8888, "nobody knows it")
		d.Data(0, 9999, "nor it")
		if _, err := s.Ping(); err != nil {
			t.Fatalf("got %v, want a living session", err)
		}
		if got := s.NumStreams(); got != 1 {
			t.Errorf("got %d streams, want the one bystander", got)
		}
		mustRead(t, reset, "unread")
		_, err := reset.Read(make([]byte, 1))
		wantErr(t, err, ErrReset)
		if n, slots := s.unacknowledged(), s.slots(); n != 0 || slots != 0 {
			t.Errorf("got %d opens and %d slots in the library's account, want none: it has forgotten them", n, slots)
		}
		d.Data(flagACK, bystander.ID(), "fine")
		mustRead(t, bystander, "fine")
		if got := s.unacknowledged(); got != 0 {
			t.Errorf("got %d opens in the library's account, want 0", got)
		}
	})
}

// An end that comes instead of an ACK leaves nothing in the library.
func TestEndWithoutACK(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		for i := range 3 * backlog {
			st := mustOpen(t, s)
			switch i % 4 {
			case 0:
				d.Send(typeData, flagFIN, st.ID(), 0)
				st.CloseWrite()
			case 1:
				st.CloseWrite()
				d.Send(typeWindow, flagFIN, st.ID(), 0)
			case 2:
				d.Send(typeData, flagRST, st.ID(), 0)
			case 3:
				st.Reset()
			}
			synctest.Wait()
			st.Close()
		}
		synctest.Wait()
		if got := s.unacknowledged(); got != 0 {
			t.Errorf("got %d opens in the library's account, want 0", got)
		}
		if got := s.libraryStreams(); got != 0 {
			t.Errorf("got %d streams in the library, want 0", got)
		}
		if got := s.NumStreams(); got != 0 {
			t.Errorf("got %d streams, want 0", got)
		}
	})
}
