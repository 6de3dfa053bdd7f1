package frame_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
)

const messageLimit = 8388608

// readAll reads frames until the stream ends.
func readAll(r *frame.Reader) (bodies [][]byte, err error) {
	for {
		n, err := r.Next()
		if err != nil {
			return bodies, err
		}
		body := make([]byte, n)
		if err := r.Body(body); err != nil {
			return bodies, err
		}
		bodies = append(bodies, body)
	}
}

// conforms: comms 82
func TestBytesOfAFrame(t *testing.T) {
	for body, want := range map[string]string{
		"":                       "\x00\x00\x00\x00",
		"hello":                  "\x00\x00\x00\x05hello",
		strings.Repeat("x", 258): "\x00\x00\x01\x02" + strings.Repeat("x", 258),
	} {
		if got := frame.Append([]byte("before"), []byte(body)); string(got) != "before"+want {
			t.Errorf("got %q, want %q", got, want)
		}
		bodies, err := readAll(frame.NewReader(strings.NewReader(want+want), messageLimit))
		if err != io.EOF || len(bodies) != 2 || string(bodies[0]) != body || string(bodies[1]) != body {
			t.Errorf("got %q, %v, want %q twice and EOF", bodies, err, body)
		}
	}
	if got := frame.AppendHeader(nil, messageLimit); string(got) != "\x00\x80\x00\x00" {
		t.Errorf("got %x, want 00800000", got)
	}
}

// conforms: comms 82
func TestLimit(t *testing.T) {
	body := bytes.Repeat([]byte("12345678"), messageLimit/8)
	bodies, err := readAll(frame.NewReader(bytes.NewReader(frame.Append(nil, body)), messageLimit))
	if err != io.EOF || len(bodies) != 1 || !bytes.Equal(bodies[0], body) {
		t.Errorf("exactly the limit: got %d frames, %v, want 1 and EOF", len(bodies), err)
	}

	for _, header := range []string{"\x00\x80\x00\x01", "\x80\x00\x00\x00", "\xff\xff\xff\xff"} {
		src := &counter{r: io.MultiReader(strings.NewReader("\x00\x00\x00\x01a"+header), infinite{})}
		r := frame.NewReader(src, messageLimit)
		bodies, err := readAll(r)
		if !errors.Is(err, frame.ErrTooLong) || len(bodies) != 1 {
			t.Errorf("%x: got %d frames, %v, want 1 and ErrTooLong", header, len(bodies), err)
		}
		read := src.n
		if _, again := r.Next(); again != err {
			t.Errorf("%x: got %v, want %v again", header, again, err)
		}
		if src.n != read || read > 1<<16 {
			t.Errorf("%x: got %d bytes read, want none after the header's buffer", header, src.n)
		}
	}
	r := frame.NewReader(strings.NewReader("\x00\x00\x00\x01"), 0)
	if _, err := r.Next(); !errors.Is(err, frame.ErrTooLong) {
		t.Errorf("limit 0: got %v, want ErrTooLong", err)
	}
}

// TestCut: the first frame of some bytes, if it is whole and within the limit.
func TestCut(t *testing.T) {
	for _, test := range []struct {
		b, body, rest string
		ok            bool
	}{
		{"\x00\x00\x00\x02ab\x00\x00", "ab", "\x00\x00", true},
		{"\x00\x00\x00\x00", "", "", true},
		{"\x00\x00\x00\x03abc", "abc", "", true},
		{"\x00\x00\x00\x04abcd", "", "\x00\x00\x00\x04abcd", false}, // too long
		{"\x00\x00\x00\x03ab", "", "\x00\x00\x00\x03ab", false},
		{"\xff\xff\xff\xffab", "", "\xff\xff\xff\xffab", false},
		{"\x00\x00\x00", "", "\x00\x00\x00", false},
		{"", "", "", false},
	} {
		body, rest, ok := frame.Cut([]byte(test.b), 3)
		if string(body) != test.body || string(rest) != test.rest || ok != test.ok {
			t.Errorf("%q: got %q, %q, %t, want %q, %q, %t", test.b, body, rest, ok, test.body, test.rest, test.ok)
		}
	}
}

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

type infinite struct{}

func (infinite) Read(p []byte) (int, error) { return len(p), nil }

