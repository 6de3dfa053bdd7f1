package settings

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Kind is the kind of a setting's value.
type Kind string

// The kinds of values.
const (
	Text     Kind = "text"             // a string
	Path     Kind = "path"             // a string, absolute in a file
	Choice   Kind = "choice"           // one of Row.Choices
	Switch   Kind = "switch"           // true or false
	Count    Kind = "count"            // a whole number
	Size     Kind = "size"             // bytes with a unit: "1MiB"
	Duration Kind = "duration"         // with a unit: "30s"
	Addrs    Kind = "list of addrs"    // multiaddrs
	Seeds    Kind = "list of peers"    // KEY::ADDRESS
	Networks Kind = "list of networks" // 10.0.0.0/8
	Ranges   Kind = "list of ranges"   // of multiaddrs, see protocol.ParseAddressRange
	Peers    Kind = "list of public keys"
	Types    Kind = "list of message types" // whole numbers of 32 bits
	DNSNames Kind = "list of DNS names"
	Codes    Kind = "list of codes" // of package inspect/codes
)

// Row is one setting of a struct.
type Row struct {
	Key     string // "mux.window", as in the file; "data_dir" is above all sections
	Kind    Kind
	Field   string // its name in the struct: "Mux.Window"
	Go      string // the field of package gamelan that a program sets, "" for none
	Doc     string // what it does, in sentences
	Example string // a value as in the file
	Least   int64  // least Count, Size in bytes or Duration in nanoseconds
	Most    int64  // greatest value of these, or length of a list or a Text in bytes; 0: no limit
	Choices []string
	Options

	at  func(root any) any // returns a pointer to the field, nil if there is none now
	def any                // points to the default, a value of the type of the field
}

// Options are the rest of a row, which few rows set.
type Options struct {
	Flag    string                       // its flag, if that is not the key with dashes
	Dynamic string                       // the default in words, if it is no fixed value
	Names   []string                     // words that may stand in place of an Addrs
	Hint    string                       // where the address of one of Seeds comes from
	Secret  bool                         // what follows an equals sign is never shown
	Hidden  bool                         // nothing of it is ever shown
	Form    string                       // what is expected, in words; empty: what follows from the rest
	Valid   func(string) error           // refuses a Text
	IsFile  func(string) bool            // whether a Choice names a file instead, which Open checks
	Open    func(path string) error      // the error may be Problems of the file
	Reload  bool                         // a running node applies a change on HUP
	Not     bool                         // the field of this Switch says the opposite
	Zero    int64                        // what a Count of 0 in a file stands for
	Parse   func(string) (string, error) // reads a Choice that may be spelt in several ways
	Refuse  func(int64) error            // refuses one entry of Types
	// RefuseText refuses one entry of Codes, and says why.
	RefuseText func(string) error

	// FileLeast says that Least holds for files and flags alone. A program may set less, but
	// nothing negative. It is so for every Duration that is not Strict.
	FileLeast, Strict bool

	FileMost bool // Most holds for files and flags alone, as it does for every Text

	// Package says that the package of the field fills in the default, because it has to know
	// whether the field was set.
	Package bool
}

// With sets the options of a row.
func (r *Row) With(o Options) *Row {
	o.FileLeast = o.FileLeast || r.FileLeast && !o.Strict
	r.Options = o
	return r
}

// row returns a row; at returns the field's place in an S.
func row[S, T any](key string, kind Kind, at func(*S) *T, def T, example string) *Row {
	s := new(S)
	return &Row{
		Key: key, Kind: kind, Example: example, Field: fieldAt(reflect.ValueOf(s).Elem(), reflect.ValueOf(at(s)).Pointer()),
		at: func(root any) any { return at(root.(*S)) }, def: &def,
	}
}

// Number returns the row of a Duration, of a Size for an int64 or uint32, or of a Count.
func Number[S any, T ~int | ~int64 | ~uint32](key string, at func(*S) *T, def, least, most T, example string) *Row {
	kind := Size
	switch any(def).(type) {
	case int:
		kind = Count
	case time.Duration:
		kind = Duration
	}
	r := row(key, kind, at, def, example)
	r.Least, r.Most, r.FileLeast = int64(least), int64(most), kind == Duration
	return r
}

// Bytes returns the row of a Size that is kept in an int.
func Bytes[S any](key string, at func(*S) *int, def, least, most int, example string) *Row {
	r := Number(key, at, def, least, most, example)
	r.Kind = Size
	return r
}

// On returns the row of a Switch whose example is true.
func On[S any](key string, at func(*S) *bool) *Row { return row(key, Switch, at, false, "true") }

// Words returns the row of a Text of at most most bytes.
func Words[S any](key string, at func(*S) *string, def string, most int, example string) *Row {
	r := row(key, Text, at, def, example)
	r.Most = int64(most)
	return r
}

// Dir returns the row of a Path.
func Dir[S any](key string, at func(*S) *string, example string) *Row {
	return row(key, Path, at, "", example)
}

