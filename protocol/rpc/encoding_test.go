package rpc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// order and receipt are the messages of a service on plain Go types.
type (
	order struct {
		Item   string `json:"item"`
		Number int    `json:"number"`
		Note   string `json:"note,omitempty"`
	}
	receipt struct {
		Total int `json:"total"`
	}
	hello struct {
		Name string `json:"name"`
	}
)

var errUnwanted = errors.New("the method was called")

// wants is a service whose method 1 wants a Req and must not be called.
func wants[Req, Resp any](e Encoding) *direct {
	return &direct{client: e, Service: Service{Protocol: "test/wants/1", Encoding: e, Methods: []Method{
		Unary(1, func(context.Context, *Req) (*Resp, error) { return nil, errUnwanted }),
	}}}
}

// gives is a service whose method 1 answers with this message, and whose method 2 has it
// as an item.
func gives[Resp any](e Encoding, m *Resp) *direct {
	return &direct{client: e, Service: Service{Protocol: "test/gives/1", Encoding: e, Methods: []Method{
		UnaryBytes(1, func(context.Context, []byte) ([]byte, error) {
			c, err := codecOf[Resp](e)
			if err != nil {
				return nil, err
			}
			return c.append(nil, m)
		}),
		StreamBytes(2, func(context.Context, []byte) iter.Seq2[Bytes, error] {
			return func(yield func(Bytes, error) bool) {
				c, err := codecOf[Resp](e)
				if err != nil {
					yield(nil, err)
					return
				}
				b, err := c.append(nil, m)
				yield(b, err)
			}
		}),
	}}}
}

// A request of another type does not reach the method. The error of the call names the
// type that was sent and the one that the service wants.
func TestRequestOfAnotherType(t *testing.T) {
	number := wrapperspb.UInt32(7)
	for name, tt := range map[string]struct {
		call       func() error
		sent, want string
	}{
		"bytes for a number": {
			func() error {
				_, err := Call[text, num](t.Context(), wants[num, num](Protobuf).to(), 1, wrapperspb.String("7"))
				return err
			},
			"google.protobuf.StringValue", "google.protobuf.UInt32Value: field 1, value, has wire type 2",
		},
		"a number for bytes": {
			func() error {
				_, err := Call[num, num](t.Context(), wants[text, num](Protobuf).to(), 1, number)
				return err
			},
			"google.protobuf.UInt32Value", "google.protobuf.StringValue: field 1, value, has wire type 0",
		},
		"no field that is known": {
			func() error {
				_, err := Call[durationpb.Duration, num](t.Context(), wants[text, num](Protobuf).to(), 1, &durationpb.Duration{Nanos: 7})
				return err
			},
			"google.protobuf.Duration", "google.protobuf.StringValue: none of its fields is in the payload, which has field 2",
		},
		"strict": {
			func() error {
				d := durationpb.New(5_000_000_001)
				_, err := Call[durationpb.Duration, num](t.Context(), wants[wrapperspb.Int64Value, num](StrictProtobuf).to(), 1, d)
				return err
			},
			"google.protobuf.Duration", "google.protobuf.Int64Value: it has no field 2",
		},
		"JSON": {
			func() error {
				_, err := Call[hello, receipt](t.Context(), wants[order, receipt](JSON).to(), 1, &hello{"Anna"})
				return err
			},
			"rpc.hello", `rpc.order: it has no field "name"`,
		},
		"strict JSON, fewer fields": {
			func() error {
				_, err := Call[struct{}, receipt](t.Context(), wants[order, receipt](StrictJSON).to(), 1, &struct{}{})
				return err
			},
			"struct {}", `rpc.order: the field "item" is missing`,
		},
		"protobuf for JSON": {
			func() error {
				d := wants[order, receipt](JSON)
				d.client = Protobuf
				_, err := Call[text, text](t.Context(), d.to(), 1, wrapperspb.String("7"))
				return err
			},
			"google.protobuf.StringValue", "rpc.order: it is not JSON",
		},
		"JSON for protobuf": {
			func() error {
				d := wants[text, text](Protobuf)
				d.client = JSON
				_, err := Call[order, receipt](t.Context(), d.to(), 1, &order{})
				return err
			},
			"rpc.order", "google.protobuf.StringValue: ",
		},
		"bytes for JSON": {
			func() error {
				_, err := CallBytes(t.Context(), wants[order, receipt](JSON).to(), 1, []byte("{"))
				return err
			},
			"[]byte", "rpc.order: it is not JSON",
		},
		"stream of bytes for JSON": {
			func() (err error) {
				for _, err = range ItemsBytes(t.Context(), wants[order, receipt](JSON).to(), 1, nil) {
				}
				return err
			},
			"[]byte", "rpc.order: it is not JSON",
		},
		"stream": {
			func() (err error) {
				for _, err = range Items[hello, receipt](t.Context(), wants[order, receipt](JSON).to(), 1, &hello{}) {
				}
				return err
			},
			"rpc.hello", `rpc.order: it has no field "name"`,
		},
	} {
		err := tt.call()
		if !errors.Is(err, ErrType) || !errors.Is(err, BadRequest) {
			t.Errorf("%s: got %v, want a wrong type", name, err)
			continue
		}
		for _, part := range []string{"method 1 was sent a " + tt.sent, "the request is not a " + tt.want} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: got %v, want %q in it", name, err, part)
			}
		}
	}
}