// Frames of every size class arrive whole, whatever the reads return.
func TestEverySplit(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var stream []byte
	var want [][]byte
	for _, n := range []int{0, 1, 3, 4, 5, 32, 2034, 2035, 2036, 2039, 4096, 4097, 0, 0, 32745, 32749, 32750, 32768, 40000, 70000, 200000, 1, 0} {
		body := make([]byte, n)
		for i := range body {
			body[i] = byte(random.Uint32())
		}
		want = append(want, body)
		stream = frame.Append(stream, body)
	}
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"whole":         func(r io.Reader) io.Reader { return r },
		"one byte":      iotest.OneByteReader,
		"half":          iotest.HalfReader,
		"EOF with data": iotest.DataErrReader,
		"random":        func(r io.Reader) io.Reader { return &randomReader{r: r, rand: random} },
		"with pauses":   func(r io.Reader) io.Reader { return &pausing{r: r} },
	} {
		r := frame.NewReader(wrap(bytes.NewReader(stream)), messageLimit)
		bodies, err := readAll(r)
		if err != io.EOF {
			t.Errorf("%s: got %v, want EOF", name, err)
		}
		if len(bodies) != len(want) {
			t.Errorf("%s: got %d frames, want %d", name, len(bodies), len(want))
			continue
		}
		for i := range want {
			if !bytes.Equal(bodies[i], want[i]) {
				t.Errorf("%s: frame %d of %d bytes is damaged", name, i, len(want[i]))
			}
		}
		if r.Buffered() != 0 {
			t.Errorf("%s: got %d bytes buffered at the end, want 0", name, r.Buffered())
		}
		r.Release()
	}
}

type randomReader struct {
	r    io.Reader
	rand *rand.Rand
}

func (r *randomReader) Read(p []byte) (int, error) {
	return r.r.Read(p[:min(len(p), 1+r.rand.IntN(1+r.rand.IntN(9000)))])
}

// pausing returns nothing, without error, before each read.
type pausing struct {
	r     io.Reader
	pause bool
}

func (p *pausing) Read(b []byte) (int, error) {
	if p.pause = !p.pause; p.pause {
		return 0, nil
	}
	return p.r.Read(b)
}

func TestEndOfTheStream(t *testing.T) {
	const stream = "\x00\x00\x00\x02ab"
	for n := range len(stream) + 1 {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"": func(r io.Reader) io.Reader { return r }, "one byte": iotest.OneByteReader, "with data": iotest.DataErrReader,
		} {
			r := frame.NewReader(wrap(strings.NewReader(stream[:n])), 10)
			bodies, err := readAll(r)
			want, frames := io.ErrUnexpectedEOF, 0
			switch n {
			case 0:
				want = io.EOF
			case len(stream):
				want, frames = io.EOF, 1
			}
			if err != want || len(bodies) != frames {
				t.Errorf("%d bytes %s: got %d frames, %v, want %d, %v", n, name, len(bodies), err, frames, want)
			}
			if _, again := r.Next(); again != want {
				t.Errorf("%d bytes %s: got %v then, want %v", n, name, again, want)
			}
		}
	}
}

var errReset = errors.New("reset")

// script is a source whose reads are listed: bytes, an error, or both.
type script []struct {
	data string
	err  error
}

func (s *script) Read(p []byte) (int, error) {
	if len(*s) == 0 {
		return 0, errReset
	}
	step := &(*s)[0]
	n := copy(p, step.data)
	if step.data = step.data[n:]; step.data != "" {
		return n, nil
	}
	err := step.err
	*s = (*s)[1:]
	return n, err
}

// conforms: comms 151
func TestBytesBeforeAnErrorAreDelivered(t *testing.T) {
	const one = "\x00\x00\x00\x01a"
	big := strings.Repeat("x", 40000)
	bigFrame := string(frame.Append(nil, []byte(big)))
	for name, c := range map[string]struct {
		source script
		frames int
		inside bool
	}{
		"error with the last bytes":   {script{{one, nil}, {one, errReset}}, 2, false},
		"error after them":            {script{{one + one, nil}, {"", errReset}}, 2, false},
		"bytes after the error":       {script{{one, nil}, {"", errReset}, {one, nil}, {one, nil}}, 3, false},
		"error between them":          {script{{one, errReset}, {one, nil}}, 2, false},
		"two errors between":          {script{{one, errReset}, {one, errReset}, {one, errReset}}, 3, false},
		"inside a header":             {script{{one + "\x00\x00", errReset}}, 1, true},
		"inside a header, then more":  {script{{one + "\x00\x00", errReset}, {"\x00\x01a", nil}}, 2, false},
		"inside a payload":            {script{{"\x00\x00\x00\x05ab", errReset}}, 0, true},
		"inside a payload, then more": {script{{"\x00\x00\x00\x03ab", errReset}, {"c" + one, nil}}, 2, false},
		"large payload":               {script{{bigFrame[:100], nil}, {bigFrame[100:20000], errReset}, {bigFrame[20000:], nil}, {one, nil}}, 2, false},
	} {
		r := frame.NewReader(&c.source, 1<<20)
		bodies, err := readAll(r)
		if len(bodies) != c.frames || !errors.Is(err, errReset) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: got %d frames, %v, want %d and the error", name, len(bodies), err, c.frames)
		}
		if _, again := r.Next(); again != err {
			t.Errorf("%s: got %v then, want %v", name, again, err)
		}
	}
}

