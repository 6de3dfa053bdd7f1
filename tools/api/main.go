// Command api lists the exported names of the library's packages, one text file for each
// package in docs/api, so that a reviewer sees a change of the API as a change of a file:
//
//	go -C tools run ./api            # accept the API as it is
//	go -C tools run ./api -check     # print what differs and exit 1
//
// A line is one constant, variable, function, method, type or field. Packages of
// programs, of tests and below internal are left out.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	root := flag.String("root", "..", "root of the repository")
	check := flag.Bool("check", false, "change nothing, fail when the API is not the one in docs/api")
	flag.Parse()
	if err := run(os.Stdout, *root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, root string, check bool) error {
	files, err := snapshot(root)
	if err != nil {
		return err
	}
	dir := filepath.Join(root, "docs", "api")
	old, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return err
	}
	for _, file := range old { // a removed package has no lines
		if _, ok := files[filepath.Base(file)]; !ok {
			files[filepath.Base(file)] = nil
		}
	}
	differs := false
	for name, now := range files {
		file := filepath.Join(dir, name)
		before, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		switch {
		case bytes.Equal(before, now):
		case check:
			differs = true
			diff(w, name, before, now)
		case now == nil:
			err = os.Remove(file)
		default:
			err = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(file, now, 0o644))
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if differs {
		return errors.New("the API is not the one in docs/api: if the change is wanted, run make api, commit docs/api and say in CHANGELOG.md what users have to do")
	}
	return nil
}

// snapshot returns the content of the files of docs/api by name.
func snapshot(root string) (map[string][]byte, error) {
	cfg := &packages.Config{Dir: root, Mode: packages.NeedName | packages.NeedTypes | packages.NeedModule}
	all, err := packages.Load(cfg, "./...")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, p := range all {
		if len(p.Errors) > 0 {
			return nil, fmt.Errorf("%s: %w", p.PkgPath, p.Errors[0])
		}
		rel := strings.TrimPrefix(strings.TrimPrefix(p.PkgPath, p.Module.Path), "/")
		if p.Name == "main" || hidden(rel) {
			continue
		}
		name := strings.ReplaceAll(rel, "/", "_")
		if rel == "" {
			name = p.Name
		}
		files[name+".txt"] = []byte(strings.Join(exported(p.Types), "\n") + "\n")
	}
	return files, nil
}

// hidden reports whether a package of the module is not for other modules.
func hidden(rel string) bool {
	parts := strings.Split(rel, "/")
	return slices.Contains(parts, "internal") || parts[0] == "tests" || parts[0] == "examples" || parts[0] == "cmd"
}

// diff prints the lines that only one of two sorted files has.
func diff(w io.Writer, name string, before, now []byte) {
	had, has := strings.Split(string(before), "\n"), strings.Split(string(now), "\n")
	for _, line := range had {
		if !slices.Contains(has, line) {
			fmt.Fprintf(w, "%s: - %s\n", name, line)
		}
	}
	for _, line := range has {
		if !slices.Contains(had, line) {
			fmt.Fprintf(w, "%s: + %s\n", name, line)
		}
	}
}
