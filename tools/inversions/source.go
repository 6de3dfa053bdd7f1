package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// source is one file of the code, with its functions.
type source struct {
	path  string
	text  string
	pkg   string
	funcs []function
}

// function is one declaration with a body. Offsets are of the file's bytes.
type function struct {
	name        string // Conn.Read, or NewConn
	begin, end  int    // of the declaration
	open, close int    // of the body's braces
	results     bool
	labels      bool // the body has labels, so a second copy of it would not compile
}

// place is the position of an edit.
type place struct {
	begin, end int
	in         *function // nil outside of every body
}

func readSource(root, path string) (*source, error) {
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return nil, err
	}
	return parseSource(path, string(text))
}

func parseSource(path, text string) (*source, error) {
	s := &source{path: path, text: text}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	s.pkg = file.Name.Name
	at := func(p token.Pos) int { return fset.Position(p).Offset }
	for _, d := range file.Decls {
		d, ok := d.(*ast.FuncDecl)
		if !ok || d.Body == nil {
			continue
		}
		f := function{
			name: receiver(d) + d.Name.Name, begin: at(d.Pos()), end: at(d.End()),
			open: at(d.Body.Lbrace), close: at(d.Body.Rbrace),
			results: d.Type.Results.NumFields() > 0,
		}
		ast.Inspect(d.Body, func(n ast.Node) bool {
			if _, ok := n.(*ast.LabeledStmt); ok {
				f.labels = true
			}
			return true
		})
		s.funcs = append(s.funcs, f)
	}
	return s, nil
}

func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name + "."
		default:
			return ""
		}
	}
}

// find returns the place of e: its old text must occur exactly once.
func (s *source) find(e edit) (place, error) {
	begin, end := 0, len(s.text)
	if e.in != "" {
		i := slices.IndexFunc(s.funcs, func(f function) bool { return f.name == e.in })
		if i < 0 {
			return place{}, fmt.Errorf("%s has no function %s", s.path, e.in)
		}
		begin, end = s.funcs[i].begin, s.funcs[i].end
	}
	found := e.pattern().FindAllStringIndex(s.text[begin:end], -1)
	if len(found) != 1 {
		first, _, _ := strings.Cut(strings.TrimSpace(e.old), "\n")
		return place{}, fmt.Errorf("%s has %q %d times, want once: write the old text anew", s.path, first, len(found))
	}
	p := place{begin: begin + found[0][0], end: begin + found[0][1]}
	for i, f := range s.funcs {
		if f.open < p.begin && p.end <= f.close {
			p.in = &s.funcs[i]
		}
	}
	return p, nil
}

// sources reads each file once.
type sources struct {
	root  string
	files map[string]*source
}

func (s *sources) get(path string) (*source, error) {
	if f := s.files[path]; f != nil {
		return f, nil
	}
	f, err := readSource(s.root, path)
	if err == nil {
		s.files[path] = f
	}
	return f, err
}