// A source that reports an error first and EOF later has not ended well.
func TestFirstErrorStays(t *testing.T) {
	s := script{{"\x00\x00\x00\x01a", errReset}, {"", io.EOF}}
	bodies, err := readAll(frame.NewReader(&s, 10))
	if len(bodies) != 1 || !errors.Is(err, errReset) {
		t.Errorf("got %d frames, %v, want 1 and the first error", len(bodies), err)
	}
}

func TestSourceWithoutProgress(t *testing.T) {
	r := frame.NewReader(nothing{}, 10)
	if _, err := r.Next(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v, want ErrNoProgress", err)
	}
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, nil }

func TestNextSkipsWhatWasNotRead(t *testing.T) {
	for _, n := range []int{1, 5000, 100000} {
		stream := frame.Append(frame.Append(nil, make([]byte, n)), []byte("z"))
		for _, src := range []io.Reader{bytes.NewReader(stream), iotest.OneByteReader(bytes.NewReader(stream))} {
			r := frame.NewReader(src, 1<<20)
			if got, err := r.Next(); got != n || err != nil {
				t.Fatalf("got %d, %v, want %d", got, err, n)
			}
			if got, err := r.Next(); got != 1 || err != nil {
				t.Fatalf("after %d skipped: got %d, %v, want 1", n, got, err)
			}
			body := make([]byte, 1)
			if err := r.Body(body); err != nil || string(body) != "z" {
				t.Errorf("after %d skipped: got %q, %v, want z", n, body, err)
			}
		}
	}
	r := frame.NewReader(strings.NewReader("\x00\x00\x00\x05ab"), 10)
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err != io.ErrUnexpectedEOF {
		t.Errorf("skipped beyond the end: got %v, want ErrUnexpectedEOF", err)
	}
}

func TestBodyOfAnotherLengthPanics(t *testing.T) {
	r := frame.NewReader(strings.NewReader("\x00\x00\x00\x02ab"), 10)
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 3} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d bytes: got no panic, want one", n)
				}
			}()
			_ = r.Body(make([]byte, n))
		}()
	}
}

func TestBodyInParts(t *testing.T) {
	payload := bytes.Repeat([]byte("0123456789"), 10_000)
	in := frame.Append(frame.Append(nil, payload), []byte("next"))
	for _, step := range []int{1, 7, 4093, 40_000, len(payload)} {
		r := frame.NewReader(iotest.HalfReader(bytes.NewReader(in)), len(payload))
		n, err := r.Next()
		if err != nil || n != len(payload) {
			t.Fatalf("Next: got %d, %v, want %d", n, err, len(payload))
		}
		got := make([]byte, n)
		for rest := got; len(rest) > 0; {
			part := rest[:min(step, len(rest))]
			if err := r.Part(part); err != nil {
				t.Fatalf("parts of %d: %v", step, err)
			}
			rest = rest[len(part):]
		}
		if !bytes.Equal(got, payload) {
			t.Errorf("parts of %d: got another payload than was sent", step)
		}
		if n, err := r.Next(); n != 4 || err != nil {
			t.Errorf("the frame behind: got %d, %v, want 4", n, err)
		}
	}
	r := frame.NewReader(strings.NewReader("\x00\x00\x00\x02ab"), 10)
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if err := r.Part(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a part beyond the end: got no panic, want one")
		}
	}()
	_ = r.Part(make([]byte, 2))
}