// OneOf returns the row of a Choice.
func OneOf[S, T any](key string, at func(*S) *T, def T, choices []string, example string) *Row {
	r := row(key, Choice, at, def, example)
	r.Choices = choices
	return r
}

// List returns the row of a list with at most most entries.
func List[S, T any](key string, kind Kind, at func(*S) *[]T, most int, example string) *Row {
	r := row(key, kind, at, nil, example)
	r.Most = int64(most)
	return r
}

// In returns the rows of an I for an O, in which in finds it or returns nil; field is its name
// there, empty for an embedded one.
func In[O, I any](field string, in func(*O) *I, rows ...*Row) []*Row {
	all := make([]*Row, len(rows))
	for i, r := range rows {
		c := *r
		c.Field = strings.TrimPrefix(field+"."+r.Field, ".")
		c.at = func(root any) any {
			if inner := in(root.(*O)); inner != nil {
				return r.at(inner)
			}
			return nil
		}
		all[i] = &c
	}
	return all
}

// fieldAt returns the path of the field at an address in a struct, or "".
func fieldAt(v reflect.Value, address uintptr) string {
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if f.Kind() == reflect.Struct {
			if inner := fieldAt(f, address); inner != "" {
				return name + "." + inner
			}
		}
		if f.Addr().Pointer() == address {
			return name
		}
	}
	return ""
}

// At returns a pointer to the field of a struct, nil if it has none now.
func (r *Row) At(root any) any { return r.at(root) }

// Fill sets the fields of a struct that are zero to their defaults.
func Fill(root any, rows []*Row) {
	for _, r := range rows {
		if p := r.at(root); p != nil && !r.Package {
			if v := reflect.ValueOf(p).Elem(); v.IsZero() {
				v.Set(reflect.ValueOf(r.def).Elem())
			}
		}
	}
}

// Check returns an error about the field of a struct that a program has filled in, without the
// name of the field. What the package of a field checks itself is left to it.
func (r *Row) Check(root any) error {
	p := r.at(root)
	if p == nil || r.Package {
		return nil
	}
	v := reflect.ValueOf(p).Elem()
	switch r.Kind {
	case Count, Size, Duration:
		if !v.IsZero() { // there is no default
			return r.checkNumber(number(v))
		}
	case Choice:
		text := v.String()
		if r.names(text) {
			return nil
		}
		if r.Parse != nil {
			_, err := r.Parse(text)
			return err
		}
		if text != "" && !slices.Contains(r.Choices, text) {
			last := len(r.Choices) - 1
			return fmt.Errorf("%q is none of %s and %s", text, strings.Join(r.Choices[:last], ", "), r.Choices[last])
		}
	}
	if r.List() && !r.FileMost && int64(v.Len()) > r.Most {
		return fmt.Errorf("%d entries, at most %d; leave some out", v.Len(), r.Most)
	}
	return nil
}

// names reports whether a value of a Choice is the path of a file.
func (r *Row) names(text string) bool { return r.IsFile != nil && r.IsFile(text) }

func (r *Row) checkNumber(n int64) error {
	switch {
	case n < 0 && r.Least >= 0:
		return errors.New("is negative; leave it 0 for the default")
	case n < r.Least && !r.FileLeast || n < 0 && n < r.Least:
		return fmt.Errorf("%v is below %v; raise it", r.amount(n), r.amount(r.Least))
	case n > r.Most && !r.FileMost:
		return fmt.Errorf("%v is above %v; lower it", r.amount(n), r.amount(r.Most))
	}
	return nil
}

// amount returns a number in the form for programs.
func (r *Row) amount(n int64) any {
	if r.Kind == Duration {
		return time.Duration(n)
	}
	return n
}

func number(v reflect.Value) int64 {
	if v.CanUint() {
		return int64(v.Uint())
	}
	return v.Int()
}

// Section returns the part of the key before the dot, or "" above all sections.
func (r *Row) Section() string {
	section, _, found := strings.Cut(r.Key, ".")
	if !found {
		return ""
	}
	return section
}

// Name returns the part of the key after the dot.
func (r *Row) Name() string { return r.Key[strings.LastIndexByte(r.Key, '.')+1:] }

// Variable returns the environment variable of the setting: GAMELAN_MUX_WINDOW.
func (r *Row) Variable() string {
	return "GAMELAN_" + strings.ToUpper(strings.ReplaceAll(r.Key, ".", "_"))
}

// FlagName returns the flag of the setting without the leading dashes.
func (r *Row) FlagName() string {
	return cmp.Or(r.Flag, strings.NewReplacer(".", "-", "_", "-").Replace(r.Key))
}

// List reports whether the value is a list.
func (r *Row) List() bool { return lists[r.Kind] != "" }

// Before returns rows with more of them before the one of a key.
func Before(rows []*Row, key string, more ...*Row) []*Row {
	i := slices.IndexFunc(rows, func(r *Row) bool { return r.Key == key })
	return slices.Insert(rows, i, more...)
}
