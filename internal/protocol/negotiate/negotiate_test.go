package negotiate_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/protocol"
)

const messaging protocol.ID = "t/msg/0.1"

// pipe reads what the peer has written, and keeps what we write.
type pipe struct {
	in     io.Reader
	out    bytes.Buffer
	writes int
}

func (p *pipe) Read(b []byte) (int, error) { return p.in.Read(b) }

func (p *pipe) Write(b []byte) (int, error) {
	p.writes++
	return p.out.Write(b)
}

// splits are the ways in which the bytes of the peer arrive.
var splits = map[string]func(io.Reader) io.Reader{
	"whole":         func(r io.Reader) io.Reader { return r },
	"one byte":      iotest.OneByteReader,
	"half":          iotest.HalfReader,
	"EOF with data": iotest.DataErrReader,
}

// only answers which ids are supported.
func only(ids ...protocol.ID) func(protocol.ID) bool {
	return func(id protocol.ID) bool {
		return slices.Contains(ids, id)
	}
}

func unhex(t testing.TB, s string) string {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// frameOf is a frame as the specification writes it.
func frameOf(flags byte, id string) string {
	return string([]byte{byte(len(id)), flags}) + id
}

type vector struct {
	Case  string
	Order []struct{ From, Hex string }
}

func vectors(t *testing.T) map[string][]vector {
	t.Helper()
	names, err := filepath.Glob("../../../tests/vectors/comms/negotiation-*.json")
	if err != nil || len(names) != 3 {
		t.Fatalf("got %d files, %v, want 3", len(names), err)
	}
	all := map[string][]vector{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Bytes []vector }
		if err := json.Unmarshal(b, &file); err != nil {
			t.Fatal(err)
		}
		if len(file.Bytes) != 9 {
			t.Fatalf("%s: got %d cases, want 9", name, len(file.Bytes))
		}
		all[filepath.Base(name)] = file.Bytes
	}
	return all
}

// What a live node answers as responder, we answer: the recorded opener's
// bytes go into Accept, and the recorded answers must come out.
//
// conforms: comms 73-75, 78
func TestAcceptAnswersAsLiveNodesDo(t *testing.T) {
	want := map[string]struct {
		id   protocol.ID
		err  error
		data string // left for the protocol
	}{
		"supported, proposed":                  {id: "t/echo/1"},
		"unsupported five times":               {err: negotiate.ErrTooManyRounds},
		"unsupported, then supported":          {id: "t/echo/1"},
		"optimistic with data (flags 03)":      {id: "t/echo/1", data: "hello"},
		"optimistic with data (flags 01)":      {id: "t/echo/1", data: "hello"},
		"optimistic, unsupported":              {err: negotiate.ErrUnsupported, data: "hello"},
		"terminate":                            {err: negotiate.ErrTerminated},
		"not-supported flag on a supported id": {id: "t/echo/1"},
		"empty id":                             {err: negotiate.ErrTerminated}, // our opener wrote no more
	}
	for file, cases := range vectors(t) {
		for _, v := range cases {
			expected, ok := want[v.Case]
			if !ok {
				t.Fatalf("%s: unknown case %q", file, v.Case)
			}
			var in, out string
			for _, step := range v.Order {
				if step.From == "go" {
					in += unhex(t, step.Hex)
				} else {
					out += unhex(t, step.Hex)
				}
			}
			if v.Case == "unsupported five times" {
				out += "\x00\x06" // hidden by the reset in the recording
			}
			out = strings.TrimSuffix(out, expected.data) // the echo
			for split, wrap := range splits {
				rest := wrap(strings.NewReader(in))
				p := &pipe{in: rest}
				id, err := negotiate.Accept(p, 5, only("t/echo/1"))
				if id != expected.id || !errors.Is(err, expected.err) {
					t.Errorf("%s, %s, %s: got %q, %v, want %q, %v", file, v.Case, split, id, err, expected.id, expected.err)
				}
				if got := p.out.String(); got != out {
					t.Errorf("%s, %s, %s: got answers %x, want %x", file, v.Case, split, got, out)
				}
				left, _ := io.ReadAll(rest)
				if string(left) != expected.data {
					t.Errorf("%s, %s, %s: got %q left, want %q", file, v.Case, split, left, expected.data)
				}
			}
		}
	}
}

