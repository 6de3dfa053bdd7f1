package mux

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Live streams of both directions stay below 100; the peer has at most 80 of
// them; a place is free again when a stream ends.
//
// conforms: comms 70
// conforms: V 12
func TestStreamLimits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		streams := accept(s)
		var in []*Stream
		for i := range 85 {
			d.Data(flagSYN, uint32(2*i+2), "x")
			d.Data(0, uint32(2*i+2), "more of a refused stream")
			if i < 80 {
				in = append(in, <-streams)
				d.next() // ACK
				continue
			}
			d.expect("00 00 0008 " + hexID(uint32(2*i+2)) + " 00000000")
		}
		if got := s.inbound(); got != 80 {
			t.Errorf("got %d inbound streams, want 80", got)
		}
		// The peer cannot lock us out.
		var own []*Stream
		for range 19 {
			own = append(own, mustOpen(t, s))
		}
		_, err := s.Open()
		wantErr(t, err, ErrTooManyStreams)
		if got := s.NumStreams(); got != 99 {
			t.Errorf("got %d streams, want 99", got)
		}
		own[0].Reset()
		mustOpen(t, s)
		in[0].CloseWrite()
		d.Send(typeData, flagFIN, in[0].ID(), 0)
		synctest.Wait()
		mustOpen(t, s)
		// An inbound place is free, but all places together are not.
		d.Data(flagSYN, 1000, "x")
		d.Data(flagSYN, 1002, "x")
		synctest.Wait()
		if got := s.NumStreams(); got != 99 {
			t.Errorf("got %d streams, want 99", got)
		}
		own[1].Reset()
		d.Data(flagSYN, 1004, "x")
		<-streams
		if got := s.NumStreams(); got != 99 {
			t.Errorf("got %d streams, want 99", got)
		}
	})
}

// A hundred refused streams within a minute end the connection, 99 do not, nor
// do more that come slowly.
//
// conforms: V 12
func TestRefusedStreams(t *testing.T) {
	fill := func(t *testing.T, s *Session, d *double) (next func()) {
		accept(s)
		id := uint32(1)
		next = func() {
			d.Data(flagSYN, id, "x")
			id += 2
			synctest.Wait()
		}
		for range 80 {
			next()
		}
		return next
	}
	t.Run("fast", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s, d := connect(t, false, Config{})
			next := fill(t, s, d)
			for range 99 {
				next()
				time.Sleep(600 * time.Millisecond)
			}
			if err := s.Err(); err != nil {
				t.Fatalf("got %v after 99 refusals, want a living session", err)
			}
			next()
			wantErr(t, s.Err(), ErrTooManyRefused)
			if v, ok := errors.AsType[*protocol.Violation](s.Err()); !ok || v.Stage != "mux" {
				t.Errorf("got %v, want a violation at mux", s.Err())
			}
		})
	})
	t.Run("slow", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s, d := connect(t, false, Config{})
			next := fill(t, s, d)
			for range 500 {
				next()
				time.Sleep(610 * time.Millisecond)
			}
			if err := s.Err(); err != nil {
				t.Fatalf("got %v, want a living session", err)
			}
		})
	})
	t.Run("not its fault", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s, d := connect(t, false, Config{})
			accept(s)
			for range 99 {
				mustOpen(t, s)
			}
			for i := range 200 { // ours hold all places
				d.Data(flagSYN, uint32(2*i+1), "x")
			}
			synctest.Wait()
			if err := s.Err(); err != nil {
				t.Fatalf("got %v, want a living session", err)
			}
		})
	})
}

// Ten thousand substreams of a peer at once: the session ends, having held no
// more than the limit.
//
// conforms: comms 70
func TestTenThousandStreams(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, false, Config{})
		accept(s)
		most := 0
		for i := range 10_000 {
			d.Send(typeWindow, flagSYN, uint32(2*i+1), 0)
			most = max(most, s.NumStreams(), s.libraryStreams())
			if s.Err() != nil {
				break
			}
		}
		synctest.Wait()
		wantErr(t, s.Err(), ErrTooManyRefused)
		if most > 80 {
			t.Errorf("got %d streams at once, want at most 80", most)
		}
	})
}