// An answer of another type is an error that names the wanted one.
func TestAnswerOfAnotherType(t *testing.T) {
	_, err := Call[num, num](t.Context(), gives(Protobuf, wrapperspb.String("7")).to(), 1, &num{})
	if !errors.Is(err, ErrType) || !errors.Is(err, ErrBadAnswer) || !strings.Contains(err.Error(), "not a google.protobuf.UInt32Value: field 1, value, has wire type 2") {
		t.Errorf("got %v, want a wrong type", err)
	}
	_, err = Call[order, receipt](t.Context(), gives(JSON, &hello{"Anna"}).to(), 1, &order{})
	if !errors.Is(err, ErrType) || !strings.Contains(err.Error(), `not a rpc.receipt: it has no field "name"`) {
		t.Errorf("got %v, want a wrong type", err)
	}
	items := 0
	for item, err := range Items[order, receipt](t.Context(), gives(JSON, &hello{"Anna"}).to(), 2, &order{}) {
		if items++; item != nil || !errors.Is(err, ErrType) {
			t.Errorf("got %v, %v, want a wrong type", item, err)
		}
	}
	if items != 1 {
		t.Errorf("got %d items, want an error", items)
	}
	if got, err := Call[order, receipt](t.Context(), gives(JSON, &receipt{9}).to(), 1, &order{}); err != nil || got.Total != 9 {
		t.Errorf("got %v, %v, want the answer", got, err)
	}
	if _, err = Call[order, receipt](t.Context(), gives[receipt](JSON, nil).to(), 1, &order{}); !errors.Is(err, ErrType) {
		t.Errorf("got %v for a nil answer, want an error", err)
	}
}

// TestFits lists which protobuf messages of another type are refused, and which are not noticed.
func TestFits(t *testing.T) {
	field := func(num protowire.Number, typ protowire.Type, rest ...byte) []byte {
		return append(protowire.AppendTag(nil, num, typ), rest...)
	}
	join := func(fields ...[]byte) (b []byte) {
		for _, f := range fields {
			b = append(b, f...)
		}
		return b
	}
	inside := func(num protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
	}
	known := field(1, protowire.VarintType, 7)
	const both, strictly, never = 0, 1, 2 // refused by
	for _, tt := range []struct {
		name    string
		payload []byte
		m       proto.Message
		refused int
	}{
		{"the type itself", known, new(num), never},
		{"nothing", nil, new(num), never},
		{"of a newer release", join(known, field(9, protowire.VarintType, 1)), new(num), strictly},
		{"only fields of a newer release", field(9, protowire.VarintType, 1), new(num), both},
		{"another wire type", field(1, protowire.Fixed32Type, 1, 2, 3, 4), new(num), both},
		{"another wire type beside the right one", join(known, field(1, protowire.Fixed32Type, 1, 2, 3, 4)), new(num), both},
		{"a message without fields", known, new(emptypb.Empty), strictly},
		{"an equal layout", inside(1, []byte("text")), new(wrapperspb.BytesValue), never},
		{"no UTF-8", inside(1, []byte{0xff}), new(text), both},
		{"a packed list, and one that is not packed", join(field(1, protowire.VarintType, 1), inside(1, []byte{2, 3})), new(descriptorpb.SourceCodeInfo_Location), never},
		{"an enum that does not exist", field(5, protowire.VarintType, 99), &descriptorpb.FieldDescriptorProto{}, never},
		{"another type inside", inside(4, field(1, protowire.VarintType, 7)), new(descriptorpb.FileDescriptorProto), both},
		{"another type deep inside", inside(4, inside(2, field(1, protowire.VarintType, 7))), new(descriptorpb.FileDescriptorProto), both},
		{"a newer message inside", inside(4, field(999, protowire.VarintType, 7)), new(descriptorpb.FileDescriptorProto), strictly},
		{"another type in a map", inside(1, join(inside(1, []byte("k")), inside(2, inside(2, nil)))), new(structpb.Struct), both},
		{"a map", inside(1, join(inside(1, []byte("k")), inside(2, inside(3, []byte("v"))))), new(structpb.Struct), never},
		{"a single message inside", inside(8, inside(1, []byte("package"))), new(descriptorpb.FileDescriptorProto), never},
		{"a single message of another type inside", inside(8, field(1, protowire.VarintType, 7)), new(descriptorpb.FileDescriptorProto), both},
	} {
		for _, strict := range []bool{false, true} {
			c := codec{encoding: Protobuf}
			if strict {
				c.encoding = StrictProtobuf
			}
			m := proto.Clone(tt.m)
			err := c.decode(tt.payload, m, MaxElements)
			if want := tt.refused == both || tt.refused == strictly && strict; (err != nil) != want {
				t.Errorf("%s, strict %v: got %v, want an error: %v", tt.name, strict, err, want)
			}
		}
	}
}