// What a live node accepts from an opener, we write as opener.
//
// conforms: comms 71, 72, 78
func TestOpenWritesAsRecorded(t *testing.T) {
	for file, cases := range vectors(t) {
		for _, v := range cases {
			var in, out string
			for _, step := range v.Order {
				if step.From == "go" {
					out += unhex(t, step.Hex)
				} else {
					in += unhex(t, step.Hex)
				}
			}
			switch v.Case {
			case "supported, proposed":
				checkOpen(t, file, []protocol.ID{"t/echo/1"}, in, out, "t/echo/1", nil)
			case "unsupported, then supported":
				checkOpen(t, file, []protocol.ID{"t/none/1", "t/echo/1", "t/never"}, in, out, "t/echo/1", nil)
			case "unsupported five times":
				ids := []protocol.ID{"t/none/1", "t/none/2", "t/none/3", "t/none/4", "t/none/5", "t/none/6"}
				checkOpen(t, file, ids, in+"\x00\x06", out, "", negotiate.ErrTerminated)
				checkOpen(t, file, ids, in+"\x00\x06", out, "", negotiate.ErrUnsupported)
				// The reset may hide the last answer.
				checkOpen(t, file, ids, in, out, "", negotiate.ErrTerminated)
			case "optimistic with data (flags 03)":
				var w bytes.Buffer
				if err := negotiate.OpenOptimistic(&w, "t/echo/1"); err != nil || w.String()+"hello" != out {
					t.Errorf("%s: got %x, %v, want %x", file, w.String(), err, out)
				}
				got, err := negotiate.AppendOptimistic([]byte("before"), "t/echo/1")
				if err != nil || string(got)+"hello" != "before"+out {
					t.Errorf("%s: got %x, %v, want %x", file, got, err, out)
				}
			}
		}
	}
}

// checkOpen opens with the ids against a peer that sends in, for every split
// of it, and compares what we write, and that nothing after it is read.
func checkOpen(t *testing.T, name string, ids []protocol.ID, in, out string, id protocol.ID, want error) {
	t.Helper()
	const after = "protocol bytes"
	for split, wrap := range splits {
		rest := wrap(strings.NewReader(in + after))
		if want != nil {
			rest = wrap(strings.NewReader(in))
		}
		p := &pipe{in: rest}
		got, err := negotiate.Open(p, ids)
		if got != id || !errors.Is(err, want) {
			t.Errorf("%s, %s: got %q, %v, want %q, %v", name, split, got, err, id, want)
		}
		if p.out.String() != out {
			t.Errorf("%s, %s: wrote %x, want %x", name, split, p.out.String(), out)
		}
		if left, _ := io.ReadAll(rest); want == nil && string(left) != after {
			t.Errorf("%s, %s: left %q, want %q", name, split, left, after)
		}
	}
}

// The examples of spec: comms 6.6.
//
// conforms: comms 71, 72
func TestFramesOfTheSpecification(t *testing.T) {
	proposed := unhex(t, "09 00 74 2f 6d 73 67 2f 30 2e 31")
	checkOpen(t, "accepted", []protocol.ID{messaging}, proposed, proposed, messaging, nil)
	checkOpen(t, "refused", []protocol.ID{messaging}, "\x00\x04", proposed+"\x00\x02", "", negotiate.ErrUnsupported)
	checkOpen(t, "refused for good", []protocol.ID{messaging}, "\x00\x06", proposed, "", negotiate.ErrTerminated)
	checkOpen(t, "terminated", []protocol.ID{messaging}, "\x00\x02", proposed, "", negotiate.ErrTerminated)
	checkOpen(t, "closed", []protocol.ID{messaging}, "", proposed, "", negotiate.ErrTerminated)

	got, err := negotiate.AppendOptimistic(nil, messaging)
	if want := unhex(t, "09 03 74 2f 6d 73 67 2f 30 2e 31"); err != nil || string(got) != want {
		t.Errorf("optimistic: got %x, %v, want %x", got, err, want)
	}
	first := unhex(t, "09 03 74 2f 6d 73 67 2f 30 2e 31 00 00 00 05 68 65 6c 6c 6f")
	p := &pipe{in: strings.NewReader(first)}
	if id, err := negotiate.Accept(p, 5, only(messaging)); id != messaging || err != nil {
		t.Errorf("accept: got %q, %v, want %q", id, err, messaging)
	}
	if left, _ := io.ReadAll(p.in); string(left) != "\x00\x00\x00\x05hello" {
		t.Errorf("left %q, want the first message", left)
	}
	if p.writes != 0 {
		t.Errorf("got %d answers to an optimistic frame, want none", p.writes)
	}
}

