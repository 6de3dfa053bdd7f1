package gamelan_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestUsersNeedNoActorsPackage looks at every exported declaration of this package: a
// type of the packages of actors appears there only as the right side of an alias, and no
// comment sends its reader there.
func TestUsersNeedNoActorsPackage(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	set, checked := token.NewFileSet(), 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		inside := map[string]bool{}
		for _, spec := range f.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			if _, below, ok := strings.Cut(path, "/gamelan/actors"); ok && (below == "" || below[0] == '/') {
				base := path[strings.LastIndex(path, "/")+1:]
				if spec.Name != nil {
					base = spec.Name.Name
				}
				inside[base] = true
			}
		}
		report := func(n ast.Node, what string) {
			ast.Inspect(n, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if pkg, ok := sel.X.(*ast.Ident); ok && inside[pkg.Name] {
					t.Errorf("%s: %s shows %s.%s: give it a name in types.go", set.Position(sel.Pos()), what, pkg.Name, sel.Sel.Name)
				}
				return true
			})
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) {
					checked++
					report(d.Type, d.Name.Name)
				}
				if link := regexp.MustCompile(`\[\*?(actors|inbox|torpart|safpart|discovery)\.`).FindString(d.Doc.Text()); link != "" && d.Name.IsExported() {
					t.Errorf("%s: the comment of %s names %q", set.Position(d.Pos()), d.Name.Name, link)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					typ, ok := s.(*ast.TypeSpec)
					if !ok || !typ.Name.IsExported() || typ.Assign != 0 {
						continue
					}
					checked++
					if fields, ok := typ.Type.(*ast.StructType); ok {
						for _, field := range fields.Fields.List {
							if len(field.Names) > 0 && field.Names[0].IsExported() {
								report(field.Type, typ.Name.Name)
							}
						}
					}
				}
			}
		}
	}
	if checked < 100 {
		t.Errorf("checked %d declarations, want all that there are", checked)
	}
}

func receiver(d *ast.FuncDecl) string {
	of := d.Recv.List[0].Type
	if p, ok := of.(*ast.StarExpr); ok {
		of = p.X
	}
	if g, ok := of.(*ast.IndexExpr); ok {
		of = g.X
	}
	return of.(*ast.Ident).Name
}
