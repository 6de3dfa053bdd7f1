package network

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// line is a line of a log.
type line map[string]any

func (l line) text(key string) string { s, _ := l[key].(string); return s }

func (l line) at(t *testing.T) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, l.text("time"))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// journal keeps what a node logs at the level info.
type journal struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.all.Write(p)
}

func (j *journal) option() gamelan.Option {
	return gamelan.WithLogger(slog.New(slog.NewJSONHandler(j, &slog.HandlerOptions{Level: slog.LevelInfo})))
}

// lines returns the lines with one of these messages.
func (j *journal) lines(t *testing.T, messages ...string) (list []line) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for text := range bytes.Lines(j.all.Bytes()) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if slices.Contains(messages, l.text("msg")) {
			list = append(list, l)
		}
	}
	return list
}

// TestBubbleStory: the log of a node says when it was cut off, from whom, why, and for how long, and
// each hour has a line of figures.
func TestBubbleStory(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		var log journal
		net := gamelantest.NewNetwork(t)
		seed := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet)
		a := net.Start(gamelan.Config{NoDHT: true, Floor: 8, Seeds: []string{seed.PublicKey().String() + "::" + seed.Addr.String()}}, log.option())
		begun := time.Now()
		cut := func(after, long time.Duration) (from, to time.Time) {
			time.Sleep(after)
			from = time.Now()
			net.Partition(a, seed)
			time.Sleep(long)
			to = time.Now()
			net.Heal(a, seed)
			return from, to
		}
		from1, to1 := cut(5*time.Hour+10*time.Minute, 40*time.Minute)
		from2, to2 := cut(3*time.Hour, 26*time.Hour)
		time.Sleep(time.Hour)

		near := func(what string, got, want time.Time) {
			t.Helper()
			if d := got.Sub(want); d < 0 || d > 3*time.Minute {
				t.Errorf("%s: the log says %v, want it soon after %v", what, got.Sub(begun), want.Sub(begun))
			}
		}
		states := log.lines(t, "online", "offline")
		if len(states) != 5 {
			t.Fatalf("got %v, want online, and offline and online twice", states)
		}
		for i, want := range []struct {
			msg string
			at  time.Time
		}{{"online", begun}, {"offline", from1}, {"online", to1}, {"offline", from2}, {"online", to2}} {
			if states[i].text("msg") != want.msg {
				t.Errorf("line %d: got %v, want %s", i, states[i], want.msg)
			}
			near(want.msg, states[i].at(t), want.at)
		}
		ends := log.lines(t, "connected", "disconnected")
		if len(ends) != 5 {
			t.Fatalf("got %v, want connected three times and disconnected twice", ends)
		}
		if first := ends[0]; first.text("peer") != seed.ID().String() || first.text("addr") != seed.Addr.String() || first["seed"] != true || first.text("direction") != "outbound" {
			t.Errorf("got %v, want the seed and its address", first)
		}
		gone := ends[1]
		if gone.text("msg") != "disconnected" || gone.text("peer") != seed.ID().String() || gone.text("by") == "" || gone.text("why") == "" {
			t.Errorf("got %v, want who has ended it, and why", gone)
		}
		if lasted := time.Duration(gone["lasted"].(float64)); lasted < 5*time.Hour || lasted > 5*time.Hour+15*time.Minute {
			t.Errorf("got a connection that lasted %v, want about 5 h 10 min", lasted)
		}
		troubles := log.lines(t, "trouble", "trouble over")
		var codes []string
		for _, l := range troubles {
			codes = append(codes, l.text("msg")+" "+l.text("code"))
		}
		if want := []string{"trouble offline", "trouble over offline", "trouble offline", "trouble over offline"}; !slices.Equal(codes, want) {
			t.Errorf("got %q, want %q", codes, want)
		}
		figures := log.lines(t, "figures")
		if hours := int(time.Since(begun).Hours()); len(figures) != hours {
			t.Errorf("got %d lines of figures in %d hours, want one in each", len(figures), hours)
		}
		var away time.Duration
		for _, l := range figures {
			away += time.Duration(l["not_online"].(float64))
		}
		if off := to1.Sub(from1) + to2.Sub(from2); (away - off).Abs() > 8*time.Minute {
			t.Errorf("the figures have %v not online, want %v", away, off)
		}
		if f := figures[5]; f["state"] != "offline" && f["state"] != "online" || f["disconnected"] != float64(1) || f["peers"] == nil {
			t.Errorf("got the figures %v of the hour with the first cut", f)
		}
	})
}
