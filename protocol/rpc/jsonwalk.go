package rpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// jsonWalk compares JSON, which is known to be valid, with a type, and counts what decoding
// it would make.
type jsonWalk struct {
	b      []byte // the rest
	strict bool   // see StrictJSON
	left   int    // objects, lists and elements that may still come
	self   bool   // in a value whose type decodes itself
	work   int    // bytes of objects and lists in such values, once for each level
}

// maxSelfWork bounds [jsonWalk].work: the largest request, four levels deep.
const maxSelfWork = 4 * MaxRequest

// maxPointers bounds pointers to pointers.
const maxPointers = 8

// value takes one value from the front.
func (w *jsonWalk) value(t *jsonType, depth int) error {
	if depth == 0 {
		return fmt.Errorf("%w: nested deeper than %d", ErrBudget, MaxDepth)
	}
	next := w.peek()
	if next == 'n' {
		if !t.null && (w.strict || depth == MaxDepth) {
			return fmt.Errorf("null in place of a %s", t.name)
		}
		w.scalar()
		return nil
	}
	for n := 0; t.shape == jsonPointer; n++ {
		if n == maxPointers {
			return fmt.Errorf("%s has too many pointers", t.name)
		}
		t = t.elem
	}
	if next == '{' || next == '[' {
		return w.container(next, t, depth)
	}
	if t.shape == jsonStruct || t.shape == jsonMap || t.shape == jsonList {
		return fmt.Errorf("a single value in place of a %s", t.name)
	}
	return w.single(t, w.scalar())
}

// container takes an object or a list. A type that decodes itself may read the whole text
// again at each level; so the levels count.
func (w *jsonWalk) container(next byte, t *jsonType, depth int) error {
	outside, length := w.self, len(w.b)
	w.self = w.self || t.self
	take := w.list
	if next == '{' {
		take = w.object
	}
	err := take(t, depth)
	if err == nil && w.self {
		if w.work += length - len(w.b); w.work > maxSelfWork {
			err = fmt.Errorf("%w: %d bytes of nested values that decode themselves", ErrBudget, w.work)
		}
	}
	w.self = outside
	return err
}

// single checks a string, a number, or true or false: what a type decodes by itself may take
// time by the square of its length.
func (w *jsonWalk) single(t *jsonType, text []byte) error {
	number := text[0] != '"'
	length := len(text)
	if t.rat { // its exponent is a number of digits
		length += exponent(text)
	}
	if (number || t.self) && length > MaxScalar {
		return fmt.Errorf("%w: a number, or a text for a %s, of more than %d bytes", ErrBudget, t.name, MaxScalar)
	}
	return nil
}

// exponent returns the size of the exponent of a number, at most MaxScalar+1.
func exponent(text []byte) (n int) {
	at := bytes.LastIndexAny(text, "eEpP")
	if at < 0 {
		return 0
	}
	for _, c := range text[at+1:] {
		if '0' <= c && c <= '9' {
			n = min(10*n+int(c-'0'), MaxScalar+1)
		}
	}
	return n
}

// anything is the type of what encoding/json has to check, or nobody.
var anything = &jsonType{name: "value", shape: jsonAny, null: true, length: -1}

