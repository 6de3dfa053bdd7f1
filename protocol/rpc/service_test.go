package rpc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan/identity"
)

type (
	text = wrapperspb.StringValue
	num  = wrapperspb.UInt32Value
)

// greeter greets, and counts down.
var greeter = Service{Protocol: "test/greet/1", Methods: []Method{
	Unary(1, func(_ context.Context, name *text) (*text, error) {
		if name.Value == "" {
			return nil, Errorf(NotFound, "nobody")
		}
		return wrapperspb.String("Hello, " + name.Value), nil
	}),
	Stream(2, func(_ context.Context, from *num) iter.Seq2[*num, error] {
		return func(yield func(*num, error) bool) {
			for n := from.Value; n > 0; n-- {
				if n == 13 {
					yield(nil, Errorf(Forbidden, "thirteen"))
					return
				}
				if !yield(wrapperspb.UInt32(n), nil) {
					return
				}
			}
		}
	}),
}}

// direct calls a service without a wire.
type direct struct {
	Transport
	Service
	client Encoding
	sent   int // items, in all calls
}

// to returns a client of the service.
func (d *direct) to(opts ...ClientOption) *Client {
	return NewClient(identity.NodeID{}, d.Protocol, d, append([]ClientOption{d.client}, opts...)...)
}

func (d *direct) Invoke(ctx context.Context, call Invocation, encode func([]byte) ([]byte, error), got func([]byte) error) error {
	payload, err := encode(nil)
	if err != nil {
		return err
	}
	methods, err := d.Bind()
	if err != nil {
		return err
	}
	for _, m := range methods {
		if m.Number() == call.Method {
			return m.Serve(ctx, payload, func(encode func([]byte) ([]byte, error)) error {
				item, err := encode(nil)
				if err != nil {
					return err
				}
				d.sent++
				return got(item)
			})
		}
	}
	return UnsupportedMethod
}

func TestTypedCalls(t *testing.T) {
	d := &direct{Service: greeter}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	reply, err := Call[text, text](t.Context(), d.to(), 1, wrapperspb.String("Anna"))
	if err != nil || reply.Value != "Hello, Anna" {
		t.Errorf("got %v, %v", reply, err)
	}
	if _, err = Call[text, text](t.Context(), d.to(), 1, wrapperspb.String("")); !errors.Is(err, NotFound) {
		t.Errorf("got %v, want not found", err)
	}
	if _, err = Call[text, text](t.Context(), d.to(), 9, wrapperspb.String("")); !errors.Is(err, UnsupportedMethod) {
		t.Errorf("got %v, want an unsupported method", err)
	}
	var got []uint32
	for n, err := range Items[num, num](t.Context(), d.to(), 2, wrapperspb.UInt32(15)) {
		if err != nil {
			if !errors.Is(err, Forbidden) {
				t.Errorf("got %v, want forbidden", err)
			}
			break
		}
		got = append(got, n.Value)
	}
	if fmt.Sprint(got) != "[15 14]" {
		t.Errorf("got %v, want 15 and 14", got)
	}
	d.sent = 0
	for range Items[num, num](t.Context(), d.to(), 2, wrapperspb.UInt32(10)) {
		break
	}
	if d.sent != 1 {
		t.Errorf("got %d items sent to a loop that was left, want 1", d.sent)
	}
}

// counted is an item of a service without protobuf: a number in one byte.
type counted byte

func (c counted) Append(dst []byte) []byte { return append(dst, byte(c)) }

func TestStreamOfBytes(t *testing.T) {
	left := false
	d := &direct{Service: Service{Protocol: "test/count/1", Methods: []Method{
		StreamBytes(3, func(_ context.Context, payload []byte) iter.Seq2[counted, error] {
			return func(yield func(counted, error) bool) {
				defer func() { left = true }()
				if len(payload) != 1 {
					yield(0, Errorf(BadRequest, "%d bytes", len(payload)))
					return
				}
				for n := counted(payload[0]); n > 0; n-- {
					if !yield(n, nil) {
						return
					}
				}
			}
		}),
	}}}
	if err := d.Validate(); err != nil || !d.Methods[0].Streams() {
		t.Fatalf("got %v, want a valid service with a stream", err)
	}
	call := func(request []byte, most int) (got []byte, err error) {
		enough := errors.New("enough")
		left = false
		err = d.Invoke(t.Context(), Invocation{Method: 3, Stream: true}, func(b []byte) ([]byte, error) { return append(b, request...), nil }, func(item []byte) error {
			if got = append(got, item...); len(got) == most {
				return enough
			}
			return nil
		})
		if errors.Is(err, enough) {
			err = nil
		}
		return got, err
	}
	if got, err := call([]byte{4}, 9); err != nil || string(got) != "\x04\x03\x02\x01" {
		t.Errorf("got %x, %v, want four items", got, err)
	}
	if got, err := call([]byte{4}, 2); err != nil || string(got) != "\x04\x03" || !left {
		t.Errorf("got %x, %v, ended %v, want two items and the end of the iteration", got, err, left)
	}
	if got, err := call(nil, 9); len(got) != 0 || !errors.Is(err, BadRequest) {
		t.Errorf("got %x, %v, want a bad request", got, err)
	}
}

