package render

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// poison is text that a terminal must not get as it is: it clears the screen, sets
// the title, goes back in the line and turns the direction of writing.
const poison = "p\x1b[2J\x1b]0;t\x07\r\b\u009b1m\u202ep"

// poisoned sets every text in v, to any depth, to poison, and every list and
// pointer to one element.
func poisoned(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(poison)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		poisoned(v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(poison))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		poisoned(v.Index(0))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Now()))
			return
		}
		for _, field := range v.Fields() {
			if field.CanSet() {
				poisoned(field)
			}
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	}
}

func poisonOf[T any]() (v T) {
	poisoned(reflect.ValueOf(&v).Elem())
	return v
}

// TestNoControlSequenceIsShown has every text that the API gives for peers,
// connections, one peer and an actor be full of control characters, as a peer or
// a broken node could make them: none reaches the terminal.
func TestNoControlSequenceIsShown(t *testing.T) {
	for name, show := range map[string]func(o *Output) error{
		"peers": func(o *Output) error {
			return Peers(o, poisonOf[[]models.Peer](), poisonOf[[]models.Connection](), time.Now())
		},
		"connections":        func(o *Output) error { return Connections(o, poisonOf[[]models.Connection](), false, time.Now()) },
		"closed connections": func(o *Output) error { return Connections(o, poisonOf[[]models.Connection](), true, time.Now()) },
		"why": func(o *Output) error {
			w := poisonOf[models.Why]()
			for i := range w.Candidates {
				w.Candidates[i].NodeID = strings.Repeat(poison, 2)
			}
			return Why(o, w, WhyOptions{All: true, DHT: true, Now: time.Now()})
		},
		"why not connected": func(o *Output) error {
			w := poisonOf[models.Why]()
			w.Connected, w.BannedUntil, w.Candidates = false, time.Time{}, nil
			return Why(o, w, WhyOptions{All: true, DHT: true, Now: time.Now()})
		},
		"why of an actor": func(o *Output) error {
			_, err := o.Out.Write([]byte(o.actorText(poisonOf[Actor](), true, nil)))
			return err
		},
	} {
		var out bytes.Buffer
		if err := show(&Output{Out: &out, Err: &out}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(out.String(), `\x1b`) {
			t.Errorf("%s: got none of the texts shown, want them escaped:\n%q", name, out.String())
		}
		for _, r := range out.String() {
			if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Errorf("%s: got %U shown as it is:\n%q", name, r, out.String())
				break
			}
		}
	}
}