// TestChoice: each kind of opener is told apart, and the acceptance comes when the caller
// writes it, with nothing of the protocol's bytes read.
//
// conforms: comms 72, 74, 75
func TestChoice(t *testing.T) {
	for name, test := range map[string]struct {
		open           func(io.ReadWriter) error
		waits, listens bool
	}{
		"proposed":   {func(rw io.ReadWriter) error { _, err := rw.Write([]byte(frameOf(0, string(messaging)))); return err }, true, false},
		"optimistic": {func(rw io.ReadWriter) error { return negotiate.OpenOptimistic(rw, messaging) }, false, false},
		"asking":     {func(rw io.ReadWriter) error { return negotiate.OpenAsking(rw, messaging) }, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			opener := &pipe{}
			if err := test.open(opener); err != nil {
				t.Fatal(err)
			}
			in := strings.NewReader(opener.out.String() + "data")
			p := &pipe{in: in}
			got, err := negotiate.Choose(p, 5, only(messaging))
			if want := (negotiate.Choice{ID: messaging, Waits: test.waits, Listens: test.listens}); got != want || err != nil {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
			if p.writes != 0 || in.Len() != len("data") {
				t.Errorf("got %d writes and %d bytes left, want none and %d", p.writes, in.Len(), len("data"))
			}
			if err := got.Accept(p); err != nil {
				t.Fatal(err)
			}
			want := frameOf(0, string(messaging))
			if answer := p.out.String(); answer != want || string(negotiate.Acceptance(messaging)) != want {
				t.Errorf("got the acceptance %q, and %q expected by the opener, want %q", answer, negotiate.Acceptance(messaging), want)
			}
		})
	}
	if _, err := negotiate.Choose(&pipe{in: strings.NewReader(frameOf(1, "t/other"))}, 5, only(messaging)); !errors.Is(err, negotiate.ErrUnsupported) {
		t.Errorf("asking for another id: got %v, want %v", err, negotiate.ErrUnsupported)
	}
	if err := negotiate.OpenAsking(&pipe{}, ""); !errors.Is(err, protocol.ErrBadID) {
		t.Errorf("asking for no id: got %v, want %v", err, protocol.ErrBadID)
	}
	if _, err := negotiate.Accept(struct {
		io.Reader
		io.Writer
	}{strings.NewReader(frameOf(0, string(messaging))), deaf{}}, 5, only(messaging)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("an acceptance that cannot be written: got %v, want %v", err, io.ErrClosedPipe)
	}
}

// conforms: comms 71
func TestOnlyTheSameIDIsAccepted(t *testing.T) {
	ids := []protocol.ID{"a", "b"}
	const written = "\x01\x00a\x01\x00b"
	for name, answer := range map[string]string{
		"another id":         "\x01\x00x",
		"the next id":        "\x01\x00b",
		"a longer id":        "\x02\x00aa",
		"no id":              "\x00\x00",
		"refused with an id": "\x01\x04a",
	} {
		checkOpen(t, name, ids, answer+"\x01\x00b", written, "b", nil)
	}
	for name, answer := range map[string]string{
		"terminated with the id":     "\x01\x02a",
		"refused for good, with id":  "\x01\x06a",
		"terminated, and optimistic": "\x00\x03",
	} {
		checkOpen(t, name, ids, answer+"\x01\x00b", "\x01\x00a", "", negotiate.ErrTerminated)
	}
}

