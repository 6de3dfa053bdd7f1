package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docLink matches a link of a doc comment to a name of its own package: a type or function, or
// a method or field of a type.
var docLink = regexp.MustCompile(`\[\*?([A-Z]\w*)(?:\.([A-Z]\w*))?\](?:[^(:\w]|$)`)

// TestDocLinks finds links in doc comments that lead to no name of the package.
func TestDocLinks(t *testing.T) {
	t.Parallel()
	fset := token.NewFileSet()
	var folders int
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		case d.Name() == "testdata" || path != ".." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		}
		files, err := filepath.Glob(filepath.Join(path, "*.go"))
		if err != nil {
			return err
		}
		var parsed []*ast.File
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			parsed = append(parsed, f)
		}
		if len(parsed) > 0 {
			folders++
		}
		names := declared(parsed)
		for _, f := range parsed {
			for _, doc := range docs(f) {
				for _, m := range docLink.FindAllStringSubmatch(doc.Text(), -1) {
					name := strings.TrimSuffix(m[1]+"."+m[2], ".")
					if !names[name] {
						t.Errorf("got the link [%s] in a comment at %s, want a name of its package", name, fset.Position(doc.Pos()))
					}
				}
			}
		}
		return nil
	})
	if err != nil || folders < 80 {
		t.Fatalf("got %d folders, %v", folders, err)
	}
}

// docs returns the doc comments of a file.
func docs(f *ast.File) []*ast.CommentGroup {
	all := []*ast.CommentGroup{f.Doc}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			all = append(all, n.Doc)
		case *ast.GenDecl:
			all = append(all, n.Doc)
		case *ast.TypeSpec:
			all = append(all, n.Doc)
		case *ast.ValueSpec:
			all = append(all, n.Doc)
		case *ast.Field:
			all = append(all, n.Doc)
		}
		return true
	})
	return all
}

// declared returns the names of a package, and its methods and fields as Type.Name.
func declared(files []*ast.File) map[string]bool {
	names := map[string]bool{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				name := n.Name.Name
				if n.Recv != nil {
					name = receiver(n.Recv.List[0].Type) + "." + name
				}
				names[name] = true
				return false
			case *ast.ValueSpec:
				for _, id := range n.Names {
					names[id.Name] = true
				}
			case *ast.TypeSpec:
				names[n.Name.Name] = true
				var fields *ast.FieldList
				switch of := n.Type.(type) {
				case *ast.StructType:
					fields = of.Fields
				case *ast.InterfaceType:
					fields = of.Methods
				default:
					return true
				}
				for _, field := range fields.List {
					for _, id := range field.Names {
						names[n.Name.Name+"."+id.Name] = true
					}
				}
			}
			return true
		})
	}
	return names
}

func receiver(of ast.Expr) string {
	switch of := of.(type) {
	case *ast.StarExpr:
		return receiver(of.X)
	case *ast.IndexExpr:
		return receiver(of.X)
	case *ast.IndexListExpr:
		return receiver(of.X)
	case *ast.Ident:
		return of.Name
	}
	return ""
}
