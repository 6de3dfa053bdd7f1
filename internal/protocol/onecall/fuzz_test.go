package onecall

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// oracle is the protocol's messages for the protobuf library.
var oracle = func() protoreflect.FileDescriptor {
	field := func(name string, num int32, typ descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{
			Name: &name, Number: &num, Type: &typ, Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
	}
	const u32, u64, raw = descriptorpb.FieldDescriptorProto_TYPE_UINT32, descriptorpb.FieldDescriptorProto_TYPE_UINT64, descriptorpb.FieldDescriptorProto_TYPE_BYTES
	fd, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("oracle.proto"), Syntax: new("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: new("Request"), Field: []*descriptorpb.FieldDescriptorProto{
				field("id", 1, u32), field("method", 2, u32), field("flags", 3, u32), field("deadline", 4, u64), field("payload", 10, raw),
			}},
			{Name: new("Response"), Field: []*descriptorpb.FieldDescriptorProto{
				field("id", 1, u32), field("status", 2, u32), field("flags", 3, u32), field("payload", 10, raw),
			}},
		},
	}, nil)
	if err != nil {
		panic(err)
	}
	return fd
}()

// decoded reads b with the protobuf library: numbers by field, and the payload.
func decoded(t *testing.T, index int, b []byte) (numbers [5]uint64, payload []byte) {
	m := dynamicpb.NewMessage(oracle.Messages().Get(index))
	if err := proto.Unmarshal(b, m); err != nil {
		t.Fatalf("we decode what the library refuses: %v", err)
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Number() == fieldPayload {
			payload = v.Bytes()
		} else {
			numbers[f.Number()] = v.Uint()
		}
		return true
	})
	return numbers, payload
}

// FuzzDecodeRequest compares with the protobuf library, and encodes again.
func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte("\x08\x01\x10\x01\x20\x78\x52\x02\xaa\xbb"))
	f.Add([]byte("\x18\x02\x20\x78"))
	f.Fuzz(func(t *testing.T, b []byte) {
		RequestID(b)
		r, err := DecodeRequest(b)
		if err != nil {
			if !errors.Is(err, ErrUndecodable) {
				t.Fatalf("got %v, want ErrUndecodable", err)
			}
			return
		}
		n, payload := decoded(t, 0, b)
		if want := [5]uint64{0, uint64(r.ID), uint64(r.Method), uint64(r.Flags), r.Deadline}; n != want || !bytes.Equal(payload, r.Payload) {
			t.Fatalf("got %+v, want %v %x", r, n, payload)
		}
		again, err := DecodeRequest(AppendRequest(nil, r)[4:])
		if len(r.Payload) == 0 {
			r.Payload = nil
		}
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("got %+v, %v, want %+v again", again, err, r)
		}
	})
}

func FuzzDecodeResponse(f *testing.F) {
	f.Add([]byte("\x08\x01\x18\x01\x52\x01\xcc"))
	f.Add([]byte("\x08\x01\x10\x07\x18\x01\x52\x01x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeResponse(b)
		if err != nil {
			if !errors.Is(err, ErrUndecodable) {
				t.Fatalf("got %v, want ErrUndecodable", err)
			}
			return
		}
		n, payload := decoded(t, 1, b)
		if want := [5]uint64{0, uint64(r.ID), uint64(r.Status), uint64(r.Flags), 0}; n != want || !bytes.Equal(payload, r.Payload) {
			t.Fatalf("got %+v, want %v %x", r, n, payload)
		}
		again, err := DecodeResponse(AppendResponse(nil, r)[4:])
		if len(r.Payload) == 0 {
			r.Payload = nil
		}
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("got %+v, %v, want %+v again", again, err, r)
		}
	})
}

func FuzzDecodeHello(f *testing.F) {
	f.Add([]byte("\x0a\x01\x00"))
	f.Add([]byte("\x08\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := DecodeHello(b); err != nil && !errors.Is(err, ErrUndecodable) {
			t.Fatalf("got %v, want ErrUndecodable", err)
		}
	})
}

func FuzzDecodeReply(f *testing.F) {
	f.Add([]byte("\x08\x00"))
	f.Add([]byte("\x10\x01\x18\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var rejected *rpc.RejectedError
		if err := DecodeReply(b); err != nil && !errors.Is(err, rpc.ErrProtocol) && !errors.As(err, &rejected) {
			t.Fatalf("got %v, want a protocol error or a rejection", err)
		}
	})
}

// FuzzSessions feeds both machines the same bytes as messages of three bytes
// each: whatever comes, a client never delivers after the end, and a server
// never has two calls.
func FuzzSessions(f *testing.F) {
	f.Add([]byte("\x01\x00\x05\x01\x01\x05"))
	f.Fuzz(func(t *testing.T, script []byte) {
		now := time.Unix(1000, 0)
		s, c := NewServer(now, ServerOptions{}), new(Client)
		open, over := 0, false
		c.Start(1, time.Second, len(script)%2 == 0)
		for ; len(script) >= 3 && !over; script = script[3:] {
			now = now.Add(time.Duration(script[2]) * time.Second)
			verdict, _, err := s.Received(now, Request{ID: uint32(script[0]), Flags: Flags(script[1] % 9), Deadline: uint64(script[2])})
			switch {
			case err != nil:
				over = true
			case verdict == Run:
				if open++; open > 1 {
					t.Fatal("got a second running call")
				}
			case verdict == Answer:
				s.Wrote(now)
			}
			if open > 0 && script[0]%3 == 0 {
				s.Finish(now, rpc.OK)
				if s.Done(now) == nil {
					open = 0
				}
			}
			s.Due(now)
			active, stream := c.Active(), c.stream
			e, broken := c.Received(Response{ID: uint32(script[0]) % 3, Flags: Flags(script[1] % 9), Payload: script})
			if broken != nil || !active {
				c.Start(1, time.Second, len(script)%2 == 0)
			}
			if e.Meaning == End && !stream {
				t.Fatal("got the end of a stream from a unary call")
			}
		}
	})
}
