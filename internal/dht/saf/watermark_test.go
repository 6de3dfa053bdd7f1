package saf_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
)

// TestWatermarkIsNeverLowered: the watermark of each server only rises, also when an old one
// is loaded late.
//
// conforms: dht 107
func TestWatermarkIsNeverLowered(t *testing.T) {
	var w saf.Watermarks
	a, b := peerNamed("A"), peerNamed("B")
	for _, tt := range []struct {
		stored uint64
		want   bool
	}{{0, false}, {100, true}, {100, false}, {99, false}, {101, true}, {1, false}} {
		if m, ok := w.Raise(wall, a, tt.stored); ok != tt.want || ok && (m.Server != a || m.Stored != tt.stored || m.At != wall.Unix()) {
			t.Errorf("%d: got %+v, %v", tt.stored, m, ok)
		}
	}
	w.Load(saf.Watermark{Server: a, Stored: 50})
	w.Load(saf.Watermark{Server: b, Stored: 50})
	w.Load(saf.Watermark{Server: b, Stored: 70})
	if got := w.List(); len(got) != 2 || got[0].Stored != 101 || got[1].Stored != 70 {
		t.Errorf("got %+v", got)
	}
}

// TestWatermarkClock: whatever was done to the clocks since a watermark was recorded, a
// message that a server stores now is asked for, as long as the server's clock is within
// the tolerance of ours.
func TestWatermarkClock(t *testing.T) {
	a := peerNamed("A")
	for _, step := range []time.Duration{-10000 * time.Hour, -24 * time.Hour, -11 * time.Minute, -5 * time.Minute, -time.Second, 0, time.Minute, 1000 * time.Hour} {
		for _, before := range []time.Duration{-saf.ClockSkew, -time.Minute, 0, time.Minute, saf.ClockSkew} { // of the server's clock
			for _, after := range []time.Duration{1 - saf.ClockSkew, 0, saf.ClockSkew} {
				var w saf.Watermarks
				w.Raise(wall, a, uint64(wall.Add(before).Unix()))
				now := wall.Add(step)
				stored := now.Add(after + time.Second).Unix()
				if since := w.Since(now, a); since != 0 && uint64(stored) <= since {
					t.Errorf("clock stepped by %v, the server's from %v to %v: asked since %d, and it stores at %d", step, before, after, since, stored)
				}
			}
		}
	}
	var w saf.Watermarks
	w.Raise(wall, a, uint64(wall.Unix()))
	for _, tt := range []struct {
		at   time.Time
		want uint64
	}{
		{wall, uint64(wall.Add(-saf.SinceOverlap).Unix())},
		{wall.Add(time.Hour), uint64(wall.Add(-saf.SinceOverlap).Unix())},
		{wall.Add(-time.Second), 0},
		{time.Unix(-5, 0), 0},
	} {
		if got := w.Since(tt.at, a); got != tt.want {
			t.Errorf("at %v: got %d, want %d", tt.at, got, tt.want)
		}
	}
	if w.Since(wall, peerNamed("B")) != 0 {
		t.Error("a server without watermark is not asked for everything")
	}
	var early saf.Watermarks
	early.Raise(time.Unix(100, 0), a, 90)
	if got := early.Since(time.Unix(100, 0), a); got != 0 {
		t.Errorf("in 1970: got %d", got)
	}
}

// TestWatermarksAreBounded: a further server takes the place of the one raised longest ago.
func TestWatermarksAreBounded(t *testing.T) {
	var w saf.Watermarks
	for i := range 3 * saf.MaxWatermarks {
		w.Raise(wall.Add(time.Duration(i)*time.Second), peerNamed(fmt.Sprint("P", i)), 1)
	}
	list := w.List()
	if len(list) != saf.MaxWatermarks {
		t.Fatalf("got %d", len(list))
	}
	for _, m := range list {
		if m.At < wall.Unix()+2*saf.MaxWatermarks {
			t.Fatalf("kept %v of %v", nameOf(m.Server), time.Unix(m.At, 0))
		}
	}
}

func TestWatermarkEncoding(t *testing.T) {
	m := saf.Watermark{Server: peerNamed("ABCDEFGHIJKLM"), Stored: 1 << 40, At: -7}
	b := m.Append([]byte("x"))
	if want := slices.Concat([]byte("xABCDEFGHIJKLM"), []byte{0, 0, 1, 0, 0, 0, 0, 0}, []byte{255, 255, 255, 255, 255, 255, 255, 249}); !slices.Equal(b, want) {
		t.Errorf("got %x, want %x", b, want)
	}
	if got, err := saf.DecodeWatermark(b[1:]); got != m || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, b := range [][]byte{nil, b[2:], append(b[1:], 0)} {
		if _, err := saf.DecodeWatermark(b); !errors.Is(err, saf.ErrWatermark) {
			t.Errorf("%d bytes: got %v", len(b), err)
		}
	}
}