func (w *jsonWalk) object(t *jsonType, depth int) error {
	if t.shape == jsonList {
		return fmt.Errorf("an object in place of a %s", t.name)
	}
	if err := w.spend(); err != nil {
		return err
	}
	var few [64]bool
	seen := few[:0:len(few)]
	if t.shape == jsonStruct {
		if seen = few[:]; len(t.names) > len(few) {
			seen = make([]bool, len(t.names))
		}
	}
	var names map[string]bool // that have come, but for those of a struct
	known, unknown, first := 0, 0, ""
	w.b = w.b[1:]
	for comma := false; w.peek() != '}'; comma = true {
		if comma {
			w.b = w.b[1:] // a comma
			w.peek()
		}
		name := w.scalar()
		w.peek()
		w.b = w.b[1:] // a colon
		if t.shape == jsonStruct {
			f, ok := t.fields[string(name[1:len(name)-1])]
			if !ok { // perhaps written with escapes
				plain, err := unquoted(name)
				if err != nil {
					return err
				}
				if f, ok = t.field(plain, w.strict); !ok {
					if w.strict {
						return noField(plain)
					}
					if unknown++; unknown == 1 {
						first = plain
					}
					if err := w.element(anything, depth); err != nil {
						return err
					}
					continue
				}
			}
			known++
			if seen[f.index] {
				return fmt.Errorf("the field %q comes twice", t.names[f.index])
			}
			seen[f.index] = true
			if err := w.value(f.typ, depth-1); err != nil {
				return fmt.Errorf("%s: %w", t.names[f.index], err)
			}
			continue
		}
		plain, err := unquoted(name)
		if err != nil {
			return err
		}
		if t.keys && len(name) > MaxScalar {
			return fmt.Errorf("%w: a name of more than %d bytes", ErrBudget, MaxScalar)
		}
		key := plain
		if t.number {
			key = sameNumber(plain)
		}
		if names[key] {
			return fmt.Errorf("the name %.64q comes twice", plain)
		}
		if names == nil {
			names = make(map[string]bool)
		}
		names[key] = true
		typ := anything
		if t.shape == jsonMap {
			typ = t.elem
		}
		if err := w.element(typ, depth); err != nil {
			return err
		}
	}
	w.b = w.b[1:]
	if t.shape == jsonStruct {
		if known == 0 && unknown > 0 && depth == MaxDepth && len(t.names) > 0 {
			return noField(first) // another message altogether
		}
		for i, name := range t.names {
			if !seen[i] && t.fields[name].required && w.strict {
				return fmt.Errorf("the field %q is missing", name)
			}
		}
	}
	return nil
}

func noField(name string) error { return fmt.Errorf("it has no field %.64q", name) }

// field returns the field of that name. encoding/json finds one, too, whose name differs in case
// only; strict does not.
func (t *jsonType) field(name string, strict bool) (f jsonField, ok bool) {
	if f, ok = t.fields[name]; ok || strict {
		return f, ok
	}
	for _, n := range t.names {
		if strings.EqualFold(n, name) {
			return t.fields[n], true
		}
	}
	return f, false
}

// unquoted returns the text of a JSON string.
func unquoted(b []byte) (text string, err error) {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b[1 : len(b)-1]), nil
	}
	err = json.Unmarshal(b, &text)
	return text, err
}

// sameNumber returns one text for all that encoding/json takes for the same number.
func sameNumber(text string) string {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return strconv.FormatInt(i, 10)
	}
	if u, err := strconv.ParseUint(text, 10, 64); err == nil {
		return strconv.FormatUint(u, 10)
	}
	return text
}

func (w *jsonWalk) list(t *jsonType, depth int) error {
	if t.shape == jsonStruct || t.shape == jsonMap {
		return fmt.Errorf("a list in place of a %s", t.name)
	}
	if err := w.spend(); err != nil {
		return err
	}
	elem := anything
	if t.shape == jsonList {
		elem = t.elem
	}
	w.b = w.b[1:]
	n := 0
	for ; w.peek() != ']'; n++ {
		if n > 0 {
			w.b = w.b[1:] // a comma
		}
		if err := w.element(elem, depth); err != nil {
			return err
		}
	}
	w.b = w.b[1:]
	if t.length >= 0 && n != t.length {
		return fmt.Errorf("a list of %d in place of a %s", n, t.name)
	}
	return nil
}

// element takes a value of a list or a map. Objects and lists count by themselves.
func (w *jsonWalk) element(t *jsonType, depth int) error {
	if next := w.peek(); next != '{' && next != '[' {
		if err := w.spend(); err != nil {
			return err
		}
	}
	return w.value(t, depth-1)
}

func (w *jsonWalk) spend() error {
	if w.left--; w.left < 0 {
		return fmt.Errorf("%w: too many elements", ErrBudget)
	}
	return nil
}

// peek skips space and returns the byte behind it.
func (w *jsonWalk) peek() byte {
	for w.b[0] <= ' ' {
		w.b = w.b[1:]
	}
	return w.b[0]
}

// scalar takes a string, a number, true, false or null.
func (w *jsonWalk) scalar() []byte {
	n := 1
	if w.b[0] == '"' {
		for ; w.b[n] != '"'; n++ {
			if w.b[n] == '\\' {
				n++
			}
		}
		n++
	} else {
		for n < len(w.b) && strings.IndexByte(",]} \t\r\n", w.b[n]) < 0 {
			n++
		}
	}
	taken := w.b[:n]
	w.b = w.b[n:]
	return taken
}
