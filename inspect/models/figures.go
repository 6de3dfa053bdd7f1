package models

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Figure is one value of a section, with what a table, a page or a metric needs to show it.
type Figure struct {
	Path  string `json:"path"`  // names as in JSON, and numbers of elements, with dots: "server.most.0.bytes"
	Label string `json:"label"` // for people
	Unit  string `json:"unit"`  // one of the units below
	Rank  int    `json:"rank"`  // 1 is shown first, 3 only to those who look for it
	Value any    `json:"value"` // a boolean, text, list of texts, number or time

	Help   string `json:"help,omitempty"`   // what it is, in a sentence
	Metric string `json:"metric,omitempty"` // the metric that it is, or is part of
}

// The units of figures.
const (
	UnitText    = "text"
	UnitSwitch  = "switch" // true or false
	UnitTime    = "time"   // of the system's clock; zero: never
	UnitCount   = "count"
	UnitBytes   = "bytes"
	UnitMillis  = "ms"
	UnitSeconds = "s"
	UnitNanos   = "ns"
	UnitRatio   = "ratio" // 1 is all
	UnitScore   = "score" // of no fixed scale: more is better
)

// MaxFigures bounds the figures of one section: a list may have thousands of elements.
const MaxFigures = 10_000

// Figures returns the figures of a section, or of a part of one, in its order, at most [MaxFigures].
// The name and the type of a field give its label and its unit. Tags override these: label and unit, and
// rank, which is 2 without a tag. The tags help and metric are those of [MetricsOf]. A section of a program's own
// needs no tags.
func Figures(section any) []Figure {
	var all []Figure
	figures(&all, Figure{Rank: 2}, reflect.ValueOf(section))
	return all
}

// figures adds those of v, which f describes so far.
func figures(all *[]Figure, f Figure, v reflect.Value) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	element := func(name string, v reflect.Value) {
		g := f
		g.Path = strings.TrimPrefix(f.Path+"."+name, ".")
		g.Label = cmp.Or(f.Label, labelOf(name))
		figures(all, g, v)
	}
	switch {
	case !v.IsValid() || len(*all) >= MaxFigures: // nil: the node has no such thing
	case v.Type() == reflect.TypeFor[time.Time](), isText(v):
		leaf(all, f, v)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			member(all, f, v.Type().Field(i), v.Field(i))
		}
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Array:
		for i := range v.Len() {
			element(strconv.Itoa(i), v.Index(i))
		}
	case v.Kind() == reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
		for _, k := range keys {
			element(k.String(), v.MapIndex(k))
		}
	case v.CanInterface():
		leaf(all, f, v)
	}
}

// isText reports whether v is a list of texts, or bytes.
func isText(v reflect.Value) bool {
	return v.Kind() == reflect.Slice && (v.Type().Elem().Kind() == reflect.String || v.Type().Elem().Kind() == reflect.Uint8)
}

// member adds the figures of a field of a struct.
func member(all *[]Figure, f Figure, t reflect.StructField, v reflect.Value) {
	name, _, _ := strings.Cut(t.Tag.Get("json"), ",")
	if name == "-" || !t.IsExported() {
		return
	}
	if !t.Anonymous || name != "" {
		name = cmp.Or(name, t.Name)
		f.Path = strings.TrimPrefix(f.Path+"."+name, ".")
		f.Label, f.Unit = cmp.Or(t.Tag.Get("label"), labelOf(name)), cmp.Or(t.Tag.Get("unit"), unitOf(name))
		f.Help, f.Metric = t.Tag.Get("help"), ""
		if metric := t.Tag.Get("metric"); metric != "" && metric != "-" {
			f.Metric = metricPrefix + metric
		}
		if n, err := strconv.Atoi(t.Tag.Get("rank")); err == nil {
			f.Rank = n
		}
	}
	figures(all, f, v)
}

// leaf adds one figure.
func leaf(all *[]Figure, f Figure, v reflect.Value) {
	switch f.Value = v.Interface(); {
	case v.Type() == reflect.TypeFor[time.Time]():
		f.Unit = UnitTime
	case v.Type() == reflect.TypeFor[time.Duration]():
		f.Unit = UnitNanos
	case v.Kind() == reflect.Bool:
		f.Unit = UnitSwitch
	case v.Kind() == reflect.String, v.Kind() == reflect.Slice:
		f.Unit = UnitText
	default:
		f.Unit = cmp.Or(f.Unit, UnitCount)
	}
	*all = append(*all, f)
}

// labelOf returns the name of a field in words.
func labelOf(name string) string {
	text := strings.ReplaceAll(strings.TrimSuffix(strings.TrimSuffix(name, "_ms"), "_seconds"), "_", " ")
	if text == "" {
		return name
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// unitOf returns the unit that the words of a name say, "" for none.
func unitOf(name string) string {
	words := strings.Split(name, "_")
	switch last := words[len(words)-1]; {
	case last == "ms":
		return UnitMillis
	case last == "seconds":
		return UnitSeconds
	case slices.Contains(words, "bytes"):
		return UnitBytes
	}
	return ""
}