// conforms: comms 74
func TestFiveRounds(t *testing.T) {
	var in string
	for i := range 6 {
		in += frameOf(0, fmt.Sprintf("none%d", i))
	}
	in += frameOf(0, string(messaging))
	rest := strings.NewReader(in)
	p := &pipe{in: rest}
	var asked []protocol.ID
	id, err := negotiate.Accept(p, 5, func(id protocol.ID) bool {
		asked = append(asked, id)
		return id == messaging
	})
	if id != "" || !errors.Is(err, negotiate.ErrTooManyRounds) || errors.Is(err, protocol.ErrViolation) {
		t.Errorf("got %q, %v, want ErrTooManyRounds without blame", id, err)
	}
	if got, want := p.out.String(), "\x00\x04\x00\x04\x00\x04\x00\x04\x00\x06"; got != want {
		t.Errorf("got answers %x, want %x", got, want)
	}
	if len(asked) != 5 {
		t.Errorf("got %q examined, want five", asked)
	}
	if left := rest.Len(); left != len(frameOf(0, "none5")+frameOf(0, string(messaging))) {
		t.Errorf("got %d bytes left, want the last two proposals", left)
	}
	// The fifth may still be the right one.
	p = &pipe{in: strings.NewReader(strings.Repeat("\x01\x00x", 4) + frameOf(0, string(messaging)))}
	if id, err := negotiate.Accept(p, 5, only(messaging)); id != messaging || err != nil {
		t.Errorf("the fifth: got %q, %v, want %q", id, err, messaging)
	}
	p = &pipe{in: strings.NewReader("\x01\x00x")}
	if _, err := negotiate.Accept(p, 1, only(messaging)); !errors.Is(err, negotiate.ErrTooManyRounds) || p.out.String() != "\x00\x06" {
		t.Errorf("one round: got %x, %v, want 0006 and ErrTooManyRounds", p.out.String(), err)
	}
}

// conforms: comms 76
func TestUnknownFlagsAreAViolation(t *testing.T) {
	for flags := range 256 {
		in := frameOf(byte(flags), "a")
		_, acceptErr := negotiate.Accept(&pipe{in: strings.NewReader(in)}, 5, only("a"))
		p := &pipe{in: strings.NewReader(in)}
		_, openErr := negotiate.Open(p, []protocol.ID{"a", "b"})
		for role, err := range map[string]error{"responder": acceptErr, "opener": openErr} {
			var v *protocol.Violation
			got := errors.As(err, &v)
			if want := flags&^0x07 != 0; got != want {
				t.Errorf("%s, flags %#x: got %v, want a violation %v", role, flags, err, want)
			}
			if got && (v.Ban != protocol.BanLong || v.Stage != "negotiation" || !errors.Is(err, negotiate.ErrUnknownFlags)) {
				t.Errorf("%s, flags %#x: got %+v, want a ban of 2 h", role, flags, v)
			}
		}
	}
	// They are refused before the id has arrived, and in a later round.
	if _, err := negotiate.Accept(&pipe{in: strings.NewReader("\xff\x08")}, 5, only()); !errors.Is(err, protocol.ErrViolation) {
		t.Errorf("flags alone: got %v, want a violation", err)
	}
	if _, err := negotiate.Accept(&pipe{in: strings.NewReader("\x01\x00x\x01\x09a")}, 5, only("a")); !errors.Is(err, protocol.ErrViolation) {
		t.Errorf("second round: got %v, want a violation", err)
	}
}

// conforms: comms 79
func TestLengthsOfIDs(t *testing.T) {
	longest := protocol.ID(strings.Repeat("\xff\x00", 127) + "x")
	written := frameOf(0, string(longest))
	checkOpen(t, "255 bytes", []protocol.ID{longest}, written, written, longest, nil)
	for name, flags := range map[string]byte{"proposed": 0, "optimistic": 3} {
		for split, wrap := range splits {
			p := &pipe{in: wrap(strings.NewReader(frameOf(flags, string(longest)) + "x"))}
			id, err := negotiate.Accept(p, 5, only(longest))
			if id != longest || err != nil {
				t.Errorf("%s, %s: got %d bytes, %v, want 255", name, split, len(id), err)
			}
		}
	}
	var w bytes.Buffer
	if err := negotiate.OpenOptimistic(&w, longest); err != nil || w.Len() != 257 {
		t.Errorf("optimistic: got %d bytes, %v, want 257", w.Len(), err)
	}
	w.Reset()
	for name, id := range map[string]protocol.ID{"256 bytes": longest + "y", "empty": ""} {
		p := &pipe{in: strings.NewReader("")}
		if _, err := negotiate.Open(p, []protocol.ID{"good", id}); !errors.Is(err, protocol.ErrBadID) || p.writes != 0 {
			t.Errorf("%s: got %v after %d writes, want ErrBadID before any", name, err, p.writes)
		}
		if err := negotiate.OpenOptimistic(&w, id); !errors.Is(err, protocol.ErrBadID) || w.Len() != 0 {
			t.Errorf("%s, optimistic: got %v and %d bytes, want ErrBadID before any", name, err, w.Len())
		}
	}
}

