package onecall

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// conforms: comms 96
func TestBytesOfRequests(t *testing.T) {
	for _, tt := range []struct {
		name string
		r    Request
		want string
	}{
		{"request", Request{ID: 1, Method: 1, Deadline: 120, Payload: []byte{0xaa, 0xbb}}, "0000000a 0801 1001 2078 5202aabb"},
		{"ping", Request{Flags: ACK, Deadline: 120}, "00000004 1802 2078"},
		{"cancel", Request{ID: 1, Method: 1, Flags: FIN, Deadline: 120}, "00000008 0801 1001 1801 2078"},
		{"nothing", Request{}, "00000000"},
		{
			"greatest",
			Request{math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint64, []byte("x")},
			"00000020 08ffffffff0f 10ffffffff0f 18ffffffff0f 20ffffffffffffffffff01 520178",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := unhex(t, tt.want)
			if got := AppendRequest([]byte("before"), tt.r); !bytes.Equal(got, append([]byte("before"), want...)) {
				t.Errorf("got %x, want %x", got[6:], want)
			}
			if got, err := DecodeRequest(want[4:]); err != nil || !reflect.DeepEqual(got, tt.r) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.r)
			}
		})
	}
}

// conforms: comms 96
func TestBytesOfResponses(t *testing.T) {
	for _, tt := range []struct {
		name string
		r    Response
		want string
	}{
		{"unary", Response{ID: 1, Flags: FIN, Payload: []byte{0xcc}}, "00000007 0801 1801 5201cc"},
		{"item", Response{ID: 1, Payload: []byte{0xcc}}, "00000005 0801 5201cc"},
		{"end", Response{ID: 1, Flags: FIN}, "00000004 0801 1801"},
		{"error", Response{ID: 1, Status: rpc.NotFound, Flags: FIN, Payload: []byte("x")}, "00000009 0801 1007 1801 520178"},
		{"pong", Response{Flags: ACK}, "00000002 1802"},
		{"greatest id", Response{ID: 65535, Flags: FIN}, "00000006 08ffff03 1801"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := unhex(t, tt.want)
			if got := AppendResponse([]byte("before"), tt.r); !bytes.Equal(got, append([]byte("before"), want...)) {
				t.Errorf("got %x, want %x", got[6:], want)
			}
			if got, err := DecodeResponse(want[4:]); err != nil || !reflect.DeepEqual(got, tt.r) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.r)
			}
		})
	}
}

