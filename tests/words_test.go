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

// knowing are the folders that know the command gamelan.
var knowing = regexp.MustCompile(`^\.\./(cmd|tests|tools|examples|bench|\.git)$`)

// commandName is a command of the program, as a text would name it.
var commandName = regexp.MustCompile(`\bgamelan (act|allow|ban|conns|demo|dht|dial|discover|disconnect|health|id|inbox|init|interop|join|kad|listen|messages|node|peers|ping|saf|seed|send|show|status|tor|tree|unban|why)\b| --[a-z]`)

// TestLibraryNamesNoCommand: a program that embeds a node may not have the command, so the
// library says what helps, and the command puts its own words in the place.
func TestLibraryNamesNoCommand(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && knowing.MatchString(filepath.ToSlash(path)):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files++
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && commandName.MatchString(lit.Value) {
				t.Errorf("%s: got %s, want no command in a text of the library; give it a code of inspect/codes", set.Position(lit.Pos()), lit.Value)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 300 {
		t.Errorf("got %d files, want all of the library", files)
	}
	if !commandName.MatchString("look at gamelan why PEER") {
		t.Error("a text with a command is not found")
	}
}
