package tests

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// knowing are the folders that know the command gamelan.
var knowing = regexp.MustCompile(`^\.\./(cmd|tests|tools|examples|bench|\.git)$`)

// verbField is a field of the command's table of verbs, with its name if that is not the field's.
var verbField = regexp.MustCompile("(?m)^\t([A-Z]\\w*) +\\w+ +`cmd:\"\"(?: group:\"[^\"]*\")?(?: name:\"([a-z]+)\")?")

// commandName matches a command of the program, as a text would name it, or a flag.
func commandName(t *testing.T) *regexp.Regexp {
	table, err := os.ReadFile("../cmd/gamelan/cli.go")
	if err != nil {
		t.Fatal(err)
	}
	var verbs []string
	for _, m := range verbField.FindAllStringSubmatch(string(table), -1) {
		verbs = append(verbs, cmp.Or(m[2], strings.ToLower(m[1])))
	}
	if len(verbs) < 30 || !slices.Contains(verbs, "config") {
		t.Fatalf("got the verbs %q, want all of the command", verbs)
	}
	return regexp.MustCompile(`\bgamelan (` + strings.Join(verbs, "|") + `)\b| --[a-z]`)
}

// TestLibraryNamesNoCommand: a program that embeds a node may not have the command, so the
// library says what helps, and the command puts its own words in the place.
func TestLibraryNamesNoCommand(t *testing.T) {
	t.Parallel()
	commandName, files := commandName(t), 0
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

// explanation is a line of config/docs_generated.go: the key of a setting, and what it says.
var explanation = regexp.MustCompile(`(?m)^\t("[a-z_.]+"): +(".*"),$`)

// TestASettingIsExplainedOnce: the explanation is the comment of the setting's field. What else shows it is generated.
func TestASettingIsExplainedOnce(t *testing.T) {
	t.Parallel()
	const file = "../config/docs_generated.go"
	table, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{} // by the first sentence
	for _, m := range explanation.FindAllStringSubmatch(string(table), -1) {
		key, _ := strconv.Unquote(m[1])
		text, _ := strconv.Unquote(m[2])
		if text, _, _ = strings.Cut(text, ". "); len(strings.Fields(text)) > 4 {
			keys[strings.TrimSuffix(text, ".")] = key
		}
	}
	if len(keys) < 60 {
		t.Fatalf("got %d explanations, want those of all settings", len(keys))
	}
	seen := map[string][]string{}
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch path = filepath.ToSlash(path); {
		case err != nil:
			return err
		case d.IsDir() && path == "../.git":
			return filepath.SkipDir
		case path == file, path == "../docs/configuration.md", strings.HasSuffix(path, "_test.go"), filepath.Ext(path) != ".go" && filepath.Ext(path) != ".md":
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text := strings.Join(strings.Fields(strings.ReplaceAll(string(b), "//", "")), " ")
		for sentence, key := range keys {
			for range strings.Count(text, sentence) {
				seen[key] = append(seen[key], path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for sentence, key := range keys {
		if len(seen[key]) > 1 {
			t.Errorf("%s is explained in %q: %q; want the comment of its field alone", key, seen[key], sentence)
		}
	}
}
