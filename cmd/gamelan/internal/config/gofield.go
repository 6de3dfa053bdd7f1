package config

import "reflect"

// GoField returns the field of package gamelan that the setting sets, such as
// "Config.Mux.Window". It returns "" for a setting of the command alone, and for one that a
// program does not set by one field.
func (s *Setting) GoField() string {
	c := new(Config)
	field := reflect.ValueOf(s.at(c)).Pointer()
	for _, in := range []struct {
		name  string
		value any
	}{{"Config", &c.Node}, {"Config.DHT", &c.DHT}, {"InboxConfig", &c.Inbox}} {
		if name := fieldAt(reflect.ValueOf(in.value).Elem(), field); name != "" {
			return in.name + name
		}
	}
	return ""
}

// fieldAt returns the path of the field at an address in a struct, with a dot before each
// name, or "".
func fieldAt(v reflect.Value, address uintptr) string {
	for i := range v.NumField() {
		f, name := v.Field(i), "."+v.Type().Field(i).Name
		if f.Kind() == reflect.Struct {
			if inner := fieldAt(f, address); inner != "" {
				return name + inner
			}
		}
		if f.Addr().Pointer() == address {
			return name
		}
	}
	return ""
}
