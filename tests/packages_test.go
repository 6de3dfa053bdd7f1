package tests

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// public are the packages that programs import. Everything else is internal, a command, an example
// or a test. A new one needs a line here and in the table of docs/architecture.md.
var public = []string{
	"", "actors", "config", "dht", "dht/wire", "gamelantest", "identity",
	"inspect", "inspect/client", "inspect/codes", "inspect/control", "inspect/metrics", "inspect/models", "inspect/page",
	"kad", "kad/overlay", "kad/seed", "peerstore", "protocol", "protocol/rpc", "supervisor",
	"transport", "transport/memory", "transport/socks", "transport/tcp", "transport/tor",
}

// shownInternal says where a public package shows a type of an internal one all the same, and why.
var shownInternal = map[string]string{
	"config Table":           "the rows of the settings, for the command and the pages",
	"peerstore Open":         "the assembly opens the disk",
	"peerstore DirError":     "every use of the disk returns it, and the disk knows no peers",
	"actors (*ConnRef).Link": "the node's own actors share it",
}

// sourceFile is a file of Go that is no test data.
type sourceFile struct {
	folder, path, name string   // name is the package's
	imports            []string // "alias path" of ours that have an alias
}

// sourceFiles reads the head of each Go file of the module.
func sourceFiles(t *testing.T) (list []sourceFile) {
	t.Helper()
	for _, path := range goFiles(t) {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", path), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		f := sourceFile{path: path, folder: strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "."), name: file.Name.Name}
		for _, spec := range file.Imports {
			if p, _ := strconv.Unquote(spec.Path.Value); spec.Name != nil && spec.Name.Name != "_" && strings.HasPrefix(p+"/", module+"/") {
				f.imports = append(f.imports, spec.Name.Name+" "+strings.TrimPrefix(p, module+"/"))
			}
		}
		list = append(list, f)
	}
	return list
}

// TestPublicPackages compares what can be imported with the list above.
func TestPublicPackages(t *testing.T) {
	found := map[string]bool{}
	for _, f := range sourceFiles(t) {
		first, _, _ := strings.Cut(f.folder, "/")
		if f.name == "main" || strings.HasSuffix(f.path, "_test.go") || slices.Contains(strings.Split(f.folder, "/"), "internal") ||
			slices.Contains([]string{"tests", "examples", "cmd"}, first) {
			continue
		}
		found[f.folder] = true
	}
	got := slices.Sorted(maps.Keys(found))
	if want := slices.Sorted(slices.Values(public)); !slices.Equal(got, want) {
		t.Errorf("got the public packages %q, want %q", got, want)
	}
}

// TestPackageNames: no two packages have one name, and nothing of ours is imported under another
// name, so that a name says which package is meant.
func TestPackageNames(t *testing.T) {
	named := map[string]string{}
	for _, f := range sourceFiles(t) {
		if name := strings.TrimSuffix(f.name, "_test"); name != "main" {
			if other, ok := named[name]; ok && other != f.folder {
				t.Errorf("%q and %q are both package %s", other, f.folder, name)
			}
			named[name] = f.folder
		}
		for _, alias := range f.imports {
			if !strings.Contains(alias, "/testdata/") {
				t.Errorf("%s imports %s, want it under its own name", f.path, alias)
			}
		}
	}
	if len(named) < len(public) {
		t.Errorf("got %d packages, want the module read", len(named))
	}
}

// TestPublicTypes: a public package shows only types of public packages: what it shows is in
// docs/api, whose names are clear as no two packages share one.
func TestPublicTypes(t *testing.T) {
	internal := map[string]bool{}
	for _, f := range sourceFiles(t) {
		if slices.Contains(strings.Split(f.folder, "/"), "internal") {
			internal[f.name] = true
		}
	}
	pages, err := filepath.Glob("../docs/api/*.txt")
	if err != nil || len(pages) != len(public) {
		t.Fatalf("got %d pages of docs/api, want one for each of %d packages: %v", len(pages), len(public), err)
	}
	needed := map[string]bool{}
	qualified := regexp.MustCompile(`\b([a-z]\w*)\.[A-Z]\w*`)
	for _, page := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		of := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(page), ".txt"), "_", "/")
		for line := range strings.Lines(string(b)) {
			for _, m := range qualified.FindAllStringSubmatch(line, -1) {
				if !internal[m[1]] {
					continue
				}
				why := ""
				for where := range shownInternal {
					if folder, what, _ := strings.Cut(where, " "); of == folder && strings.Contains(line, what) {
						why, needed[where] = where, true
					}
				}
				if why == "" {
					t.Errorf("%s shows %s: %s", of, m[0], strings.TrimSpace(line))
				}
			}
		}
	}
	for where := range shownInternal {
		if !needed[where] {
			t.Errorf("%q shows nothing internal any more: take it out", where)
		}
	}
}

// goFiles lists the files of Go of the module, without generated ones and test data.
func goFiles(t *testing.T) (list []string) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, other := os.Stat(filepath.Join(path, "go.mod"))
			if path != ".." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || other == nil) {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".pb.go") {
			list = append(list, strings.TrimPrefix(filepath.ToSlash(path), "../"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