func TestOneWriteAFrame(t *testing.T) {
	p := &pipe{in: strings.NewReader("\x00\x04" + frameOf(0, "b"))}
	if _, err := negotiate.Open(p, []protocol.ID{"a", "b"}); err != nil || p.writes != 2 {
		t.Errorf("open: got %d writes, %v, want 2", p.writes, err)
	}
	p = &pipe{in: strings.NewReader(frameOf(0, "a") + frameOf(0, "b"))}
	if _, err := negotiate.Accept(p, 5, only("b")); err != nil || p.writes != 2 {
		t.Errorf("accept: got %d writes, %v, want 2", p.writes, err)
	}
	if err := negotiate.OpenOptimistic(p, "a"); err != nil || p.writes != 3 {
		t.Errorf("optimistic: got %d writes, %v, want 1 more", p.writes, err)
	}
}

func TestEndsAndErrors(t *testing.T) {
	whole := frameOf(0, "abc")
	for n := range len(whole) {
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if _, err := negotiate.Accept(&pipe{in: strings.NewReader(whole[:n])}, 5, only("abc")); !errors.Is(err, want) || errors.Is(err, protocol.ErrViolation) {
			t.Errorf("accept, %d bytes: got %v, want %v", n, err, want)
		}
		if _, err := negotiate.Open(&pipe{in: strings.NewReader(whole[:n])}, []protocol.ID{"abc"}); !errors.Is(err, want) || errors.Is(err, protocol.ErrViolation) {
			t.Errorf("open, %d bytes: got %v, want %v", n, err, want)
		}
	}
	reset := errors.New("reset")
	broken := &pipe{in: iotest.ErrReader(reset)}
	if _, err := negotiate.Accept(broken, 5, only()); !errors.Is(err, reset) {
		t.Errorf("accept: got %v, want the read's error", err)
	}
	if _, err := negotiate.Open(broken, []protocol.ID{"a"}); !errors.Is(err, reset) || errors.Is(err, negotiate.ErrTerminated) {
		t.Errorf("open: got %v, want the read's error", err)
	}
	for _, in := range []string{frameOf(0, "a"), frameOf(0, "x")} {
		if id, err := negotiate.Accept(deaf{strings.NewReader(in)}, 5, only("a")); !errors.Is(err, io.ErrClosedPipe) || id != "" {
			t.Errorf("accept %q: got %q, %v, want the write's error", in, id, err)
		}
	}
	if _, err := negotiate.Accept(deaf{strings.NewReader(frameOf(0, "x"))}, 1, only("a")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("last refusal: got %v, want the write's error", err)
	}
	if _, err := negotiate.Open(deaf{strings.NewReader("")}, []protocol.ID{"a"}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("open: got %v, want the write's error", err)
	}
	if err := negotiate.OpenOptimistic(deaf{}, "a"); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("optimistic: got %v, want the write's error", err)
	}
	if _, err := negotiate.Open(&pipe{in: strings.NewReader("")}, nil); !errors.Is(err, negotiate.ErrUnsupported) {
		t.Errorf("no ids: got %v, want ErrUnsupported", err)
	}
}

// deaf takes no bytes.
type deaf struct{ io.Reader }

func (deaf) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// limitWriter fails the test when the peer can make us write without end.
type limitWriter struct {
	io.Reader
	n int
}

func (w *limitWriter) Write(b []byte) (int, error) {
	w.n += len(b)
	return len(b), nil
}

