package models

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

// cache is a section of a program's own.
type cache struct {
	Name     string `json:"name"`
	MaxBytes int64  `json:"max_bytes" rank:"1"`
	Hits     uint64
	hidden   int
	Part     float64            `json:"part" unit:"ratio" label:"Full"`
	Took     time.Duration      `json:"took"`
	WaitMS   float64            `json:"wait_ms"`
	At       time.Time          `json:"at"`
	By       map[string]int     `json:"by"`
	Shelves  []*struct{ N int } `json:"shelves"`
	None     *cache             `json:"none"`
	Tags     []string           `json:"tags"`
	Left     int                `json:"-"`
}

// TestFigures takes a section apart.
func TestFigures(t *testing.T) {
	at := time.Unix(1, 0)
	c := &cache{
		Name: "main", MaxBytes: 5, Hits: 7, hidden: 1, Part: .5, Took: 3, WaitMS: 1.5, At: at,
		By: map[string]int{"b": 2, "a": 1}, Shelves: []*struct{ N int }{{4}, nil}, Tags: []string{"x"},
	}
	var got []string
	for _, f := range Figures(c) {
		got = append(got, fmt.Sprintf("%s|%s|%s|%d|%v", f.Path, f.Label, f.Unit, f.Rank, f.Value))
	}
	want := []string{
		"name|Name|text|2|main", "max_bytes|Max bytes|bytes|1|5", "Hits|Hits|count|2|7", "part|Full|ratio|2|0.5",
		"took|Took|ns|2|3ns", "wait_ms|Wait|ms|2|1.5", "at|At|time|2|" + at.String(),
		"by.a|By|count|2|1", "by.b|By|count|2|2", "shelves.0.N|N|count|2|4", "tags|Tags|text|2|[x]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if n := len(Figures(make([]int, 2*MaxFigures))); n != MaxFigures {
		t.Errorf("got %d figures of a long list, want %d", n, MaxFigures)
	}
	for _, v := range []any{nil, (*cache)(nil), 7, "text", []string(nil)} {
		if n := len(Figures(v)); n > 1 {
			t.Errorf("%v: got %d figures", v, n)
		}
	}
}

// TestUnits: a number with a fraction counts nothing, so that its unit is not that of a count.
func TestUnits(t *testing.T) {
	var seen []reflect.Type
	var walk func(reflect.Type)
	walk = func(v reflect.Type) {
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice || v.Kind() == reflect.Map {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct || slices.Contains(seen, v) || v == reflect.TypeFor[time.Time]() {
			return
		}
		seen = append(seen, v)
		for _, f := range Figures(reflect.New(v).Interface()) {
			if _, ok := f.Value.(float64); ok && f.Unit == UnitCount {
				t.Errorf("%v: %s has no unit", v, f.Path)
			}
		}
		for f := range v.Fields() {
			walk(f.Type)
		}
	}
	for _, section := range []any{Node{}, Peer{}, Connection{}, DHT{}, Network{}, StoreForward{}, Kad{}, KadContacts{}, KadPublications{}, Tor{}, Report{}} {
		walk(reflect.TypeOf(section))
	}
	if len(seen) < 20 {
		t.Errorf("got %d types, want all models", len(seen))
	}
}
