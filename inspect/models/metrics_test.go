package models

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// shop is a section of a program's part with metrics.
type shop struct {
	Open     bool              `json:"open" metric:"shop_open" help:"1 while the shop is open, else 0."`
	Stock    int               `json:"stock" metric:"shop_stock" help:"Things in the shop."`
	Sold     uint64            `json:"sold" metric:"shop_sold_total" help:"Things that were sold."`
	Room     int64             `json:"room" unit:"bytes" metric:"shop_room_bytes" help:"Room."`
	WaitMS   float64           `json:"wait_ms" metric:"shop_wait_seconds" help:"Time to wait."`
	Took     time.Duration     `json:"took" metric:"shop_took_seconds" help:"Time taken."`
	Since    time.Time         `json:"since" metric:"shop_start_time_seconds" help:"When it was opened."`
	In       int               `json:"in" metric:"shop_people" with:"door=front" help:"People."`
	Out      int               `json:"out" metric:"shop_people" with:"door=back"`
	Refused  map[string]uint64 `json:"refused" metric:"shop_refused_total" by:"reason" help:"People who were sent away."`
	Untold   map[string]int    `json:"untold" metric:"shop_untold" by:"name" help:"People whose names nobody may know."`
	Names    map[string]string `json:"names" metric:"shop_names" help:"Names that are known."`
	Shelves  []shelf           `json:"shelves" metric:"shop_shelves" help:"Shelves."`
	Owner    *person           `json:"owner" with:"who=owner"`
	Guest    *person           `json:"guest" with:"who=guest"`
	Serves   Histogram         `json:"serves" unit:"s" metric:"shop_serve_duration_seconds" help:"Time to serve."`
	Elsewere person            `json:"elsewhere" metric:"-"`
	Name     string            `json:"name"`
	next     *shop
	Chain    *shop `json:"chain"`
}

type shelf struct {
	Kind  string `json:"kind" by:"kind"`
	Items int    `json:"items" metric:"shop_items" help:"Things on shelves."`
}

type person struct {
	Age int `json:"age" metric:"shop_person_age" help:"Age of a person."`
}

func (*shop) MetricValues(label string) []string {
	switch label {
	case "reason":
		return []string{"Too Late", "full"}
	case "kind":
		return []string{"books", "tea"}
	}
	return nil
}

func lines(list []Sample) (all []string) {
	for _, s := range list {
		text := strings.TrimPrefix(s.Metric.Name, "gamelan_shop_")
		for i, l := range s.Metric.Labels {
			text += fmt.Sprintf(" %s=%s", l.Name, s.Labels[i])
		}
		if s.Histogram != nil {
			text += fmt.Sprintf(" %v %v", s.Histogram.Counts, s.Histogram.Sum)
		} else {
			text += fmt.Sprintf(" %v", math.Round(s.Value*1e6)/1e6)
		}
		all = append(all, text)
	}
	return all
}

// TestMeasure reads the metrics of a section of each kind of field.
func TestMeasure(t *testing.T) {
	s := &shop{
		Open: true, Stock: 4, Sold: 7, Room: 9, WaitMS: 1500, Took: 2 * time.Second, Since: time.Unix(5, 0), In: 1, Out: 2,
		Refused: map[string]uint64{"too late": 3, "FULL": 1, "\"} 1\nevil": 2, "evil2": 5}, Untold: map[string]int{"eve": 1, "bob": 2}, Names: map[string]string{"eve": "x", "bob": "y"},
		Shelves: []shelf{{"books", 1}, {"tea", 2}, {"books", 4}, {"<script>", 8}}, Guest: &person{30},
		Serves: Histogram{Bounds: []float64{1, 2}, Counts: []uint64{3, 4, 5}, Sum: 6}, Elsewere: person{99}, next: new(shop),
	}
	list, err := Measure(s)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"items kind=books 5", "items kind=other 8", "items kind=tea 2", "names 2", "open 1",
		"people door=back 2", "people door=front 1", "person_age who=guest 30",
		"refused_total reason=full 1", "refused_total reason=other 7", "refused_total reason=too_late 3",
		"room_bytes 9", "serve_duration_seconds [3 4 5] 6", "shelves 4", "sold_total 7", "start_time_seconds 5", "stock 4", "took_seconds 2",
		"untold 3", "wait_seconds 1.5",
	}
	if got := lines(list); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, none := range []any{nil, (*shop)(nil), 5, "text"} {
		if got, err := Measure(none); len(got) > 0 || err != nil {
			t.Errorf("%v: got %v, %v, want nothing", none, got, err)
		}
	}
}

