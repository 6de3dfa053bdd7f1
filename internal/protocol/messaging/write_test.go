package messaging_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// pieceWriter keeps what is written. The write whose number is fail fails,
// after it took half of its bytes.
type pieceWriter struct {
	got   bytes.Buffer
	sizes []int
	fail  int // counted from 1; 0: never
}

var errWrite = errors.New("reset")

func (w *pieceWriter) Write(p []byte) (int, error) {
	w.sizes = append(w.sizes, len(p))
	if len(w.sizes) == w.fail {
		w.got.Write(p[:len(p)/2])
		return len(p) / 2, errWrite
	}
	return w.got.Write(p)
}

// reference is the wire by comms 8.1, written as plainly as possible, and the
// offset at which each frame begins.
func reference(bodies [][]byte) (wire []byte, begins []int) {
	for _, b := range bodies {
		begins = append(begins, len(wire))
		n := len(b)
		wire = append(wire, byte(n/(256*256*256)), byte(n/(256*256)%256), byte(n/256%256), byte(n%256))
		wire = append(wire, b...)
	}
	return wire, begins
}

func entries(bodies [][]byte) []messaging.Entry[int] {
	list := make([]messaging.Entry[int], len(bodies))
	for i, b := range bodies {
		list[i].Body = b
	}
	return list
}

// TestWriteFrames writes random bodies, whole and with an error at each of the
// writes.
//
// conforms: comms 82
func TestWriteFrames(t *testing.T) {
	noise := make([]byte, 8<<20)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	edges := []int{
		0, 1, 3, 4, 5,
		messaging.PieceSize - 9, messaging.PieceSize - 8, messaging.PieceSize - 7,
		messaging.PieceSize - 5, messaging.PieceSize - 4, messaging.PieceSize - 3,
		messaging.PieceSize, messaging.PieceSize + 1, 2*messaging.PieceSize - 4, 1 << 20,
	}
	check := func(t rapid.TB, bodies [][]byte) {
		wire, begins := reference(bodies)
		var whole pieceWriter
		n, err := messaging.WriteFrames(&whole, entries(bodies))
		if err != nil || n != len(bodies) {
			t.Fatalf("got %d, %v, want %d frames and no error", n, err, len(bodies))
		}
		if !bytes.Equal(whole.got.Bytes(), wire) {
			t.Fatalf("got %d bytes that differ from the %d of the frames one after the other", whole.got.Len(), len(wire))
		}
		if len(wire) > 0 && slices.Max(whole.sizes) > messaging.PieceSize {
			t.Fatalf("got a piece of %d bytes, want at most %d", slices.Max(whole.sizes), messaging.PieceSize)
		}
		if fewest := (len(wire) + messaging.PieceSize - 5) / (messaging.PieceSize - 4); len(whole.sizes) > fewest {
			t.Fatalf("got %d writes, want at most %d for %d bytes", len(whole.sizes), fewest, len(wire))
		}
		passed := 0
		for i, size := range whole.sizes {
			passed += size
			if len(whole.sizes) > 10 && i > 3 && i < len(whole.sizes)-3 {
				continue
			}
			want := 0 // frames that begin before the end of this write
			for want < len(begins) && begins[want] < passed {
				want++
			}
			got, err := messaging.WriteFrames(&pieceWriter{fail: i + 1}, entries(bodies))
			if !errors.Is(err, errWrite) || got != want {
				t.Fatalf("got %d started, %v, want %d and the error of write %d", got, err, want, i+1)
			}
		}
	}
	t.Run("random", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			size := rapid.OneOf(rapid.IntRange(0, 100), rapid.SampledFrom(edges), rapid.IntRange(0, 200_000))
			var bodies [][]byte
			for _, n := range rapid.SliceOfN(size, 0, 6).Draw(t, "sizes") {
				from := rapid.IntRange(0, 1000).Draw(t, "from")
				bodies = append(bodies, noise[from:from+n])
			}
			check(t, bodies)
		})
	})
	t.Run("8 MiB", func(t *testing.T) {
		check(t, [][]byte{{7}, noise, {}, noise[:messaging.PieceSize-4], noise[:100]})
	})
	t.Run("small", func(t *testing.T) {
		var many [][]byte
		for i := range 20_000 {
			many = append(many, noise[i:i+i%9])
		}
		check(t, many)
	})
	t.Run("pieces", func(t *testing.T) {
		const full = messaging.PieceSize
		for _, c := range []struct {
			sizes []int
			want  []int
		}{
			{[]int{full - 4}, []int{full}},
			{[]int{full - 3}, []int{full, 1}},
			{[]int{full - 8, 0}, []int{full}},
			{[]int{full - 9, 1}, []int{full}},
			{[]int{full - 8, 1}, []int{full, 1}},
			{[]int{full - 7, 0}, []int{full - 3, 4}}, // a header stays whole
			{[]int{0, 0, 0}, []int{12}},
			{[]int{2*full - 4, 1}, []int{full, full, 5}},
		} {
			var bodies [][]byte
			for _, n := range c.sizes {
				bodies = append(bodies, noise[:n])
			}
			var w pieceWriter
			messaging.WriteFrames(&w, entries(bodies))
			if !slices.Equal(w.sizes, c.want) {
				t.Errorf("got writes of %v for bodies of %v, want %v", w.sizes, c.sizes, c.want)
			}
		}
	})
	t.Run("none", func(t *testing.T) { check(t, nil) })
}

// TestWriteFramesAllocates nothing once it is warm.
func TestWriteFramesAllocates(t *testing.T) {
	list := entries([][]byte{make([]byte, 100), make([]byte, 200_000), nil})
	var w discard
	if n := testing.AllocsPerRun(100, func() { messaging.WriteFrames(&w, list) }); n > 1 {
		t.Errorf("got %v allocations for a batch, want at most 1 now and then", n)
	}
}

type discard struct{}

func (*discard) Write(p []byte) (int, error) { return len(p), nil }

// unsent fails at the write of that number, counted from 1, and nothing of that
// has left.
type unsent struct {
	pieceWriter
	at int
}

func (w *unsent) Write(p []byte) (int, error) {
	if len(w.sizes)+1 == w.at {
		return 0, protocol.Unsent(errWrite)
	}
	return w.pieceWriter.Write(p)
}

// TestWriteFramesUnsent counts no frame of which nothing has left, and those of
// earlier pieces all the same.
func TestWriteFramesUnsent(t *testing.T) {
	const most = messaging.PieceSize - 4
	for _, c := range []struct {
		name   string
		bodies []int
		at     int
		want   int
	}{
		{"the first", []int{10, 10}, 1, 0},
		{"the second", []int{most, 10, 10}, 2, 1},
		{"the rest of one", []int{10, 2 * most, 10}, 2, 2},
	} {
		var bodies [][]byte
		for _, n := range c.bodies {
			bodies = append(bodies, make([]byte, n))
		}
		got, err := messaging.WriteFrames(&unsent{at: c.at}, entries(bodies))
		if got != c.want || !errors.Is(err, errWrite) {
			t.Errorf("%s: got %d, %v, want %d started and the error", c.name, got, err, c.want)
		}
	}
}
