package outcomes

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/protocol"
)

func TestFrames(t *testing.T) {
	for _, m := range []Message{
		{Epoch: 1, Number: 1},
		{Epoch: 1<<64 - 1, Number: 1 << 40, Settled: 1<<40 - Window, Want: Handled, Line: 6, Again: true, Store: 5, Topic: strings.Repeat("t", MaxTopic)},
		{Epoch: 2, Number: 300, Settled: 299, Want: Kept, Line: 1 << 63, Topic: "jobs"},
	} {
		f, err := Decode(append(AppendMessage(nil, &m), "body"...))
		if err != nil || *f.Message != m || string(f.Body) != "body" {
			t.Errorf("got %+v with %q, %v, want %+v", f.Message, f.Body, err, m)
		}
	}
	parts := []Part{{1, IsKept, []Range{{1, 1}, {3, 9}}}, {2, IsHandled, []Range{{1 << 50, 1<<50 + 1}}}}
	if f, err := Decode(AppendAnswer(nil, parts)); err != nil || !reflect.DeepEqual(f.Answer, parts) {
		t.Errorf("got %+v, %v, want %+v", f, err, parts)
	}
	ask := Ask{4, 5, parts[0].Of}
	if f, err := Decode(AppendAsk(nil, ask)); err != nil || !reflect.DeepEqual(*f.Ask, ask) {
		t.Errorf("got %+v, %v, want %+v", f.Ask, err, ask)
	}
	hello := Hello{4, 5, 6}
	if f, err := Decode(AppendHello(nil, hello)); err != nil || *f.Hello != hello {
		t.Errorf("got %+v, %v, want %+v", f.Hello, err, hello)
	}
	if f, err := Decode([]byte{99, 1, 2}); err != nil || f.Message != nil || f.Answer != nil || f.Ask != nil || f.Hello != nil {
		t.Errorf("of an unknown kind got %+v, %v, want nothing", f, err)
	}
}

// conforms: V 42
func TestFramesThatAreRefused(t *testing.T) {
	head := AppendMessage(nil, &Message{Epoch: 1, Number: 5})
	message := func(number, above string, what byte) string {
		return string(head[:9]) + number + above + string(what) + "\x00"
	}
	for name, c := range map[string]struct {
		frame string
		want  error
	}{
		"nothing":              {"", ErrUndecodable},
		"cut off":              {string(head[:5]), ErrUndecodable},
		"number 0":             {message("\x00", "\x01", 0), ErrUndecodable},
		"settled above":        {message("\x05", "\x00", 0), ErrUndecodable},
		"settled below 0":      {message("\x05", "\x06", 0), ErrUndecodable},
		"beyond the window":    {message("\x81\x80\x08", "\x81\x80\x04", 0), ErrWindow},
		"unknown outcome":      {message("\x05", "\x01", 3), ErrUndecodable},
		"topic too long":       {string(head[:len(head)-1]) + "\x41" + strings.Repeat("t", 65), ErrLimit},
		"topic cut off":        {string(head[:len(head)-1]) + "\x05abc", ErrUndecodable},
		"no end of a number":   {message("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x01", 0), ErrUndecodable},
		"too many ranges":      {"\x03" + string(head[1:9]) + string(head[1:9]) + "\x81\x02", ErrLimit},
		"range of nothing":     {"\x03" + string(head[1:9]) + string(head[1:9]) + "\x01\x00\x00", ErrUndecodable},
		"range that is wide":   {"\x03" + string(head[1:9]) + string(head[1:9]) + "\x01\x00\x81\x80\x04", ErrUndecodable},
		"more behind an ask":   {string(AppendAsk(nil, Ask{})) + "x", ErrUndecodable},
		"more behind a hello":  {string(AppendHello(nil, Hello{})) + "x", ErrUndecodable},
		"too many epochs":      {string(AppendAnswer(nil, make([]Part, MaxParts+1))), ErrLimit},
		"part that is cut off": {string(AppendAnswer(nil, nil)) + "abc", ErrUndecodable},
	} {
		_, err := Decode([]byte(c.frame))
		var v *protocol.Violation
		if !errors.Is(err, c.want) || !errors.As(err, &v) || v.Ban != protocol.BanShort {
			t.Errorf("%s: got %v, want %v and a short ban", name, err, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(append(AppendMessage(nil, &Message{Epoch: 1, Number: 300, Settled: 2, Want: Kept, Line: 7, Again: true, Store: 3, Topic: "t"}), 'b'))
	f.Add(AppendAnswer(nil, []Part{{1, IsKept, []Range{{1, 1}, {3, 9}}}}))
	f.Add(AppendAsk(nil, Ask{4, 5, []Range{{2, 5}}}))
	f.Add(AppendHello(nil, Hello{4, 5, 6}))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Decode(b)
		switch {
		case err != nil:
			if !errors.Is(err, protocol.ErrViolation) {
				t.Fatalf("got %v, want a violation", err)
			}
		case got.Message != nil:
			again, err := Decode(append(AppendMessage(nil, got.Message), got.Body...))
			if err != nil || *again.Message != *got.Message || !bytes.Equal(again.Body, got.Body) {
				t.Fatalf("%+v becomes %+v, %v", got.Message, again.Message, err)
			}
		case got.Ask != nil:
			if again, err := Decode(AppendAsk(nil, *got.Ask)); err != nil || !reflect.DeepEqual(again, got) {
				t.Fatalf("%+v becomes %+v, %v", got.Ask, again.Ask, err)
			}
		case got.Hello != nil:
			if again, err := Decode(AppendHello(nil, *got.Hello)); err != nil || *again.Hello != *got.Hello {
				t.Fatalf("%+v becomes %+v, %v", got.Hello, again.Hello, err)
			}
		case got.Answer != nil:
			if again, err := Decode(AppendAnswer(nil, got.Answer)); err != nil || !reflect.DeepEqual(again, got) {
				t.Fatalf("%+v becomes %+v, %v", got, again, err)
			}
		}
	})
}
