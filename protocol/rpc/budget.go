package rpc

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gamelan-p2p/gamelan/internal/protofield"
)

// ErrBudget reports a payload with more messages and repeated elements, or deeper
// nesting, than the decode budget allows. It is the sender's fault.
var ErrBudget = errors.New("rpc: payload over the decode budget")

// decode decodes a payload into m, after it has counted how much that would allocate
// (V 20).
func decode(payload []byte, m proto.Message, elements int) error {
	// An element takes at least a byte.
	if len(payload) > elements {
		left := elements
		if err := count(payload, m.ProtoReflect().Descriptor(), MaxDepth, &left); err != nil {
			return err
		}
	}
	err := proto.UnmarshalOptions{RecursionLimit: MaxDepth}.Unmarshal(payload, m)
	if err != nil {
		return fmt.Errorf("rpc: payload does not decode: %w", err)
	}
	return nil
}

// count subtracts from left the messages and elements that decoding b as d would
// make. It ignores errors: the decoder reports them.
func count(b []byte, d protoreflect.MessageDescriptor, depth int, left *int) error {
	if depth == 0 {
		return fmt.Errorf("%w: nested deeper than %d", ErrBudget, MaxDepth)
	}
	for len(b) > 0 {
		x, rest, err := protofield.Next(b)
		if err != nil {
			return nil //nolint:nilerr // the decoder reports it
		}
		b = rest
		f := d.Fields().ByNumber(x.Number)
		if f == nil {
			continue
		}
		message := f.Message() != nil
		switch {
		case message || f.IsList() && (x.Type != protowire.BytesType || !packable(f)):
			*left--
		case f.IsList():
			*left -= packed(x.Bytes, f.Kind())
		}
		if *left < 0 {
			return fmt.Errorf("%w: too many elements", ErrBudget)
		}
		if message && x.Type == protowire.BytesType {
			if err := count(x.Bytes, f.Message(), depth-1, left); err != nil {
				return err
			}
		}
	}
	return nil
}

func packable(f protoreflect.FieldDescriptor) bool {
	switch f.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind, protoreflect.GroupKind:
		return false
	}
	return true
}

// packed returns how many numbers a packed field holds.
func packed(b []byte, k protoreflect.Kind) int {
	switch k {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return len(b) / 4
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return len(b) / 8
	}
	n := 0
	for _, c := range b {
		if c < 0x80 { // the last byte of a number
			n++
		}
	}
	return n
}
