package config

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
	return inTOML(v.Value)
}

// Values returns all settings with their present values.
func (l *Loaded) Values() []Value {
	all := make([]Value, len(Settings))
	for i := range Settings {
		all[i] = l.Value(&Settings[i])
	}
	return all
}

// Value returns one setting with its present value.
func (l *Loaded) Value(s *Setting) Value {
	v := Value{Key: s.Key, Origin: l.Origin(s.Key), Reload: s.Reload}
	switch {
	case v.Origin.Kind != "default":
		v.Value = s.masked(s.get(&l.Config))
	case s.Dynamic != "":
		v.Dynamic = s.Dynamic
	default:
		v.Value = s.get(defaults())
	}
	return v
}

// Change is a setting in which two loads differ.
type Change struct {
	Setting  *Setting
	Old, New Value
}

// Changes lists the settings whose values differ.
func Changes(old, now *Loaded) []Change {
	var all []Change
	for i := range Settings {
		s := &Settings[i]
		a, b := old.Value(s), now.Value(s)
		if a.Text() != b.Text() || s.Secret && s.get(&old.Config) != s.get(&now.Config) {
			all = append(all, Change{s, a, b})
		}
	}
	return all
}

// Take sets the value of a setting in l to that in now.
func (l *Loaded) Take(now *Loaded, s *Setting) {
	if o, ok := now.origins[s.Key]; ok {
		l.origins[s.Key] = o
	} else {
		delete(l.origins, s.Key)
	}
	reflect.ValueOf(s.at(&l.Config)).Elem().Set(reflect.ValueOf(s.at(&now.Config)).Elem())
}

// Clone returns a copy that Take does not change.
func (l *Loaded) Clone() *Loaded {
	c := *l
	c.origins = maps.Clone(l.origins)
	return &c
}
