package checklist

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
)

// Citation is one test that claims to prove one item.
type Citation struct {
	Area   string
	Number int
	File   string // relative to the root
	Line   int
	Test   string // the declaration that contains or follows the comment
}

// Where returns the file, the line and the test.
func (c Citation) Where() string { return fmt.Sprintf("%s:%d %s", c.File, c.Line, c.Test) }

// Scan reads all tests below root. problems are comments that cannot be read.
func Scan(root string) (citations []Citation, problems []string) {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "tools") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		c, p, err := scanFile(path, filepath.ToSlash(rel), nil)
		citations, problems = append(citations, c...), append(problems, p...)
		return err
	})
	if err != nil {
		problems = append(problems, err.Error())
	}
	return citations, problems
}

// marker starts a citation; it must begin its line of the comment.
const marker = "conforms:"

func scanFile(path, rel string, src any) (citations []Citation, problems []string, err error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, nil, err
	}
	for _, group := range file.Comments {
		for _, comment := range group.List {
			text, ok := strings.CutPrefix(strings.TrimSpace(strings.TrimPrefix(comment.Text, "//")), marker)
			if !ok {
				continue
			}
			line := fset.Position(comment.Pos()).Line
			found, err := parseCitation(text)
			if err != nil {
				problems = append(problems, fmt.Sprintf("%s:%d: %v in %q", rel, line, err, comment.Text))
				continue
			}
			name := declaration(file, group)
			for _, c := range found {
				c.File, c.Line, c.Test = rel, line, name
				citations = append(citations, c)
			}
		}
	}
	return citations, problems, nil
}

// declaration returns the name of the declaration that contains or follows the comment.
func declaration(file *ast.File, comment *ast.CommentGroup) string {
	for _, d := range file.Decls {
		if comment.Pos() > d.End() {
			continue
		}
		switch d := d.(type) {
		case *ast.FuncDecl:
			return d.Name.Name
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok && comment.Pos() <= v.End() {
					return v.Names[0].Name
				}
			}
		}
		return "a declaration"
	}
	return "the end of the file"
}

var (
	areaName = regexp.MustCompile(`^([A-Za-z]+) ?`)
	remark   = regexp.MustCompile(`\s*\([^()]*\)$`)
)

// parseCitation parses "comms 31, 33-35; V 12", with an optional remark in parentheses at the
// end. An area applies until the next one is named.
func parseCitation(text string) ([]Citation, error) {
	text = strings.TrimSuffix(strings.TrimSpace(text), ".")
	text = remark.ReplaceAllString(text, "")
	var found []Citation
	area := ""
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ';' }) {
		part = strings.TrimSpace(part)
		if m := areaName.FindString(part); m != "" {
			area, part = strings.TrimSpace(m), part[len(m):]
		}
		if area == "" {
			return nil, fmt.Errorf("no area such as comms before %q", part)
		}
		numbers, err := parseNumbers(part)
		if err != nil {
			return nil, err
		}
		if len(numbers) == 0 {
			return nil, fmt.Errorf("no number after %q", area)
		}
		for _, n := range numbers {
			found = append(found, Citation{Area: area, Number: n})
		}
	}
	if len(found) == 0 || strings.HasSuffix(text, ",") || strings.HasSuffix(text, ";") {
		return nil, fmt.Errorf("citation without its numbers")
	}
	return found, nil
}