// A header holds lengths of 0 to 4 GiB less a byte, and so do limits.
func TestLengthsThatHaveNoHeader(t *testing.T) {
	panicking := map[string]func(){
		"negative payload":   func() { frame.AppendHeader(nil, -1) },
		"negative limit":     func() { frame.NewReader(nil, -1) },
		"negative new limit": func() { frame.NewReader(nil, 0).SetLimit(-1) },
	}
	if strconv.IntSize == 64 {
		longest := int64(math.MaxUint32)
		most := int(longest)
		panicking["payload of 4 GiB"] = func() { frame.AppendHeader(nil, most+1) }
		panicking["limit of 4 GiB"] = func() { frame.NewReader(nil, most+1) }
		panicking["new limit of 4 GiB"] = func() { frame.NewReader(nil, 0).SetLimit(most + 1) }
		if got := frame.AppendHeader(nil, most); string(got) != "\xff\xff\xff\xff" {
			t.Errorf("header of the longest payload: got %x", got)
		}
		for _, raise := range []bool{false, true} {
			src := strings.NewReader("\xff\xff\xff\xff")
			r := frame.NewReader(src, most)
			if raise {
				r = frame.NewReader(src, 0)
				r.SetLimit(most)
			}
			if n, err := r.Next(); n != most || err != nil {
				t.Errorf("the longest payload, limit raised %v: got %d, %v", raise, n, err)
			}
		}
	}
	r := frame.NewReader(strings.NewReader("\x00\x00\x00\x00\x00\x00\x00\x01"), 1)
	r.SetLimit(0)
	if n, err := r.Next(); n != 0 || err != nil {
		t.Errorf("an empty payload under a limit of 0: got %d, %v", n, err)
	}
	if _, err := r.Next(); !errors.Is(err, frame.ErrTooLong) {
		t.Errorf("a byte under a limit of 0: got %v, want ErrTooLong", err)
	}
	for name, f := range panicking {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: got no panic, want one", name)
				}
			}()
			f()
		}()
	}
}

func TestReleasedReader(t *testing.T) {
	r := frame.NewReader(strings.NewReader("\x00\x00\x00\x02ab\x00\x00\x00\x00"), 10)
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if got := r.Buffered(); got != 6 {
		t.Errorf("got %d bytes buffered, want 6", got)
	}
	r.Release()
	if got := r.Buffered(); got != 0 {
		t.Errorf("got %d bytes buffered after Release, want 0", got)
	}
	if _, err := r.Next(); !errors.Is(err, frame.ErrReleased) {
		t.Errorf("got %v, want ErrReleased", err)
	}
	r.Release() // a second time does no harm
}

