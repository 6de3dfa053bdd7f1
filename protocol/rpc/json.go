package rpc

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

func appendJSON(dst []byte, m any) ([]byte, error) {
	if reflect.ValueOf(m).IsNil() {
		return nil, fmt.Errorf("%w: nil %T", ErrType, m)
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return append(dst, b...), nil
}

// decodeJSON decodes a payload into m, which is a pointer to a value of type t, and replaces
// what it has.
func decodeJSON(payload []byte, m any, t *jsonType, elements int, strict bool) error {
	if !utf8.Valid(payload) || !json.Valid(payload) {
		return errors.New("it is not JSON")
	}
	w := jsonWalk{b: payload, left: elements, strict: strict}
	if err := w.value(t, MaxDepth); err != nil {
		return err
	}
	reflect.ValueOf(m).Elem().SetZero() // an answer may come again
	return json.Unmarshal(payload, m)
}

// jsonType is what the JSON of a Go type looks like, as far as encoding/json does not insist
// on it by itself.
type jsonType struct {
	name   string
	shape  shape
	null   bool                 // null is a value of the type
	elem   *jsonType            // of jsonPointer, jsonList and jsonMap
	number bool                 // the names of a jsonMap are numbers
	self   bool                 // the type decodes itself, in its own time
	keys   bool                 // the names of a jsonMap decode themselves
	rat    bool                 // a big.Rat
	length int                  // of an array; -1: any
	fields map[string]jsonField // of jsonStruct
	names  []string             // of the fields, by index
}

type jsonField struct {
	typ      *jsonType
	index    int  // among the fields of the struct
	required bool // it may not be missing
}

type shape uint8

const (
	jsonLeaf shape = iota // encoding/json checks it
	jsonAny               // anything: an interface, or a type that decodes itself
	jsonPointer
	jsonStruct
	jsonMap
	jsonList
)

var (
	jsonTypes sync.Map // by reflect.Type

	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	rawMessage      = reflect.TypeFor[json.RawMessage]() // copies its bytes
	rational        = reflect.TypeFor[big.Rat]()
)

// jsonTypeOf returns the description of a Go type. An error says what JSON cannot express.
func jsonTypeOf(t reflect.Type) (*jsonType, error) {
	if j, ok := jsonTypes.Load(t); ok {
		return j.(*jsonType), nil
	}
	b := jsonBuilder{}
	j, err := b.of(t)
	if err != nil {
		return nil, err
	}
	jsonTypes.Store(t, j)
	return j, nil
}

// jsonBuilder holds the types that are known, also those being described: a type may
// contain itself.
type jsonBuilder map[reflect.Type]*jsonType

func (b jsonBuilder) of(t reflect.Type) (*jsonType, error) {
	if j, ok := b[t]; ok {
		return j, nil
	}
	j := &jsonType{name: t.String(), length: -1}
	b[t] = j
	if p := reflect.PointerTo(t); p.Implements(unmarshaler) {
		j.shape, j.null, j.self = jsonAny, true, t != rawMessage
		return j, nil
	} else if p.Implements(textUnmarshaler) {
		j.self, j.rat = true, t == rational
		return j, nil
	}
	var err error
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return nil, fmt.Errorf("%s cannot be encoded", t)
	case reflect.Pointer:
		j.shape, j.null = jsonPointer, true
		j.elem, err = b.of(t.Elem())
	case reflect.Interface:
		j.shape, j.null = jsonAny, true
	case reflect.Slice:
		j.null = true
		if t.Elem().Kind() == reflect.Uint8 && !reflect.PointerTo(t.Elem()).Implements(unmarshaler) && !reflect.PointerTo(t.Elem()).Implements(textUnmarshaler) {
			break // base64
		}
		j.shape = jsonList
		j.elem, err = b.of(t.Elem())
	case reflect.Array:
		j.shape, j.length = jsonList, t.Len()
		j.elem, err = b.of(t.Elem())
	case reflect.Map:
		j.shape, j.null = jsonMap, true
		j.keys = reflect.PointerTo(t.Key()).Implements(textUnmarshaler)
		j.number = t.Key().Kind() != reflect.String && !j.keys
		j.elem, err = b.of(t.Elem())
	case reflect.Struct:
		j.shape, j.fields = jsonStruct, make(map[string]jsonField)
		err = b.structure(j, t)
	}
	return j, err
}

// structure adds the fields of a struct, as encoding/json finds them: those of an embedded
// struct count as fields of the outer one, unless the outer one has a field of that name.
func (b jsonBuilder) structure(j *jsonType, t reflect.Type) error {
	var embedded []reflect.StructField
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case tag == "-":
			continue
		case f.Anonymous && name == "" && indirect(f.Type).Kind() == reflect.Struct:
			embedded = append(embedded, f)
			continue
		case !f.IsExported():
			continue
		case name == "":
			name = f.Name
		}
		typ, err := b.of(f.Type)
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		if _, ok := j.fields[name]; ok {
			return fmt.Errorf("two fields have the name %q", name)
		}
		set := strings.Split(options, ",")
		if slices.Contains(set, "string") {
			typ = &jsonType{name: typ.name, length: -1, null: typ.null}
		}
		j.add(name, typ, !slices.Contains(set, "omitempty") && !slices.Contains(set, "omitzero"))
	}
	own := maps.Clone(j.fields)
	for _, f := range embedded {
		if f.Type.Kind() == reflect.Pointer {
			return fmt.Errorf("it embeds %s; embed the struct itself, or give the field a name", f.Type)
		}
		inner := &jsonType{fields: make(map[string]jsonField)}
		if err := b.structure(inner, f.Type); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(inner.fields)) {
			if _, ok := own[name]; ok {
				continue
			}
			if _, ok := j.fields[name]; ok {
				return fmt.Errorf("two embedded structs have the field %q", name)
			}
			field := inner.fields[name]
			j.add(name, field.typ, field.required)
		}
	}
	return nil
}

func (j *jsonType) add(name string, typ *jsonType, required bool) {
	j.fields[name] = jsonField{typ, len(j.names), required}
	j.names = append(j.names, name)
}

func indirect(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}