func FuzzNegotiateAccept(f *testing.F) {
	f.Add([]byte(frameOf(0, "a")+"rest"), byte(0))
	f.Add([]byte(frameOf(3, "a")+"rest"), byte(1))
	f.Add([]byte(strings.Repeat(frameOf(0, "x"), 7)), byte(2))
	f.Add([]byte("\xff\x00short"), byte(3))
	f.Add([]byte("\x00\xff"), byte(0))
	f.Fuzz(func(t *testing.T, in []byte, split byte) {
		rest := splitReader(bytes.NewReader(in), split)
		w := &limitWriter{Reader: rest}
		id, err := negotiate.Accept(w, 5, only("a"))
		if (err == nil) != (id == "a") {
			t.Fatalf("got %q, %v", id, err)
		}
		// At most five frames were read, and as many answered.
		if w.n > 4*2+3 {
			t.Fatalf("got %d bytes of answers", w.n)
		}
		left, _ := io.ReadAll(rest)
		used := len(in) - len(left)
		for off, frames := 0, 0; off < used; frames++ {
			if frames == 5 {
				t.Fatal("got more than five frames read")
			}
			if off+1 >= len(in) {
				break
			}
			if in[off+1]&^7 != 0 {
				if used != off+2 {
					t.Fatalf("got %d bytes read, want none after bad flags", used)
				}
				break
			}
			off += 2 + int(in[off])
			if used < off && used < len(in) {
				t.Fatalf("got %d bytes read, want a whole frame", used)
			}
		}
	})
}

func FuzzNegotiateOpen(f *testing.F) {
	f.Add([]byte(frameOf(0, "a")+"rest"), byte(0))
	f.Add([]byte("\x00\x04"+frameOf(0, "b")), byte(1))
	f.Add([]byte("\x00\x06"), byte(2))
	f.Add([]byte("\xff\x00short"), byte(3))
	f.Fuzz(func(t *testing.T, in []byte, split byte) {
		rest := splitReader(bytes.NewReader(in), split)
		w := &limitWriter{Reader: rest}
		id, err := negotiate.Open(w, []protocol.ID{"a", "b"})
		if (err == nil) != (id == "a" || id == "b") {
			t.Fatalf("got %q, %v", id, err)
		}
		if w.n > 2*3+2 {
			t.Fatalf("got %d bytes written", w.n)
		}
		if err == nil {
			left, _ := io.ReadAll(rest)
			used := in[:len(in)-len(left)]
			if !bytes.HasSuffix(used, []byte(id)) {
				t.Fatalf("got %q after %q", id, used)
			}
		}
	})
}

func splitReader(r io.Reader, split byte) io.Reader {
	switch split % 4 {
	case 1:
		return iotest.OneByteReader(r)
	case 2:
		return iotest.HalfReader(r)
	case 3:
		return iotest.DataErrReader(r)
	}
	return r
}

// TestReady: what is ready is chosen without waiting and without an answer, and nothing less is
// ready.
func TestReady(t *testing.T) {
	var w bytes.Buffer
	if err := negotiate.OpenOptimistic(&w, "t/echo/1"); err != nil {
		t.Fatal(err)
	}
	frame := w.Bytes()
	for n := range frame {
		if negotiate.Ready(frame[:n]) {
			t.Errorf("%d of %d bytes are ready", n, len(frame))
		}
	}
	for _, more := range []string{"", "data"} {
		if !negotiate.Ready(append(bytes.Clone(frame), more...)) {
			t.Errorf("a whole frame and %q are not ready", more)
		}
	}
	for flags := range 256 {
		ahead := append([]byte{1, byte(flags)}, 'a')
		rw := &onlyThis{Buffer: bytes.NewBuffer(bytes.Clone(ahead))}
		_, err := negotiate.Choose(rw, 3, func(protocol.ID) bool { return true })
		if want := rw.touched == 0; negotiate.Ready(ahead) && !want {
			t.Errorf("flags %#x: ready, but Choose waits or writes (%v)", flags, err)
		}
	}
}

// onlyThis counts the reads beyond what it has, and the writes.
type onlyThis struct {
	*bytes.Buffer
	touched int
}

func (o *onlyThis) Read(p []byte) (int, error) {
	if o.Len() == 0 {
		o.touched++
	}
	return o.Buffer.Read(p)
}

func (o *onlyThis) Write(p []byte) (int, error) {
	o.touched++
	return len(p), nil
}
