package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestRoomsNeedLittle counts the ways from a room of the trunk to a higher one: the methods of its
// interface needs that rooms.go takes from such a room.
func TestRoomsNeedLittle(t *testing.T) {
	const most = 9
	actors := filepath.Join("..", "internal", "actors")
	provider := make(map[string]string) // room, by method of rooms
	rooms, err := parser.ParseFile(token.NewFileSet(), filepath.Join(actors, "trunk", "rooms.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range rooms.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv == nil {
			continue
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if r, ok := s.X.(*ast.Ident); ok && r.Name == "r" {
					provider[f.Name.Name] = s.Sel.Name
				}
			}
			return true
		})
	}
	up := 0
	for _, room := range []string{"peerbook", "connections", "dialling", "connectivity", "messengers", "users"} {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(actors, room, "room.go"), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		needs, ok := file.Scope.Lookup("needs").Decl.(*ast.TypeSpec)
		if !ok {
			t.Fatalf("%s: got no interface needs", room)
		}
		for _, m := range needs.Type.(*ast.InterfaceType).Methods.List {
			from := provider[m.Names[0].Name]
			if _, ok := layers["internal/actors/"+from]; from == "" || !ok {
				t.Errorf("%s needs %s, and rooms.go takes it from %q, want a room", room, m.Names[0].Name, from)
			}
			if layers["internal/actors/"+from] >= layers["internal/actors/"+room] {
				up++
				t.Log(strings.Join([]string{room, from, m.Names[0].Name}, " "))
			}
		}
	}
	if up == 0 || up > most {
		t.Errorf("got %d ways from a room to a higher one, want 1 to %d", up, most)
	}
}
