package settings

import (
	"cmp"
	"slices"
	"strings"
)

// Table are all settings of one struct, in the order of the file.
type Table struct {
	Rows     []*Row
	Sections []Section
	Program  string            // the name of the command that reads the settings
	Verb     string            // of that command, which writes such a file; empty: config init
	Example  string            // the key of the setting for examples in problems without a setting
	Words    map[string]string // what stands for names in errors of the struct that are no fields
	Fault    Fault
	Rest     bool // sections that the table does not have are left to the program
}

// Section is a section of the file, with a line about its settings.
type Section struct{ Name, Doc string }

// Fault returns the field that an error of the struct is about, and what is wrong with it. ok is
// false for other errors.
type Fault func(error) (field string, cause error, ok bool)

// Find returns the setting of a key.
func (t *Table) Find(key string) (*Row, bool) {
	i := slices.IndexFunc(t.Rows, func(r *Row) bool { return r.Key == key })
	if i < 0 {
		return nil, false
	}
	return t.Rows[i], true
}

func (t *Table) isSection(name string) bool {
	return slices.ContainsFunc(t.Sections, func(s Section) bool { return s.Name == name })
}

// example returns the example of a problem without a setting.
func (t *Table) example() string {
	r, _ := t.Find(t.Example)
	return r.FileExample()
}

// writer returns the command that writes such a file.
func (t *Table) writer() string { return t.Program + " " + cmp.Or(t.Verb, "config init") }

// keys describes the keys that a file may have.
func (t *Table) keys() string {
	if len(t.Sections) > 0 {
		return "one that " + t.writer() + " lists"
	}
	names := make([]string, len(t.Rows))
	for i, r := range t.Rows {
		names[i] = r.Key
	}
	return "one of " + strings.Join(names, ", ")
}