// A peer that provokes resets faster than it reads them is slowed down; one
// that reads none for a second ends the session. After GoAway that is no
// offence.
func TestUnreadResets(t *testing.T) {
	for _, pause := range []time.Duration{500 * time.Millisecond, time.Hour} {
		bubble(t, func(t *testing.T) {
			s, d := connect(t, false, Config{})
			if err := s.GoAway(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			resume := d.stop()
			start := time.Now()
			sent := make(chan struct{})
			go func() {
				for i := range 2000 {
					d.Send(typeWindow, flagSYN, uint32(2*i+1), 0)
				}
				close(sent)
			}()
			if pause == time.Hour {
				<-s.Done()
				if took := time.Since(start); took != time.Second {
					t.Errorf("got the end after %v, want 1s", took)
				}
				wantErr(t, s.Err(), ErrSessionEnded)
				wantErr(t, s.Err(), errBusy)
				return
			}
			time.Sleep(pause)
			resume()
			<-sent
			if took := time.Since(start); took != pause {
				t.Errorf("got all frames taken after %v, want %v", took, pause)
			}
			for i := -1; i < 2000; i++ {
				f := d.next()
				if want := uint32(2*i + 1); i >= 0 && (f.Flags() != flagRST || f.ID() != want) {
					t.Fatalf("got %v, want a reset of %d", f, want)
				}
			}
			if s.Err() != nil {
				t.Errorf("got %v, want a living session", s.Err())
			}
		})
	}
}

// A peer that acknowledges nothing keeps nobody from opening as many as there may be.
func TestOpensWithoutACK(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{MaxStreams: maxStreams})
		var own []*Stream
		for range maxStreams - 1 {
			own = append(own, mustOpen(t, s))
		}
		d.Data(flagACK, own[maxStreams-2].ID(), "late")
		mustRead(t, own[maxStreams-2], "late")
		d.Data(0, own[0].ID(), "never")
		mustRead(t, own[0], "never")
	})
}

// Substreams that the peer opens and drops before anybody accepts them fill
// neither the library's queue nor the table, and are no offence.
func TestOpenedAndDropped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, false, Config{})
		for i := range 1000 {
			d.Data(flagSYN, uint32(2*i+1), "x")
			d.Send(typeData, flagRST, uint32(2*i+1), 0)
		}
		synctest.Wait()
		if n := s.libraryStreams(); n != 0 {
			t.Errorf("got %d streams in the library, want none", n)
		}
		if n := s.table.unaccepted; n != backlog {
			t.Errorf("got %d that nobody has accepted, want %d", n, backlog)
		}
		if n := s.NumStreams(); n != 0 {
			t.Errorf("got %d streams, want 0", n)
		}
		streams := accept(s)
		for range backlog {
			st := <-streams
			mustRead(t, st, "x")
			_, err := st.Read(make([]byte, 1))
			wantErr(t, err, ErrReset)
			st.Close()
		}
		d.Data(flagSYN, 5001, "welcome")
		mustRead(t, <-streams, "welcome")
		if n := len(s.table.streams); n != 1 {
			t.Errorf("got %d entries in the table, want 1", n)
		}
		if s.Err() != nil {
			t.Errorf("got %v, want a living session", s.Err())
		}
	})
}

// A reset overtakes the frames of the library that wait for the connection, so
// that the peer never counts more live substreams than we do.
func TestResetLeavesFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s, d := connect(t, true, Config{})
		st, bulk := mustOpen(t, s), mustOpen(t, s)
		d.next()
		d.next()
		resume := d.stop()
		go bulk.Write(make([]byte, 2*MaxPiece))
		synctest.Wait() // the second piece has the connection
		go s.Open()
		synctest.Wait()
		st.Reset()
		synctest.Wait()
		resume()
		var others []rawpeer.Frame
		for data := 0; data < 2*MaxPiece || len(others) < 2; {
			f := d.next()
			if data += len(f.Body); len(f.Body) == 0 {
				others = append(others, f)
			}
		}
		if others[0].ID() != st.ID() || others[0].Flags() != flagRST || others[1].ID() != 5 || others[1].Flags() != flagSYN {
			t.Errorf("got %v, want the reset before the next substream", others)
		}
	})
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"window too small":    {Window: minWindow - 1},
		"window too large":    {Window: maxWindow + 1},
		"inbound not below":   {MaxStreams: 80, MaxInbound: 80},
		"more than a backlog": {MaxStreams: maxStreams + 1},
		"negative":            {MaxInbound: -1},
		"negative timeout":    {StallTimeout: -1},
	} {
		if _, err := New(nil, true, cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: got %v, want ErrConfig", name, err)
		}
	}
	var fields []string
	all := Config{MaxInbound: -1, Window: 1, PingTimeout: -1, LingerTimeout: -1}.Validate()
	for _, err := range all.(interface{ Unwrap() []error }).Unwrap() {
		if bad, ok := errors.AsType[*ConfigError](err); ok {
			fields = append(fields, bad.Field)
		}
	}
	if want := []string{"MaxInbound", "Window", "PingTimeout", "LingerTimeout"}; !slices.Equal(fields, want) {
		t.Errorf("got %v reported, want %v", fields, want)
	}
	c := Config{}.WithDefaults()
	want := Config{
		MaxStreams: 100, MaxInbound: 80, Window: 1 << 20, WriteTimeout: 60 * time.Second, PingTimeout: 65 * time.Second,
		StallTimeout: 120 * time.Second, CloseTimeout: 5 * time.Minute, LingerTimeout: 10 * time.Second,
	}
	if c != want {
		t.Errorf("got defaults %+v, want %+v", c, want)
	}
	if libraryConfig.StreamOpenTimeout != 0 || libraryConfig.EnableKeepAlive || libraryConfig.AcceptBacklog != 128 || libraryConfig.ConnectionWriteTimeout < time.Hour {
		t.Errorf("got library config %+v, want comms 5.5", libraryConfig)
	}
}
