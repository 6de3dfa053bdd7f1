// Command licences writes docs/licences.md: the licence of every module whose code is in the
// library, in cmd/gamelan or in the tests. It prints the number of modules of each:
//
//	go -C tools run ./licences            # write the list
//	go -C tools run ./licences -check     # exit 1 when it is stale
//
// google/licensecheck, which pkg.go.dev uses, recognises the texts; for a file without a
// known text the SPDX line counts. A module with an unknown or not accepted licence is an
// error.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// accepted are the licences that are compatible with ours, BSD-3-Clause, in one program.
// MPL-2.0 requires that changes to its own files be published; we change none.
var accepted = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MPL-2.0", "Unlicense"}

// covered is the percentage of a licence file that must be text of licences; the rest may
// name the authors.
const covered = 75

// systems are the systems whose builds are listed together, so that the list is the same on
// every machine. With cgo, some code is C.
var systems = []struct{ os, cgo string }{{"linux", "1"}, {"linux", "0"}, {"darwin", "1"}, {"windows", "1"}}

// builds are the sections of the list; a module is listed in the first one that needs it.
var builds = []struct {
	name string
	args []string // of go list
}{
	{"library", []string{"."}},
	{"program", []string{"./cmd/gamelan"}},
	{"tests", []string{"-test", "./..."}},
}

func main() {
	root := flag.String("root", "..", "root of the repository")
	check := flag.Bool("check", false, "change nothing, fail when docs/licences.md is stale")
	flag.Parse()
	if err := run(os.Stdout, *root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

// module is a module with code in a build.
type module struct {
	Path, Version, Dir string
	Main               bool

	licences []string
	build    string // the name of the first build that needs it
}

func run(w io.Writer, root string, check bool) error {
	modules, err := list(w, root)
	if err != nil {
		return err
	}
	var unfit []error
	for _, m := range modules {
		if m.licences, err = licencesIn(m.Dir); err != nil {
			unfit = append(unfit, fmt.Errorf("%s: %w", m.Path, err))
		}
	}
	if err := errors.Join(unfit...); err != nil {
		return err
	}
	file, page := filepath.Join(root, "docs", "licences.md"), render(modules)
	if !check {
		return os.WriteFile(file, page, 0o644)
	}
	if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, page) {
		return fmt.Errorf("%s is stale: run make licences and commit it", file)
	}
	return nil
}

// list returns the modules of all builds on all systems, sorted by path, and
// prints how many there are for each build.
func list(w io.Writer, root string) ([]*module, error) {
	found := map[string]*module{}
	for _, b := range builds {
		of := map[string]bool{}
		for _, system := range systems {
			ms, err := goList(root, system.os, system.cgo, b.args)
			if err != nil {
				return nil, err
			}
			for _, m := range ms {
				of[m.Path] = true
				if found[m.Path] == nil {
					m.build = b.name
					found[m.Path] = m
				}
			}
		}
		fmt.Fprintf(w, "modules in the %s: %d\n", b.name, len(of))
	}
	return slices.SortedFunc(maps.Values(found), func(a, b *module) int { return cmp.Compare(a.Path, b.Path) }), nil
}

// goList returns the modules that packages of the build come from, each once.
func goList(root, system, cgo string, args []string) ([]*module, error) {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=Module"}, args...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED="+cgo, "GOWORK=off")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%v: %w", cmd, err)
	}
	return decode(bytes.NewReader(out))
}

func decode(r io.Reader) ([]*module, error) {
	var modules []*module
	for d, seen := json.NewDecoder(r), map[string]bool{}; ; {
		var p struct{ Module *module }
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return modules, nil
		case err != nil:
			return nil, err
		}
		if m := p.Module; m != nil && !m.Main && !seen[m.Path] {
			seen[m.Path] = true
			modules = append(modules, m)
		}
	}
}

// licenceFile matches the name of a file with a licence.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([-._].*)?$`)

// licencesIn returns the licences of the module in dir, by their SPDX names.
func licencesIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.Type().IsRegular() || !licenceFile.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		in, err := identify(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		names = append(names, in...)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no licence in %s", dir)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// spdxLine matches a line that names licences without their texts.
var spdxLine = regexp.MustCompile(`SPDX-License-Identifier: ((?:[A-Za-z0-9.-]+)(?: (?:OR|AND) [A-Za-z0-9.-]+)*)`)

// identify returns the SPDX names of the licences that a text is or names.
func identify(text []byte) (names []string, err error) {
	of := licensecheck.Scan(text)
	if line := spdxLine.FindSubmatch(text); of.Percent < covered && line != nil {
		for _, word := range strings.Fields(string(line[1])) {
			if word != "OR" && word != "AND" {
				names = append(names, word)
			}
		}
	} else if of.Percent < covered {
		return nil, fmt.Errorf("only %.0f %% of it is the text of a known licence: read it and teach tools/licences", of.Percent)
	}
	if len(names) == 0 {
		for _, m := range of.Match {
			names = append(names, m.ID)
		}
	}
	for _, name := range names {
		if !slices.Contains(accepted, name) {
			return nil, fmt.Errorf("licence %s is not accepted: do without the module, or decide otherwise in docs/adr/0005-dependencies.md", name)
		}
	}
	return names, nil
}

func render(modules []*module) []byte {
	var b bytes.Buffer
	fmt.Fprint(&b, "# Licences\n\n")
	fmt.Fprint(&b, "Gamelan is under the [3-clause BSD licence](../LICENSE). This is what it takes from others, with the licence of each module: what is\n")
	fmt.Fprint(&b, "compiled into a program that uses the library, what `cmd/gamelan` has beyond that, and what only tests have, on Linux,\n")
	fmt.Fprint(&b, "macOS and Windows taken together. Where several licences are named, a module has parts under each, or leaves the choice.\n")
	fmt.Fprint(&b, "Why each direct dependency is there stands in [ADR 5](adr/0005-dependencies.md).\n\n")
	fmt.Fprint(&b, "This file is made by `make licences`; `.ci/run` fails when it is stale.\n")
	for i, build := range builds {
		heading := []string{"In the library", "In `cmd/gamelan` as well", "In tests only"}[i]
		fmt.Fprintf(&b, "\n## %s\n\n| module | version | licence |\n|---|---|---|\n", heading)
		for _, m := range modules {
			if m.build == build.name {
				fmt.Fprintf(&b, "| %s | %s | %s |\n", m.Path, m.Version, strings.Join(m.licences, ", "))
			}
		}
	}
	return b.Bytes()
}