// TestMetricsOf: the metrics follow from the type, so a nil pointer has them all, with all values of their
// labels.
func TestMetricsOf(t *testing.T) {
	list, err := MetricsOf((*shop)(nil))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range list {
		got = append(got, fmt.Sprintf("%s %s %s %v", strings.TrimPrefix(m.Name, "gamelan_shop_"), m.Kind, m.Unit, m.Labels))
	}
	want := []string{
		"items gauge  [{kind [books other tea]}]", "names gauge  []", "open gauge  []", "people gauge  [{door [back front]}]", "person_age gauge  [{who [guest owner]}]",
		"refused_total counter  [{reason [full other too_late]}]", "room_bytes gauge bytes []", "serve_duration_seconds histogram seconds []",
		"shelves gauge  []", "sold_total counter  []", "start_time_seconds gauge seconds []", "stock gauge  []", "took_seconds gauge seconds []",
		"untold gauge  []", "wait_seconds gauge seconds []",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if list[5].Help != "People who were sent away." {
		t.Errorf("got %q, want the help of the field", list[4].Help)
	}
}

// TestWrongTags: an error names the field whose tags cannot be a metric.
func TestWrongTags(t *testing.T) {
	for want, v := range map[string]any{
		"field N of models.noHelp: a string is no number": noHelp{},
		"its tag help is no sentence": struct {
			N int `metric:"n"`
		}{},
		"is not words of a-z": struct {
			N int `metric:"N-x" help:"N."`
		}{},
		"does not end in its unit, seconds": struct {
			WaitMS int `json:"wait_ms" metric:"wait" help:"N."`
		}{},
		"does not end in its unit, bytes": struct {
			Bytes int `json:"bytes" metric:"room_total" help:"N."`
		}{},
		"another field says": struct {
			A int `metric:"n" help:"A."`
			B int `metric:"n" help:"B."`
		}{},
		"the tag by is for a map of numbers": struct {
			A map[string]string `metric:"n" help:"A." by:"l"`
		}{},
		`"x y" is no value of the label l`: struct {
			A int `metric:"n" help:"A." with:"l=x y"`
		}{},
		`"L" is no name of a label`: struct {
			A int `metric:"n" help:"A." with:"L=x"`
		}{},
	} {
		if _, err := MetricsOf(v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if list, err := Measure(v); err == nil || list != nil {
			t.Errorf("got %v, %v from Measure, want the same error", list, err)
		}
	}
}

type noHelp struct {
	N string `metric:"n" help:"N."`
}

// TestLabelText: nothing but letters, digits, points, dashes and single underscores gets into a label.
func TestLabelText(t *testing.T) {
	for text, want := range map[string]string{
		"no answer": "no_answer", "for somebody else, over the limit": "for_somebody_else_over_the_limit", "0.1.0-dev": "0.1.0-dev",
		"\"}\n1 {x=\"": "1_x", "É": "", "A__b": "a_b",
	} {
		if got := LabelText(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// FuzzMeasure: whatever the keys of maps and the texts of rows are, labels have none but their declared values.
func FuzzMeasure(f *testing.F) {
	f.Add("full", "tea")
	f.Add("\"} 1\n", "\x00other")
	f.Fuzz(func(t *testing.T, key, kind string) {
		list, err := Measure(&shop{Refused: map[string]uint64{key: 1}, Untold: map[string]int{key: 1}, Shelves: []shelf{{kind, 1}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			for i, l := range s.Metric.Labels {
				if !slices.Contains(l.Values, s.Labels[i]) {
					t.Errorf("got %q in the label %s, want one of %q", s.Labels[i], l.Name, l.Values)
				}
			}
		}
	})
}
