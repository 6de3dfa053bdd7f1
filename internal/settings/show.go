package settings

import (
	"maps"
	"reflect"
)

// Value is one setting as it is shown: its value in JSON and its source. The field Value is
// nil if the default is not a fixed value; Dynamic then has it in words.
type Value struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
	Origin
	Dynamic string `json:"dynamic,omitempty"`
	Reload  bool   `json:"reload"`
}

// Text returns the value as in a file, or in words.
func (v Value) Text() string {
	if v.Value == nil {
		return "(" + v.Dynamic + ")"
	}
	return TOML(v.Value)
}

// Values returns all settings with their present values.
func (l *Loaded[C]) Values() []Value {
	all := make([]Value, len(l.table.Rows))
	for i, r := range l.table.Rows {
		all[i] = l.Value(r)
	}
	return all
}

// Value returns one setting with its present value.
func (l *Loaded[C]) Value(r *Row) Value {
	v := Value{Key: r.Key, Origin: l.Origin(r.Key), Reload: r.Reload}
	switch {
	case v.Origin.Kind != "default":
		v.Value = r.Masked(r.get(&l.Config))
	case r.Dynamic != "":
		v.Dynamic = r.Dynamic
	default:
		v.Value = r.form(r.def)
	}
	return v
}

// Change is a setting in which two loads differ.
type Change struct {
	Setting  *Row
	Old, New Value
}

// Changes lists the settings whose values differ.
func Changes[C any](old, now *Loaded[C]) []Change {
	var all []Change
	for _, r := range old.table.Rows {
		a, b := old.Value(r), now.Value(r)
		if a.Text() != b.Text() || r.Secret && r.get(&old.Config) != r.get(&now.Config) {
			all = append(all, Change{r, a, b})
		}
	}
	return all
}

// Take sets the value of a setting in l to that in now.
func (l *Loaded[C]) Take(now *Loaded[C], r *Row) {
	if o, ok := now.origins[r.Key]; ok {
		l.origins[r.Key] = o
	} else {
		delete(l.origins, r.Key)
	}
	reflect.ValueOf(r.at(&l.Config)).Elem().Set(reflect.ValueOf(r.at(&now.Config)).Elem())
}

// Clone returns a copy that Take does not change, unless the setting is behind a pointer of C.
func (l *Loaded[C]) Clone() *Loaded[C] {
	c := *l
	c.origins = maps.Clone(l.origins)
	return &c
}
