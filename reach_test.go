package gamelan_test

import (
	"reflect"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/dhtpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/rpcpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/peerstore"
)

// TestUsersReachNoInsides follows every exported method and field from a node on:
// none leads to what its actors share, to the writer of its store or to its key.
func TestUsersReachNoInsides(t *testing.T) {
	forbidden := map[reflect.Type]bool{
		reflect.TypeFor[trunk.Node](): true, reflect.TypeFor[trunk.Trunk](): true, reflect.TypeFor[trunk.Settings](): true,
		reflect.TypeFor[dhtpart.DHT](): true, reflect.TypeFor[rpcpart.Calls](): true,
		reflect.TypeFor[peerstore.Store](): true, reflect.TypeFor[identity.Secret](): true,
	}
	seen := map[reflect.Type]bool{}
	var follow func(reflect.Type, string)
	follow = func(to reflect.Type, path string) {
		if forbidden[to] {
			t.Errorf("a user reaches %v by %s", to, path)
			return
		}
		if seen[to] {
			return
		}
		seen[to] = true
		for m := range to.Methods() {
			skip := 0
			if to.Kind() != reflect.Interface {
				skip = 1 // the receiver
			}
			for i := skip; i < m.Type.NumIn(); i++ { // what a callback of the user's is given
				if in := m.Type.In(i); in.Kind() == reflect.Func {
					follow(in, path+"."+m.Name)
				}
			}
			for out := range m.Type.Outs() {
				follow(out, path+"."+m.Name+"()")
			}
		}
		switch to.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map, reflect.Chan:
			follow(to.Elem(), path)
		case reflect.Struct:
			for f := range to.Fields() {
				if f.IsExported() {
					follow(f.Type, path+"."+f.Name)
				}
			}
		case reflect.Func:
			for in := range to.Ins() {
				follow(in, path+"(…)")
			}
			for out := range to.Outs() {
				follow(out, path+"()")
			}
		}
	}
	follow(reflect.TypeFor[*gamelan.Node](), "Node")
	if len(seen) < 100 {
		t.Errorf("followed %d types, want all that there are", len(seen))
	}
}
