package wave

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
)

// spread returns a wave that has gone through the network at one hop in a
// millisecond, but for the last nodes.
func spread(t *testing.T, nodes, links int, seed uint64, missing int) *Wave {
	t.Helper()
	w, err := New(nodes, links, seed)
	if err != nil {
		t.Fatal(err)
	}
	w.Nodes[0].Heard = true
	for queue := []int{0}; len(queue) > 0; queue = queue[1:] {
		from := queue[0]
		for _, link := range w.Links {
			to := link[0] + link[1] - from
			if (link[0] != from && link[1] != from) || w.Nodes[to].Heard || to >= nodes-missing {
				continue
			}
			hops := w.Nodes[from].Hops + 1
			w.Nodes[to] = Node{Heard: true, From: from, Hops: hops, At: time.Duration(hops) * time.Millisecond}
			queue = append(queue, to)
		}
	}
	return w
}

func TestEverybodyIsReached(t *testing.T) {
	for seed := range uint64(20) {
		for _, size := range [][2]int{{2, 1}, {2, 8}, {3, 2}, {20, 1}, {20, 2}, {200, 8}} {
			w := spread(t, size[0], size[1], seed, 0)
			if got := w.reached(); got != size[0] {
				t.Errorf("%v, seed %d: got %d nodes reached, want all", size, seed, got)
			}
		}
	}
}

func TestPictureIsLegible(t *testing.T) {
	for seed := range uint64(20) {
		for _, size := range [][3]int{{2, 1, 0}, {2, 1, 1}, {20, 2, 0}, {20, 1, 0}, {20, 2, 5}, {100, 3, 0}} {
			w := spread(t, size[0], size[1], seed, size[2])
			l := w.layout()
			low, high := l.bounds()
			for i, a := range l.at {
				if a.x-radius < low.x || a.x+radius > high.x || a.y-radius < low.y || a.y+radius > high.y {
					t.Errorf("%v, seed %d: node %d is outside", size, seed, i+1)
				}
				for k, b := range l.at[:i] {
					if math.Hypot(a.x-b.x, a.y-b.y) < 2*radius {
						t.Errorf("%v, seed %d: nodes %d and %d are on top of each other", size, seed, k+1, i+1)
					}
				}
			}
			for d := xml.NewDecoder(strings.NewReader(string(w.SVG()))); ; {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%v, seed %d: %v", size, seed, err)
				}
			}
		}
	}
}

func TestThoseNotReachedComeLast(t *testing.T) {
	var out strings.Builder
	if err := spread(t, 10, 2, 1, 3).Text(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if got, want := lines[0], "   0.0 ms  node   1  says it"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, line := range lines[7:10] {
		if !strings.Contains(line, "never") {
			t.Errorf("got %q, want one that was not reached", line)
		}
	}
}

// TestWaveEnds has two nodes tell each other: the wave is over when the copy that
// goes back is dropped as well.
func TestWaveEnds(t *testing.T) {
	w, err := New(2, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	ids := []identity.NodeID{{1}, {2}}
	for i, id := range ids {
		w.Name(i, id)
	}
	steps := []func(){w.Begin, func() { w.Heard(ids[1], ids[0]) }, func() { w.Told(1) }, func() { w.Told(1) }, w.Dropped}
	for i, step := range steps {
		select {
		case <-w.finished:
			t.Fatalf("got the end before step %d of %d", i+1, len(steps))
		default:
		}
		step()
	}
	if err := w.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}
