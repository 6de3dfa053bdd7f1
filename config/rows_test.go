package config

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// withoutRow are the fields that have no row, and why.
var withoutRow = map[string]string{
	"Profile": "only programs have profiles of their own",
	"Private": "node.network names the file of a private network",
	"Admit":   "a file has no functions",
	"Secret":  "a file has no secrets",
	"DHT":     "its fields have rows",
}

// TestEveryFieldHasOneRow walks all fields by their addresses.
func TestEveryFieldHasOneRow(t *testing.T) {
	c, in := Config{DHT: new(DHTConfig)}, InboxConfig{}
	at := map[uintptr]string{}
	add := func(key string, p any) {
		address := reflect.ValueOf(p).Pointer()
		if at[address] != "" {
			t.Errorf("%s and %s are stored in the same place", at[address], key)
		}
		at[address] = key
	}
	for _, r := range rows() {
		add(r.Key, r.At(&c))
	}
	for _, r := range inboxRows() {
		add(r.Key, r.At(&in))
	}
	excepted := 0
	var check func(v reflect.Value)
	check = func(v reflect.Value) {
		for i := range v.NumField() {
			f, name := v.Field(i), v.Type().Field(i).Name
			switch {
			case f.Kind() == reflect.Struct:
				check(f)
			case v.Type() == reflect.TypeFor[Config]() && withoutRow[name] != "":
				excepted++
			case at[f.Addr().Pointer()] == "":
				t.Errorf("%s.%s has no row", v.Type(), name)
			default:
				delete(at, f.Addr().Pointer())
			}
		}
	}
	for _, v := range []any{&c, c.DHT, &in} {
		check(reflect.ValueOf(v).Elem())
	}
	if len(at) > 0 || excepted != len(withoutRow) {
		t.Errorf("got rows of no field %v, and %d fields without a row, want %d", at, excepted, len(withoutRow))
	}
}

// TestEveryNumberHasARange sets each number below and above its range.
func TestEveryNumberHasARange(t *testing.T) {
	for _, r := range rows() {
		set := func(n int64) error {
			c := Config{DHT: new(DHTConfig)}
			v := reflect.ValueOf(r.At(&c)).Elem()
			if v.CanUint() {
				v.SetUint(uint64(n))
			} else {
				v.SetInt(n)
			}
			return c.Validate()
		}
		if r.Most == 0 || r.List() || r.Kind == "text" {
			continue
		}
		for _, n := range []int64{-2, r.Most + 1} {
			if n < 0 && r.Field == "Mux.Window" || n > 0 && strings.HasPrefix(r.Field, "Mux.") { // it cannot be negative; the package has its own limits
				continue
			}
			bad, ok := errors.AsType[*ConfigError](set(n))
			if !ok || bad.Field != r.Field && r.Field != "Mux.MaxStreams" {
				t.Errorf("%s = %d: got %v, want an error of that field", r.Field, n, bad)
			}
		}
	}
}

// TestEverythingWrongAtOnce: an unknown network hides nothing else.
func TestEverythingWrongAtOnce(t *testing.T) {
	c := Config{Network: "nowhere", Release: "7", Transport: "udp", MaxPeers: -1, Listen: []string{"x"}, Seeds: []string{"y", "z"}}
	err := c.Validate()
	for _, field := range []string{"Network", "Release", "Transport", "MaxPeers", "Listen", "Seeds"} {
		if !strings.Contains(err.Error(), ": "+field+": ") {
			t.Errorf("got %v, want %s in it", err, field)
		}
	}
	if !errors.Is(err, protocol.ErrUnknownNetwork) {
		t.Errorf("got %v, want the cause", err)
	}
}

// TestTheCallersDHTStays: what a program has set is not changed.
func TestTheCallersDHTStays(t *testing.T) {
	d := DHTConfig{}
	if err := (Config{DHT: &d}).Validate(); err != nil || d != (DHTConfig{}) {
		t.Errorf("got %+v, %v, want it as it was", d, err)
	}
}