// The reader asks for 4 KiB at most until a read was filled, and goes back
// to that when one was not.
func TestSizeOfReads(t *testing.T) {
	const small, large = 2039, 32749
	var asked []int
	sizes := []int{10, small, large, large, 10, 10}
	src := readerFunc(func(p []byte) (int, error) {
		asked = append(asked, len(p))
		if len(asked) > len(sizes) {
			return 0, io.EOF
		}
		n := min(sizes[len(asked)-1], len(p))
		clear(p[:n]) // frames of length 0, and a rest of 1 to 3 bytes at times
		return n, nil
	})
	r := frame.NewReader(src, 10)
	for {
		if _, err := r.Next(); err != nil {
			break
		}
	}
	// What is left of a header stays in the buffer, so reads get a little less.
	for i, want := range []int{small, small, large, large, large, small} {
		if i >= len(asked) || asked[i] > want || asked[i] < want-3 {
			t.Errorf("read %d: got %v, want up to %d", i+1, asked, want)
			break
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Buffered frames cost no allocation.
func TestNoAllocations(t *testing.T) {
	var stream []byte
	for range 2000 {
		stream = frame.Append(stream, make([]byte, 32))
	}
	src := &looping{data: stream}
	r := frame.NewReader(src, 1<<20)
	body := make([]byte, 32)
	got := testing.AllocsPerRun(10000, func() {
		n, err := r.Next()
		if err != nil || n != 32 {
			t.Fatal(n, err)
		}
		if err := r.Body(body); err != nil {
			t.Fatal(err)
		}
	})
	if got >= 1 {
		t.Errorf("got %v allocations a frame, want 0", got)
	}
}

// looping repeats its data for ever, one whole copy at most per read.
type looping struct {
	data []byte
	off  int
}

func (l *looping) Read(p []byte) (int, error) {
	n := copy(p, l.data[l.off:])
	if l.off += n; l.off == len(l.data) {
		l.off = 0
	}
	return n, nil
}

func FuzzFrameReader(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x05hello\x00\x00\x00\x00"), uint16(100), byte(0))
	f.Add([]byte("\x00\x00\x00\x05hel"), uint16(100), byte(1))
	f.Add([]byte("\xff\xff\xff\xff"), uint16(65535), byte(2))
	f.Add([]byte("\x00\x00\x00"), uint16(1), byte(3))
	f.Fuzz(func(t *testing.T, stream []byte, limit uint16, split byte) {
		var src io.Reader = bytes.NewReader(stream)
		switch split % 4 {
		case 1:
			src = iotest.OneByteReader(src)
		case 2:
			src = iotest.HalfReader(src)
		case 3:
			src = iotest.DataErrReader(src)
		}
		bodies, err := readAll(frame.NewReader(src, int(limit)))
		var used []byte
		for _, b := range bodies {
			if len(b) > int(limit) {
				t.Fatalf("got %d bytes, limit %d", len(b), limit)
			}
			used = frame.Append(used, b)
		}
		if !bytes.HasPrefix(stream, used) {
			t.Fatalf("got %x, want a prefix of %x", used, stream)
		}
		rest := stream[len(used):]
		switch {
		case err == io.EOF:
			if len(rest) != 0 {
				t.Fatalf("EOF with %x left", rest)
			}
		case err == io.ErrUnexpectedEOF:
			if len(rest) == 0 {
				t.Fatal("nothing left: got ErrUnexpectedEOF, want EOF")
			}
		case errors.Is(err, frame.ErrTooLong):
			if len(rest) < 4 {
				t.Fatalf("too long with %x left", rest)
			}
		default:
			t.Fatal(err)
		}
	})
}

func BenchmarkRead32(b *testing.B)   { benchmarkRead(b, 32) }
func BenchmarkRead1Ki(b *testing.B)  { benchmarkRead(b, 1<<10) }
func BenchmarkRead64Ki(b *testing.B) { benchmarkRead(b, 64<<10) }

func benchmarkRead(b *testing.B, n int) {
	var stream []byte
	for range 1 + 100000/n {
		stream = frame.Append(stream, make([]byte, n))
	}
	r := frame.NewReader(&looping{data: stream}, 1<<20)
	body := make([]byte, n)
	b.SetBytes(int64(n))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
		if err := r.Body(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend32(b *testing.B) {
	body, buf := make([]byte, 32), make([]byte, 0, 64)
	b.SetBytes(32)
	b.ReportAllocs()
	for b.Loop() {
		buf = frame.Append(buf[:0], body)
	}
}

// patchy gives one byte at a time, and after each byte errPause until resumed.
type patchy struct {
	data   []byte
	paused bool
}

var errPause = errors.New("not now")

func (p *patchy) Read(b []byte) (int, error) {
	if p.paused {
		return 0, errPause
	}
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:1], p.data)
	p.data, p.paused = p.data[n:], true
	return n, nil
}

// TestResume interrupts the reading after every byte.
func TestResume(t *testing.T) {
	src := &patchy{data: frame.Append(frame.Append(nil, []byte("hello")), []byte("again"))}
	r := frame.NewReader(src, 5)
	pauses := 0
	wait := func(err error) {
		if !errors.Is(err, errPause) {
			t.Fatalf("got %v, want a pause", err)
		}
		pauses++
		src.paused = false
		r.Resume()
	}
	for _, want := range []string{"hello", "again"} {
		n, err := r.Next()
		for ; err != nil; n, err = r.Next() {
			wait(err)
		}
		body := make([]byte, n)
		for r.Left() > 0 {
			if err := r.Part(body[n-r.Left():]); err != nil {
				wait(err)
			}
		}
		if string(body) != want {
			t.Errorf("got %q, want %q", body, want)
		}
	}
	if pauses < 10 {
		t.Errorf("got %d pauses, want one for nearly every byte", pauses)
	}
	src.paused = false
	r.Resume()
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("got %v, want EOF", err)
	}
	r.Resume()
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("got %v, want EOF to stay", err)
	}
}

func TestSetLimit(t *testing.T) {
	r := frame.NewReader(bytes.NewReader(append(frame.Append(nil, []byte("ab")), frame.Append(nil, []byte("abc"))...)), 2)
	if n, err := r.Next(); n != 2 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	r.SetLimit(3)
	if n, err := r.Next(); n != 3 || err != nil {
		t.Errorf("got %d, %v after the limit was raised, want 3", n, err)
	}
}

func TestReadySaysWhetherTheNextFrameIsHere(t *testing.T) {
	var stream []byte
	for _, body := range []string{"one", "", "three", "cut off"} {
		stream = frame.Append(stream, []byte(body))
	}
	r := frame.NewReader(bytes.NewReader(stream[:len(stream)-1]), messageLimit)
	if r.Ready() {
		t.Error("got ready before anything was read")
	}
	want := []bool{true, true, false} // after one, "" and three
	for i, ready := range want {
		n, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Ready(); got != ready {
			t.Errorf("frame %d, body not taken: got ready %t, want %t", i, got, ready)
		}
		if err := r.Body(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		if got := r.Ready(); got != ready {
			t.Errorf("frame %d, body taken: got ready %t, want %t", i, got, ready)
		}
	}
}
