package rpc

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

type (
	inner struct {
		A int `json:"a"`
	}
	embedded struct {
		ID   int    `json:"id"`
		Kind string `json:"kind,omitzero"`
	}
	tree struct {
		Left  *tree `json:"left,omitempty"`
		Right *tree `json:"right,omitempty"`
	}
	everything struct {
		embedded
		Text    string           `json:"text"`
		Pointer *inner           `json:"pointer"`
		List    []inner          `json:"list"`
		Pair    [2]int           `json:"pair"`
		Map     map[string]inner `json:"map"`
		Any     any              `json:"any"`
		Raw     json.RawMessage  `json:"raw"`
		Bytes   []byte           `json:"bytes"`
		When    time.Time        `json:"when"`
		Quoted  int              `json:"quoted,string"`
		Left    int              `json:"-"`
		Kind    bool             // stands before embedded.Kind, whose name is kind
		Numbers map[int]bool     `json:"numbers,omitempty"`
		hidden  int
	}
)

var whole = `{"id":1,"text":"x","pointer":{"a":1},"list":[{"a":1},{"a":2}],"pair":[1,2],"map":{"k":{"a":1}},"any":{"b":[1]},` +
	`"raw":{"c":1},"bytes":"AAE=","when":"2026-01-02T03:04:05Z","quoted":"7","numbers":{"1":true,"2":true},"Kind":true}`

