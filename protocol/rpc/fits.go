package rpc

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gamelan-p2p/gamelan/internal/protofield"
)

// fits reports why a decoded message, whose payload had length bytes, was sent as a message
// of another type. It costs next to nothing unless a field is unknown: the decoder keeps
// with the unknown fields those whose wire type is wrong.
func fits(m protoreflect.Message, length int, strict bool) error {
	if unknown := m.GetUnknown(); len(unknown) > 0 {
		if err := fitUnknown(m.Descriptor(), unknown, strict); err != nil {
			return err
		}
		if len(unknown) == length && m.Descriptor().Fields().Len() > 0 {
			return fmt.Errorf("none of its fields is in the payload, which has %s", numbers(unknown))
		}
	}
	return nestedFit(m, strict)
}

// nestedFit checks the messages in m.
func nestedFit(m protoreflect.Message, strict bool) error {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Message() == nil || !m.Has(f) {
			continue
		}
		var err error
		check := func(v protoreflect.Value) bool {
			inner := v.Message()
			if unknown := inner.GetUnknown(); len(unknown) > 0 {
				err = fitUnknown(inner.Descriptor(), unknown, strict)
			}
			if err == nil {
				err = nestedFit(inner, strict)
			}
			return err == nil
		}
		v := m.Get(f)
		switch {
		case f.IsMap():
			if f.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { return check(v) })
			}
		case f.IsList():
			for list, j := v.List(), 0; j < list.Len() && check(list.Get(j)); j++ {
			}
		default:
			check(v)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
	}
	return nil
}

// fitUnknown checks the fields that the decoder did not take.
func fitUnknown(d protoreflect.MessageDescriptor, unknown []byte, strict bool) error {
	for len(unknown) > 0 {
		x, rest, err := protofield.Next(unknown)
		if err != nil {
			return errors.New("unknown fields do not decode")
		}
		unknown = rest
		switch f := d.Fields().ByNumber(x.Number); {
		case f == nil && strict:
			return fmt.Errorf("it has no field %d", x.Number)
		case f != nil && !takes(f, x.Type):
			return fmt.Errorf("field %d, %s, has wire type %d", x.Number, f.Name(), x.Type)
		}
	}
	return nil
}

// takes reports whether a field may come with this wire type.
func takes(f protoreflect.FieldDescriptor, typ protowire.Type) bool {
	if f.IsList() && packable(f) && typ == protowire.BytesType {
		return true
	}
	switch f.Kind() {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return typ == protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return typ == protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return typ == protowire.BytesType
	case protoreflect.GroupKind:
		return typ == protowire.StartGroupType
	}
	return typ == protowire.VarintType
}

// numbers lists the first few numbers of fields.
func numbers(fields []byte) string {
	var list []string
	for len(fields) > 0 {
		x, rest, err := protofield.Next(fields)
		if err != nil {
			break
		}
		fields = rest
		if len(list) == 8 {
			list = append(list, "…")
			break
		}
		list = append(list, fmt.Sprint(x.Number))
	}
	return "field " + strings.Join(list, ", ")
}