func TestUndecodable(t *testing.T) {
	refused := func(context.Context, *text) (*text, error) { t.Error("called"); return nil, nil }
	err := Unary(1, refused).Serve(t.Context(), []byte{0x0a, 0x7f}, nil)
	if !errors.Is(err, BadRequest) {
		t.Errorf("got %v, want a bad request", err)
	}
	bad := &direct{Service: Service{Protocol: "test/bad/1", Methods: []Method{UnaryBytes(1, func(context.Context, []byte) ([]byte, error) {
		return []byte{0x0a, 0x7f}, nil
	})}}}
	if _, err := Call[text, text](t.Context(), bad.to(), 1, &text{}); !errors.Is(err, ErrBadAnswer) || !errors.Is(err, ErrProtocol) {
		t.Errorf("got %v, want a bad answer", err)
	}
}

func TestBadServices(t *testing.T) {
	ok := greeter.Methods[0]
	for _, tt := range []struct {
		want string
		s    Service
	}{
		{"id", Service{Protocol: "", Methods: []Method{ok}}},
		{"no method", Service{Protocol: "a"}},
		{"two methods have number 1", Service{Protocol: "a", Methods: []Method{ok, ok}}},
		{"without function", Service{Protocol: "a", Methods: []Method{{}}}},
		{"MaxResponse", Service{Protocol: "a", Methods: []Method{ok}, MaxResponse: MaxFrame + 1}},
		{"MaxResponse", Service{Protocol: "a", Methods: []Method{ok}, MaxResponse: -1}},
	} {
		if err := tt.s.Validate(); !errors.Is(err, ErrBadService) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}

func TestCallerOf(t *testing.T) {
	begin := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	ctx := WithCaller(t.Context(), &Caller{Deadline: begin})
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	if c, ok := CallerOf(inner); !ok || c.Deadline != begin {
		t.Errorf("got %+v, %v", c, ok)
	}
	if _, ok := CallerOf(t.Context()); ok {
		t.Error("got a caller from nowhere")
	}
}

// conforms: V 20
func TestBudget(t *testing.T) {
	list := func(n int) *structpb.ListValue {
		l := &structpb.ListValue{Values: make([]*structpb.Value, n)}
		for i := range l.Values {
			l.Values[i] = structpb.NewBoolValue(true)
		}
		return l
	}
	nested := func(depth int) []byte { // messages in one another: ListValue.values, Value.list_value
		var b []byte
		for i := range depth {
			num := protowire.Number(1)
			if i%2 == 1 {
				num = 6
			}
			b = protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
		}
		return b
	}
	path := func(n int) []byte { // packed numbers of SourceCodeInfo.Location
		m, err := proto.Marshal(&descriptorpb.SourceCodeInfo_Location{Path: make([]int32, n)})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	encode := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, tt := range []struct {
		name    string
		payload []byte
		m       proto.Message
		ok      bool
	}{
		{"as many messages as may be", encode(list(MaxElements)), new(structpb.ListValue), true},
		{"one more", encode(list(MaxElements + 1)), new(structpb.ListValue), false},
		{"as many numbers", path(MaxElements), new(descriptorpb.SourceCodeInfo_Location), true},
		{"one number more", path(MaxElements + 1), new(descriptorpb.SourceCodeInfo_Location), false},
		{"deep", nested(125), new(structpb.ListValue), true},
		{"too deep", nested(201), new(structpb.ListValue), false},
		{"many fields that are unknown", bytesOf(3 * MaxElements), new(text), true},
	} {
		err := decode(tt.payload, tt.m, MaxElements)
		if (err == nil) != tt.ok {
			t.Errorf("%s: got %v, want ok %v", tt.name, err, tt.ok)
		}
	}
	if err := decode(encode(list(MaxElements+1)), new(structpb.ListValue), 65536); err != nil {
		t.Errorf("got %v with a greater budget", err)
	}
	if n := testing.AllocsPerRun(5, func() { decode(encode(list(MaxElements*2)), new(structpb.ListValue), MaxElements) }); n > MaxElements*5 {
		t.Errorf("got %v allocations for a payload over the budget, want none for its elements", n)
	}
}

// bytesOf is a field of n bytes that StringValue does not have.
func bytesOf(n int) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), make([]byte, n-8))
}

func FuzzBudget(f *testing.F) {
	f.Add([]byte("\x0a\x02\x20\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		left := 3
		m := new(structpb.ListValue)
		if count(b, m.ProtoReflect().Descriptor(), MaxDepth, &left) == nil && decode(b, m, 3) == nil && len(m.Values) > 3 {
			t.Fatalf("got %d elements, want at most 3", len(m.Values))
		}
	})
}