func TestJSON(t *testing.T) {
	with := func(old, new string) string {
		changed := strings.Replace(whole, old, new, 1)
		if changed == whole {
			t.Errorf("got nothing to replace for %s", old)
		}
		return changed
	}
	for _, tt := range []struct{ name, payload, want string }{
		{"whole", whole, ""},
		{"space", " \n{" + whole[1:len(whole)-1] + "\t} ", ""},
		{"null where it may be", with(`"pointer":{"a":1}`, `"pointer":null,"kind":"k"`), ""},
		{"null list", with(`[{"a":1},{"a":2}]`, `null`), ""},
		{"a name with escapes", with(`"text"`, `"te\u0078t"`), ""},
		{"not UTF-8", with(`"x"`, "\"\xff\""), "it is not JSON"},
		{"nothing", "", "it is not JSON"},
		{"two values", whole + "{}", "it is not JSON"},
		{"null", "null", "null in place of a rpc.everything"},
		{"a list", "[]", "a list in place of a rpc.everything"},
		{"a number", "7", "a single value in place of a rpc.everything"},
		{"no field", "{}", `the field "text" is missing`},
		{"an embedded field is missing", with(`"id":1,`, ``), `the field "id" is missing`},
		{"another case", with(`"text"`, `"Text"`), `it has no field "Text"`},
		{"hidden", with(`"text"`, `"hidden":1,"text"`), `it has no field "hidden"`},
		{"left out", with(`"text"`, `"Left":1,"text"`), `it has no field "Left"`},
		{"twice", with(`"text"`, `"text":"y","text"`), `the field "text" comes twice`},
		{"twice in a map", with(`"k":{"a":1}`, `"k":{"a":1},"k":{"a":2}`), `map: the name "k" comes twice`},
		{"twice in a map, with escapes", with(`"k":{"a":1}`, `"k":{"a":1},"l":{"a":1},"\u006b":{"a":2}`), `map: the name "k" comes twice`},
		{"twice in any value", with(`{"b":[1]}`, `[{"b":1,"b":2}]`), `any: the name "b" comes twice`},
		{"twice in a raw value", with(`{"c":1}`, `{"c":1,"c":2}`), `raw: the name "c" comes twice`},
		{"many names in a map", with(`"k":{"a":1}`, `"k":{"a":1},"l":{"a":1},"m":{"a":1}`), ""},
		{"a number twice in a map", with(`"1":true`, `"1":true,"+1":false`), `numbers: the name "+1" comes twice`},
		{"inside", with(`{"a":1},{"a":2}`, `{"a":1},{"b":2}`), `list: it has no field "b"`},
		{"inside a pointer", with(`"pointer":{"a":1}`, `"pointer":{}`), `pointer: the field "a" is missing`},
		{"inside a map", with(`"k":{"a":1}`, `"k":{}`), `map: the field "a" is missing`},
		{"null inside", with(`{"a":1},{"a":2}`, `null`), `list: null in place of a rpc.inner`},
		{"null text", with(`"x"`, `null`), `text: null in place of a string`},
		{"array too short", with(`[1,2]`, `[1]`), `pair: a list of 1 in place of a [2]int`},
		{"array too long", with(`[1,2]`, `[1,2,3]`), `pair: a list of 3 in place of a [2]int`},
		{"an object for a list", with(`[1,2]`, `{}`), `pair: an object in place of a [2]int`},
		{"another type", with(`"x"`, `7`), "cannot unmarshal number"},
		{"an object for a text", with(`"x"`, `{"a":[1]}`), "cannot unmarshal object"},
		{"too large", with(`"id":1`, `"id":99999999999999999999`), "cannot unmarshal number"},
		{"deep", with(`{"b":[1]}`, strings.Repeat("[", MaxDepth)+strings.Repeat("]", MaxDepth)), "nested deeper than 128"},
		{"just not too deep", with(`{"b":[1]}`, strings.Repeat("[", MaxDepth-1)+strings.Repeat("]", MaxDepth-1)), ""},
	} {
		typ, err := jsonTypeOf(reflect.TypeFor[everything]())
		if err != nil {
			t.Fatal(err)
		}
		var got everything
		switch err := decodeJSON([]byte(tt.payload), &got, typ, MaxElements, true); {
		case tt.want == "" && (err != nil || got.Text != "x" || got.ID != 1 || !got.Kind || got.Quoted != 7):
			t.Errorf("%s: got %+v, %v", tt.name, got, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestLenientJSON: peers of other releases know more fields, or fewer; what is no message of this type is an error all the same.
func TestLenientJSON(t *testing.T) {
	for _, tt := range []struct{ name, payload, want string }{
		{"fields of a newer peer", `{"id":1,"text":"x","Kind":true,"quoted":"7","later":{"deep":[1,{"a":null}]},"hidden":2,"Left":3}`, ""},
		{"a newer field inside", `{"id":1,"text":"x","Kind":true,"quoted":"7","pointer":{"b":2},"list":[{},{"b":1}],"map":{"k":{"c":1}}}`, ""},
		{"null for what is missing", `{"id":1,"text":"x","Kind":true,"quoted":"7","pair":null,"when":null,"list":[null]}`, ""},
		{"another case", `{"ID":1,"TEXT":"x","Kind":true,"Quoted":"7"}`, ""},
		{"a newer field twice", `{"id":1,"text":"x","Kind":true,"quoted":"7","later":1,"later":2}`, ""},
		{"a nameless field", `{"":1}`, `it has no field ""`},
		{"another message", `{"total":1}`, `it has no field "total"`},
		{"null", `null`, "null in place of a rpc.everything"},
		{"a list", `[]`, "a list in place of a rpc.everything"},
		{"twice", `{"text":"x","text":"y"}`, `the field "text" comes twice`},
		{"twice, in another case", `{"text":"x","Text":"y"}`, `the field "text" comes twice`},
		{"another type", `{"text":7}`, "cannot unmarshal number"},
		{"an array of another length", `{"pair":[1]}`, "pair: a list of 1 in place of a [2]int"},
		{"deep, where nobody reads it", `{"text":"x","later":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth) + `}`, "nested deeper than 128"},
		{"much, where nobody reads it", `{"text":"x","later":[` + strings.Repeat("1,", 1000) + `1]}`, "too many elements"},
		{"many that nobody reads", `{"text":"x"` + strings.Repeat(`,"later":1`, 1001) + `}`, "too many elements"},
	} {
		typ, err := jsonTypeOf(reflect.TypeFor[everything]())
		if err != nil {
			t.Fatal(err)
		}
		var got everything
		switch err := decodeJSON([]byte(tt.payload), &got, typ, 1000, false); {
		case tt.want == "" && (err != nil || got.Text != "x" || got.ID != 1 || !got.Kind || got.Quoted != 7 || got.Left != 0 || got.hidden != 0):
			t.Errorf("%s: got %+v, %v", tt.name, got, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	typ, err := jsonTypeOf(reflect.TypeFor[tree]())
	if err != nil {
		t.Fatal(err)
	}
	if err := decodeJSON([]byte("{}"), new(tree), typ, 10, false); err != nil {
		t.Errorf("got %v of an empty object, want every field zero", err)
	}
}

// TestJSONOfItself encodes a value of a type and decodes it as the same type.
func TestJSONOfItself(t *testing.T) {
	for _, m := range []any{
		&everything{hidden: 1, Raw: json.RawMessage("1")}, &inner{}, &tree{Left: &tree{}}, new(string), new([]int), new(map[int]string), new(*int), new(struct{}), new(time.Duration),
	} {
		typ, err := jsonTypeOf(reflect.TypeOf(m).Elem())
		if err != nil {
			t.Fatalf("%T: got %v", m, err)
		}
		b, err := appendJSON(nil, m)
		if err == nil {
			err = decodeJSON(b, reflect.New(reflect.TypeOf(m).Elem()).Interface(), typ, MaxElements, true)
		}
		if err != nil {
			t.Errorf("%T: got %v of %s", m, err, b)
		}
	}
}

type loop *loop

func TestTypesWithoutJSON(t *testing.T) {
	type a struct{ ID int }
	type b struct{ ID int }
	for _, tt := range []struct {
		typ  reflect.Type
		want string
	}{
		{reflect.TypeFor[struct{ F func() }](), "field F: func() cannot be encoded"},
		{reflect.TypeFor[map[string]complex64](), "complex64 cannot be encoded"},
		{reflect.TypeFor[struct{ *inner }](), "it embeds *rpc.inner"},
		{reflect.StructOf([]reflect.StructField{ // go vet complains of one that is written out
			{Name: "A", Type: reflect.TypeFor[int](), Tag: `json:"id"`},
			{Name: "B", Type: reflect.TypeFor[int](), Tag: `json:"id"`},
		}), `two fields have the name "id"`},
		{reflect.TypeFor[struct {
			ID int
			B  int `json:"ID"`
		}](), `two fields have the name "ID"`},
		{reflect.TypeFor[struct {
			a
			b
		}](), `two embedded structs have the field "ID"`},
	} {
		if _, err := jsonTypeOf(tt.typ); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.typ, err, tt.want)
		}
	}
	typ, err := jsonTypeOf(reflect.TypeFor[loop]())
	if err != nil {
		t.Fatal(err)
	}
	if err := decodeJSON([]byte("1"), new(loop), typ, MaxElements, true); err == nil {
		t.Error("got a value of a type that has none")
	}
}

// Decoding JSON is bounded before it allocates.
func TestJSONBudget(t *testing.T) {
	list := func(n int, elem string) []byte {
		return []byte("[" + strings.TrimSuffix(strings.Repeat(elem+",", n), ",") + "]")
	}
	pairs := func(n int) []byte { // a map of n members
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, ",%q:1", fmt.Sprint(i))
		}
		return []byte("{" + b.String()[1:] + "}")
	}
	for _, tt := range []struct {
		name    string
		payload []byte
		m       any
		ok      bool
	}{
		{"elements", list(9, "1"), new([]int), true},
		{"an element more", list(10, "1"), new([]int), false},
		{"objects", list(10, "{}"), new([]struct{}), false},
		{"lists", list(10, "[]"), new([][]int), false},
		{"members", pairs(9), new(map[string]int), true},
		{"a member more", pairs(10), new(map[string]int), false},
		{"members of anything", pairs(10), new(any), false},
		{"elements of anything", list(10, "1"), new(any), false},
		{"nodes", []byte(`{"left":{"left":{},"right":{}},"right":{"left":{},"right":{}}}`), new(tree), true},
		{"more nodes", []byte(`{"left":{"left":{"left":{},"right":{}},"right":{"left":{}}},"right":{"left":{"left":{}},"right":{}}}`), new(tree), false},
	} {
		typ, err := jsonTypeOf(reflect.TypeOf(tt.m).Elem())
		if err != nil {
			t.Fatal(err)
		}
		err = decodeJSON(tt.payload, tt.m, typ, 10, true)
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrBudget) {
			t.Errorf("%s: got %v, want ok %v", tt.name, err, tt.ok)
		}
	}
	big := list(1_000_000, "{}")
	typ, err := jsonTypeOf(reflect.TypeFor[[]tree]())
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(5, func() { decodeJSON(big, new([]tree), typ, MaxElements, true) }); n > 100 {
		t.Errorf("got %v allocations for a payload over the budget, want a few", n)
	}
}

// FuzzJSON decodes anything as several types. What is accepted is JSON that encoding/json
// takes, too, and what it encodes again is a message of the type.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"left":{},"right":null}`))
	f.Add([]byte(`[{"a":1},{"a":2}]`))
	types := []reflect.Type{reflect.TypeFor[everything](), reflect.TypeFor[tree](), reflect.TypeFor[[]inner](), reflect.TypeFor[any]()}
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, typ := range types {
			j, err := jsonTypeOf(typ)
			if err != nil {
				t.Fatal(err)
			}
			m := reflect.New(typ).Interface()
			strict := decodeJSON(payload, m, j, 100, true)
			if err := decodeJSON(payload, m, j, 100, false); err != nil && strict == nil {
				t.Errorf("got %v, want that JSON takes what StrictJSON does: %s", err, payload)
			} else if err != nil {
				continue
			}
			b, err := appendJSON(nil, m)
			if err != nil {
				continue // a date that JSON cannot express
			}
			if err := decodeJSON(b, reflect.New(typ).Interface(), j, 100, true); err != nil {
				t.Errorf("%s: got %v of %s, which was made of %s", typ, err, b, payload)
			}
		}
	})
}

// TestTextOfHostileMessages: an error quotes no more of what a peer sent than of its own words.
func TestTextOfHostileMessages(t *testing.T) {
	c, err := codecOf[inner](JSON)
	if err != nil {
		t.Fatal(err)
	}
	payload := []byte(`{"a":` + strings.Repeat("1", 1<<20) + `}`)
	_, asked := request[inner](c, nil, payload)
	for _, err := range []error{asked, answer(c, nil, payload, new(inner), callOptions{elements: MaxElements})} {
		if err == nil || len(err.Error()) > 2*MaxDetails {
			t.Errorf("got an error of %d bytes, want one of at most %d", len(fmt.Sprint(err)), 2*MaxDetails)
		}
	}
}

// sum decodes itself, and what is in it.
type sum struct{}

func (s *sum) UnmarshalJSON(b []byte) error {
	if b[0] != '[' {
		return nil
	}
	var list []*sum
	return json.Unmarshal(b, &list)
}

// TestJSONThatDecodesItself has a long value for each kind of type with a decoder of its own:
// beside *big.Int, which takes 14 s for a number of 3 MB, others that are harmless.
//
// conforms: V 20
func TestJSONThatDecodesItself(t *testing.T) {
	digits := func(n int) string { return strings.Repeat("7", n) }
	text := func(n int) string { return `"` + strings.Repeat("7", n-2) + `"` }
	nested := strings.Repeat("[", 100) + text(300_000) + strings.Repeat("]", 100)
	for _, tt := range []struct {
		name    string
		typ     reflect.Type
		payload string
		ok      bool
	}{
		{"big.Int of 4 KiB", reflect.TypeFor[*big.Int](), digits(MaxScalar), true},
		{"big.Int", reflect.TypeFor[*big.Int](), digits(3 << 20), false},
		{"big.Int, no pointer", reflect.TypeFor[big.Int](), digits(MaxScalar + 1), false},
		{"in a struct", reflect.TypeFor[struct{ N **big.Int }](), `{"N":` + digits(MaxScalar+1) + `}`, false},
		{"in a list", reflect.TypeFor[[]big.Int](), `[1,` + digits(MaxScalar+1) + `]`, false},
		{"in a map", reflect.TypeFor[map[string]*big.Int](), `{"a":` + digits(MaxScalar+1) + `}`, false},
		{"big.Float", reflect.TypeFor[*big.Float](), text(MaxScalar + 1), false},
		{"big.Rat", reflect.TypeFor[*big.Rat](), text(MaxScalar + 1), false},
		{"big.Rat with an exponent", reflect.TypeFor[*big.Rat](), `"1e4000"`, true},
		{"big.Rat with a long exponent", reflect.TypeFor[*big.Rat](), `"1e-1000000"`, false},
		{"time", reflect.TypeFor[time.Time](), text(MaxScalar + 1), false},
		{"address", reflect.TypeFor[netip.Addr](), text(MaxScalar + 1), false},
		{"names of a map", reflect.TypeFor[map[netip.Addr]int](), `{` + text(MaxScalar+1) + `:1}`, false},
		{"number for nobody", reflect.TypeFor[any](), digits(MaxScalar + 1), false},
		{"json.Number", reflect.TypeFor[json.Number](), digits(MaxScalar + 1), false},
		{"float", reflect.TypeFor[float64](), `0.` + digits(MaxScalar), false},
		{"raw number", reflect.TypeFor[json.RawMessage](), digits(MaxScalar + 1), false},
		{"raw text", reflect.TypeFor[json.RawMessage](), text(3 << 20), true},
		{"plain text", reflect.TypeFor[string](), text(3 << 20), true},
		{"bytes", reflect.TypeFor[[]byte](), `"` + strings.Repeat("AAAA", 1<<18) + `"`, true},
		{"one that decodes itself", reflect.TypeFor[sum](), text(MaxScalar), true},
		{"levels that decode themselves", reflect.TypeFor[sum](), nested, false},
		{"levels that do not", reflect.TypeFor[any](), nested, true},
	} {
		typ, err := jsonTypeOf(tt.typ)
		if err != nil {
			t.Fatal(err)
		}
		err = decodeJSON([]byte(tt.payload), reflect.New(tt.typ).Interface(), typ, MaxElements, true)
		if got := !errors.Is(err, ErrBudget); got != tt.ok || tt.ok && err != nil {
			t.Errorf("%s: got %.100v, want it decoded: %v", tt.name, err, tt.ok)
		}
	}
}
