package config

import (
	"maps"
	"reflect"
)

// Value is one setting as it is shown: its value in JSON and where it comes
// from. Value is nil where the default is not a fixed value; Dynamic then says
// what it is.
type Value struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
	Origin
	Dynamic string `json:"dynamic,omitempty"`
	Reload  bool   `json:"reload"`
}

// Text is the value as it stands in a file, or in words.
func (v Value) Text() string {
	if v.Value == nil {
		return "(" + v.Dynamic + ")"
	}
	return inTOML(v.Value)
}

// Values lists all settings with the values that hold.
func (l *Loaded) Values() []Value {
	all := make([]Value, len(Settings))
	for i := range Settings {
		all[i] = l.Value(&Settings[i])
	}
	return all
}

// Value is one setting with the value that holds.
func (l *Loaded) Value(s *Setting) Value {
	v := Value{Key: s.Key, Origin: l.Origin(s.Key), Reload: s.Reload}
	switch {
	case v.Origin.Kind != "default":
		v.Value = s.get(&l.Config)
	case s.Dynamic != "":
		v.Dynamic = s.Dynamic
	default:
		v.Value = s.get(defaults())
	}
	return v
}

// Change is a setting that two loads differ in.
type Change struct {
	Setting  *Setting
	Old, New Value
}

// Changes lists the settings whose values differ.
func Changes(old, now *Loaded) []Change {
	var all []Change
	for i := range Settings {
		s := &Settings[i]
		if a, b := old.Value(s), now.Value(s); a.Text() != b.Text() {
			all = append(all, Change{s, a, b})
		}
	}
	return all
}

// Take gives l the value that a key has in now.
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