// A type that the encoding cannot encode is found when the service is registered and when
// the call is made.
func TestTypesOfEncodings(t *testing.T) {
	stream := func(context.Context, *order) iter.Seq2[*receipt, error] { return nil }
	unary := func(context.Context, *order) (*receipt, error) { return nil, nil }
	for _, tt := range []struct {
		s    Service
		want string
	}{
		{Service{Methods: []Method{Unary(3, unary).Named("Buy")}}, "method 3 (Buy): rpc: wrong type: rpc.order is not a generated protobuf message; use the encoding JSON"},
		{Service{Methods: []Method{Stream(3, stream)}, Encoding: StrictProtobuf}, "method 3: rpc: wrong type: rpc.order is not"},
		{Service{Methods: []Method{Unary(3, func(context.Context, *text) (*order, error) { return nil, nil })}}, "rpc.order is not"},
		{Service{Methods: greeter.Methods, Encoding: JSON}, "google.protobuf.StringValue is a protobuf message; use the encoding Protobuf"},
		{Service{Methods: greeter.Methods, Encoding: 9}, "encoding 9 does not exist"},
		{Service{Methods: []Method{Unary(1, func(context.Context, *chan int) (*int, error) { return nil, nil })}, Encoding: JSON}, "chan int has no JSON"},
	} {
		tt.s.Protocol = "test/types/1"
		if err := tt.s.Validate(); !errors.Is(err, ErrBadService) || !errors.Is(err, ErrType) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
	d := &direct{Service: greeter}
	if _, err := Call[order, text](t.Context(), d.to(), 1, &order{}); !errors.Is(err, ErrType) || !strings.Contains(err.Error(), "rpc.order") {
		t.Errorf("got %v, want that the type does not fit", err)
	}
	for _, err := range Items[text, order](t.Context(), d.to(), 2, &text{}) {
		if !errors.Is(err, ErrType) || !strings.Contains(err.Error(), "rpc.order") {
			t.Errorf("got %v, want that the type does not fit", err)
		}
	}
	if got := fmt.Sprint(Protobuf, StrictProtobuf, JSON, StrictJSON, Encoding(9)); got != "protobuf strict protobuf JSON strict JSON encoding 9" {
		t.Errorf("got %q", got)
	}
}

// A service may have methods of bytes, whatever its encoding.
func TestBytes(t *testing.T) {
	for _, e := range []Encoding{Protobuf, StrictProtobuf, JSON, StrictJSON} {
		d := &direct{client: e, Service: Service{Protocol: "test/bytes/1", Encoding: e, Methods: []Method{
			UnaryBytes(1, func(_ context.Context, request []byte) ([]byte, error) {
				if len(request) == 0 {
					return nil, Errorf(NotFound, "nothing")
				}
				return append([]byte("got "), request...), nil
			}),
			StreamBytes(2, func(_ context.Context, request []byte) iter.Seq2[Bytes, error] {
				return func(yield func(Bytes, error) bool) {
					for i := range request {
						if !yield(request[i:i+1], nil) {
							return
						}
					}
				}
			}),
		}}}
		if got, err := CallBytes(t.Context(), d.to(), 1, []byte("ab")); err != nil || string(got) != "got ab" {
			t.Errorf("%s: got %q, %v", e, got, err)
		}
		if _, err := CallBytes(t.Context(), d.to(), 1, nil); !errors.Is(err, NotFound) || errors.Is(err, ErrType) {
			t.Errorf("%s: got %v, want not found", e, err)
		}
		var got []string
		for item, err := range ItemsBytes(t.Context(), d.to(), 2, []byte("abc")) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, string(item)); len(got) == 2 {
				break
			}
		}
		if strings.Join(got, " ") != "a b" {
			t.Errorf("%s: got %q, want the first two items", e, got)
		}
	}
}