func TestFrameInPlace(t *testing.T) {
	payload := bytes.Repeat([]byte("p"), 300)
	buf := append(make([]byte, Room), payload...)
	want := AppendRequest(nil, Request{ID: 7, Method: 3, Deadline: 5, Payload: payload})
	got := FrameRequest(buf, Request{ID: 7, Method: 3, Deadline: 5})
	if !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if &got[len(got)-1] != &buf[len(buf)-1] {
		t.Error("got a copy of the payload, want it where it was")
	}
	if n := testing.AllocsPerRun(100, func() { FrameResponse(buf, Response{ID: 65535, Status: 7, Flags: FIN}) }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

// What does not decode, and what has to.
func TestDecodeRequest(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"truncated number", "08", "undecodable"},
		{"truncated payload", "5203aabb", "undecodable"},
		{"overlong number", "08ffffffffffffffffffff01", "undecodable"},
		{"field 0", "0001", "undecodable"},
		{"id as bytes", "0a0101", "wrong wire type"},
		{"payload as number", "5001", "wrong wire type"},
		{"end of a group", "0c", "undecodable"},
		{"unknown fields of each kind", "0801 3005 3d00000000 310000000000000000 320161", ""},
		{"last one counts", "0805 0801", ""},
		{"number of 64 bits", "0881808080808001", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := DecodeRequest(unhex(t, tt.in))
			switch {
			case tt.want == "" && (err != nil || r.ID != 1):
				t.Errorf("got %+v, %v, want id 1", r, err)
			case tt.want != "" && (!errors.Is(err, ErrUndecodable) || !errors.Is(err, rpc.ErrProtocol) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRequestID(t *testing.T) {
	for in, want := range map[string]uint32{"08011005": 1, "08ffff03": 65535, "": 0, "08": 0, "1001": 0, "0a01": 0} {
		if got := RequestID(unhex(t, in)); got != want {
			t.Errorf("%s: got %d, want %d", in, got, want)
		}
	}
}

// conforms: comms 92
func TestHandshakeBytes(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		got        []byte
	}{
		{"hello", "0a0100", AppendHello(nil)},
		{"accepted", "0800", AppendAccepted(nil)},
		{"no sessions", "10011802", AppendRejected(nil, rpc.NoServerSessions)},
		{"no version", "10011801", AppendRejected(nil, rpc.UnsupportedVersion)},
		{"no service", "10011804", AppendRejected(nil, rpc.ProtocolUnsupported)},
	} {
		if want := unhex(t, tt.want); !bytes.Equal(tt.got, want) {
			t.Errorf("%s: got %x, want %x", tt.name, tt.got, want)
		}
	}
}

// conforms: comms 92
func TestDecodeHello(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     bool
		bad      bool
	}{
		{"as sent", "0a0100", true, false},
		{"among others", "0a03020100", true, false},
		{"not packed", "0801 0800", true, false},
		{"version 1 only", "0a0101", false, false},
		{"none", "", false, false},
		{"empty list", "0a00", false, false},
		{"unknown field", "1207aabbccddeeff00 0a0100", true, false},
		{"truncated", "0a02", false, true},
		{"bad version", "0a01ff", false, true},
		{"fixed", "0d00000000", false, true},
	} {
		got, err := DecodeHello(unhex(t, tt.in))
		if got != tt.want && err == nil || (err != nil) != tt.bad || err != nil && !errors.Is(err, ErrUndecodable) {
			t.Errorf("%s: got %v, %v, want %v, bad %v", tt.name, got, err, tt.want, tt.bad)
		}
	}
}

// conforms: V 18
func TestDecodeReply(t *testing.T) {
	reason := func(r rpc.Reason) error { return &rpc.RejectedError{Reason: r} }
	for _, tt := range []struct {
		name, in string
		want     error
	}{
		{"accepted", "0800", nil},
		{"another version", "0801", ErrVersion},
		{"no sessions", "10011802", reason(rpc.NoServerSessions)},
		{"reason 3", "10011803", reason(rpc.NoClientSessions)},
		{"reason 4", "10011804", reason(rpc.ProtocolUnsupported)},
		{"reason 1", "10011801", reason(rpc.UnsupportedVersion)},
		{"reason 5", "10011805", reason(rpc.ReasonUnknown)},
		{"no reason", "1001", reason(rpc.ReasonUnknown)},
		{"nothing", "", reason(rpc.ReasonUnknown)},
		{"reason alone", "1802", reason(rpc.ReasonUnknown)},
		{"rejected after accepted", "0800 10011802", reason(rpc.NoServerSessions)},
		{"accepted after rejected", "10011802 0800", nil},
		{"bytes", "0a00", ErrUndecodable},
		{"truncated", "10", ErrUndecodable},
	} {
		err := DecodeReply(unhex(t, tt.in))
		if tt.want == nil && err != nil || tt.want != nil && !errors.Is(err, tt.want) && !reflect.DeepEqual(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		var r *rpc.RejectedError
		if errors.As(err, &r) && r.Busy() != (r.Reason == rpc.NoServerSessions) {
			t.Errorf("%s: got busy %v", tt.name, r.Busy())
		}
	}
}

func TestStatusOf(t *testing.T) {
	for _, tt := range []struct {
		name    string
		err     error
		status  rpc.Status
		details string
		private bool
	}{
		{"with a text", rpc.Errorf(rpc.NotFound, "no %s", "cat"), rpc.NotFound, "no cat", false},
		{"status alone", rpc.Forbidden, rpc.Forbidden, "", false},
		{"any other", errors.New("/secret/path"), rpc.General, "the service failed", true},
		{"ok is no error", rpc.Errorf(rpc.OK, "what"), rpc.General, "the service failed", true},
		{"long", rpc.Errorf(rpc.Conflict, "%s", strings.Repeat("ä", 300)), rpc.Conflict, strings.Repeat("ä", 256), false},
	} {
		s, d, private := StatusOf(tt.err)
		if s != tt.status || d != tt.details || private != tt.private {
			t.Errorf("%s: got %v %q %v, want %v %q %v", tt.name, s, d, private, tt.status, tt.details, tt.private)
		}
	}
	if err := rpc.Errorf(rpc.NotFound, "x"); !errors.Is(err, rpc.NotFound) || errors.Is(err, rpc.Conflict) {
		t.Errorf("got %v, want it to match its status alone", err)
	}
	if got := rpc.Status(11).Error(); got != "rpc: status 11" {
		t.Errorf("got %q", got)
	}
}

// Details of a peer are short and safe to print.
func TestDetails(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                    "plain",
		"a\x1b[31mb\nc\u202ed\x00": "a [31mb c d ",
		"bad \xff utf8":            "bad \uFFFD utf8",
		strings.Repeat("x", 600):   strings.Repeat("x", 512),
	} {
		if got := words.Details([]byte(in), rpc.MaxDetails); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// TestLongMessages: nobody writes messages of a session with thousands of fields.
//
// conforms: V 20
func TestLongMessages(t *testing.T) {
	decoders := map[string]func([]byte) error{
		"request": func(b []byte) error { _, err := DecodeRequest(b); return err },
		"hello":   func(b []byte) error { _, err := DecodeHello(b); return err },
		"reply":   DecodeReply,
	}
	for name, decode := range decoders {
		good := decode(bytes.Repeat([]byte{0x78, 1}, 1024))
		if bad := decode(bytes.Repeat([]byte{0x78, 1}, 1025)); !errors.Is(bad, ErrUndecodable) {
			t.Errorf("%s of 1,025 fields: got %v, want ErrUndecodable", name, bad)
		}
		if errors.Is(good, ErrUndecodable) && strings.Contains(good.Error(), "fields") {
			t.Errorf("%s of 1,024 fields: got %v, want no complaint of their number", name, good)
		}
	}
}
