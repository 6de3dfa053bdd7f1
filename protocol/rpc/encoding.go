package rpc

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/gamelan-p2p/gamelan/internal/words"
)

// Encoding says how the messages of a service become bytes. Service and client must use
// the same one; the wire does not carry it. Methods of bytes, such as [UnaryBytes], do not
// depend on it.
//
// A message of another type than its receiver wants is an error that matches [ErrType], as
// far as the bytes show it: each encoding says what they show.
type Encoding uint8

const (
	// Protobuf is the encoding of generated protobuf messages, and that of Tari's services.
	// It is the default. A field whose wire type is not that of the receiver's message is an
	// error, and so is a payload of which the receiver's message knows no field, because the
	// message would be empty. Other unknown fields are ignored, so that a newer peer may send
	// more fields. Messages with equal numbers and wire types are not told apart, and an
	// empty payload is a message of any type whose fields all have their default.
	Protobuf Encoding = iota
	// StrictProtobuf is Protobuf without unknown fields: each is an error. Client and
	// service must then be of the same schema.
	StrictProtobuf
	// JSON is the encoding of plain Go types, as package encoding/json writes and reads them: an
	// unknown name is ignored, and a missing field is zero, so that peers of other releases may know
	// more or fewer fields. An error is a name that comes twice, a list of another length than its
	// array, and a message of whose names the receiver's type knows none. A number, and a string for
	// a type that decodes itself, has at most [MaxScalar] bytes. Inside of a type that decodes itself,
	// objects and lists have at most 24 MiB, counted again at each level. Such a type must end in
	// bounded time: a decoder cannot be stopped.
	JSON
	// StrictJSON is JSON that must fit the type: an unknown name is an error, also one that differs in
	// case only, and so is a missing field, unless its tag has omitempty or omitzero. Null is accepted
	// only for pointers, slices, maps, interfaces, and types that decode themselves.
	StrictJSON
)

func (e Encoding) json() bool { return e == JSON || e == StrictJSON }

// String returns the name of the encoding.
func (e Encoding) String() string {
	switch e {
	case Protobuf:
		return "protobuf"
	case StrictProtobuf:
		return "strict protobuf"
	case JSON:
		return "JSON"
	case StrictJSON:
		return "strict JSON"
	}
	return fmt.Sprintf("encoding %d", uint8(e))
}

// ErrType reports a message that is not of the type which its receiver wants, or a type
// that the encoding cannot encode. The error of a call names the type of the request and
// the type that the service wants, or the type of the answer that the caller wants.
var ErrType = errors.New("rpc: wrong type")

// codec encodes and decodes messages of one Go type.
type codec struct {
	encoding Encoding
	typ      *jsonType // of JSON and StrictJSON
}

// codecOf returns the codec for pointers to T.
func codecOf[T any](e Encoding) (codec, error) {
	_, isMessage := any((*T)(nil)).(proto.Message)
	switch {
	case e > StrictJSON:
		return codec{}, fmt.Errorf("%w: %s does not exist; use Protobuf, StrictProtobuf, JSON or StrictJSON", ErrType, e)
	case !e.json() && !isMessage:
		return codec{}, fmt.Errorf("%w: %s is not a generated protobuf message; use the encoding JSON for plain Go types", ErrType, typeName[T]())
	case e.json() && isMessage:
		return codec{}, fmt.Errorf("%w: %s is a protobuf message; use the encoding Protobuf", ErrType, typeName[T]())
	case !e.json():
		return codec{encoding: e}, nil
	}
	typ, err := jsonTypeOf(reflect.TypeFor[T]())
	if err != nil {
		return codec{}, fmt.Errorf("%w: %s has no JSON: %w", ErrType, typeName[T](), err)
	}
	return codec{e, typ}, nil
}

// append appends the encoded message; m is a pointer.
func (c codec) append(dst []byte, m any) ([]byte, error) {
	if c.encoding.json() {
		return appendJSON(dst, m)
	}
	return proto.MarshalOptions{}.MarshalAppend(dst, m.(proto.Message))
}

// decode decodes a payload into m, a pointer to a zero value, within the budget of
// [MaxElements] and [MaxDepth]. A payload of another type is an error.
func (c codec) decode(payload []byte, m any, elements int) error {
	if c.encoding.json() {
		return decodeJSON(payload, m, c.typ, elements, c.encoding == StrictJSON)
	}
	message := m.(proto.Message)
	if err := decode(payload, message, elements); err != nil {
		return err
	}
	return fits(message.ProtoReflect(), len(payload), c.encoding == StrictProtobuf)
}

// typeName returns the name of T for errors: the full name of a protobuf message, or that
// of a Go type.
func typeName[T any]() string {
	if m, ok := any((*T)(nil)).(proto.Message); ok {
		return string(m.ProtoReflect().Descriptor().FullName())
	}
	return reflect.TypeFor[T]().String()
}

// plain returns the text of an error without the prefixes of packages, cut as a peer's text
// is: it may quote what a peer sent.
func plain(err error) string {
	text := err.Error()
	for _, prefix := range []string{"rpc: ", "json: ", "payload does not decode: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return words.Details([]byte(text), MaxDetails)
}
