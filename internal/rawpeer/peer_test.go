package rawpeer

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pair returns a peer and a node, which is another peer.
func pair(t *testing.T, o Options) (p, node *Peer) {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	p, node = New(a, o), New(b, Options{Record: true})
	go p.Run()
	go node.Run()
	return p, node
}

// TestLimits: a node fills no more memory than the limits allow.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, node := pair(t, Options{MaxStreams: 2, MaxHeld: 10, Reply: ACK, InTurn: true})
		node.Data(SYN, 2, "01234")
		node.Data(0, 2, strings.Repeat("x", 1<<20))
		node.Data(0, 2, "more")
		node.Data(0, 9, "nobody has opened it")
		value, _ := node.Ping()
		if !node.Wait(time.Minute, func() bool { return !node.Awaits(value) }) {
			t.Fatal("got no pong, want one after frames that are not kept")
		}
		if got, want := p.Stream(2).Data, "01234xxxxx"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := p.Stream(9); got != (Stream{}) {
			t.Errorf("got %+v of an unknown substream, want nothing", got)
		}
		if got := node.Frames()[0]; !got.Has(TypeWindow, ACK) || got.ID() != 2 {
			t.Errorf("got %v, want ACK", got)
		}
		node.Data(SYN, 4, "")
		node.Data(SYN, 6, "")
		synctest.Wait()
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), "more than 2 substreams") {
			t.Errorf("got %v, want the end at the third substream", err)
		}
	})
}

// TestRefused: nothing is kept of substreams that are reset.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, node := pair(t, Options{Reply: RST})
		node.Data(SYN, 2, "x")
		node.Data(0, 2, "y")
		synctest.Wait()
		if got := p.Stream(2); got != (Stream{}) || !slices.Equal(p.Opened(), []uint32{2}) || !node.Stream(2).RST {
			t.Errorf("got %+v of %v, and the node %+v, want nothing and a reset", got, p.Opened(), node.Stream(2))
		}
	})
}

// TestCheck: a header that is refused ends the reading before its body.
func TestCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		p, node := pair(t, Options{Record: true, Check: func(h Header) error {
			if h.Length() > 5 {
				return refused
			}
			return nil
		}})
		node.Data(SYN, 2, "short")
		go node.Data(0, 2, "too long")
		if p.Wait(time.Minute, func() bool { return false }); p.Err() != refused || len(p.Frames()) != 1 {
			t.Errorf("got %v after %v, want %v after a frame", p.Err(), p.Frames(), refused)
		}
	})
}

// TestInTurn: a node that reads nothing is not read on, if answers are written in turn.
func TestInTurn(t *testing.T) {
	for _, inTurn := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			a, b := net.Pipe()
			defer a.Close()
			defer b.Close()
			go New(a, Options{InTurn: inTurn}).Run()
			b.SetWriteDeadline(time.Now().Add(time.Second))
			ping := AppendHeader(nil, TypePing, SYN, 0, 1)
			_, err := b.Write(append(ping, ping...))
			if (err != nil) != inTurn {
				t.Errorf("answers in turn %v: the second ping got %v", inTurn, err)
			}
		})
	}
}

// TestWire: a wire keeps the first bytes that it reads, and changes one write.
func TestWire(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	w := &Wire{Conn: a, Max: 4}
	go b.Write([]byte("received"))
	if _, err := io.ReadFull(w, make([]byte, 8)); err != nil || string(w.Received()) != "rece" {
		t.Errorf("got %q, %v, want the first 4 bytes", w.Received(), err)
	}
	w.EditOne(1, func(b []byte) []byte { return append(b, '!') })
	go func() {
		for range 3 {
			w.Write([]byte("x"))
		}
	}()
	got := make([]byte, 4)
	if _, err := io.ReadFull(b, got); err != nil || string(got) != "xx!x" {
		t.Errorf("got %q, %v, want the second write changed", got, err)
	}
}
