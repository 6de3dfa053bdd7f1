// Command licences writes docs/licences.md: the licence of every module whose code is in the
// library, in cmd/gamelan or in the tests, and which direct dependency needs it. What a direct
// dependency is for is taken from docs/adr/0005-dependencies.md; one without a line there is an
// error. It prints the number of modules of each:
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

// builds are the sections of the list; a module is listed in the first one that needs it. One
// without a heading is counted only.
var builds = []struct {
	name, heading string
	args          []string // of go list
}{
	{"library", "In the library", []string{"."}},
	{withoutDisk, "", []string{"-tags", "nodisk", "."}},
	{"program", "In `cmd/gamelan` as well", []string{"./cmd/gamelan"}},
	{"tests", "In tests only", []string{"-test", "./..."}},
}

const withoutDisk = "library without the disk store"

// reasons is the file with the table that says what each direct dependency is for.
const reasons = "docs/adr/0005-dependencies.md"

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
	Main, Indirect     bool

	licences []string
	build    string   // the name of the first build that needs it
	needs    []string // who needs it in that build, sorted, see needs
	purpose  string   // of a direct dependency
}

// pkg is a package of a build. It has no module if it is of the standard library.
type pkg struct {
	ImportPath string
	Imports    []string
	Module     *module
}

// ours and foreign report whether the package is of this module, or of another one.
func (p *pkg) ours() bool    { return p.Module != nil && p.Module.Main }
func (p *pkg) foreign() bool { return p != nil && p.Module != nil && !p.Module.Main }

func run(w io.Writer, root string, check bool) error {
	modules, counts, err := list(root)
	if err != nil {
		return err
	}
	for _, b := range builds {
		fmt.Fprintf(w, "modules in the %s: %d\n", b.name, counts[b.name])
	}
	var unfit []error
	if err := explain(modules, filepath.Join(root, reasons)); err != nil {
		unfit = append(unfit, err)
	}
	for _, m := range modules {
		if m.licences, err = licencesIn(m.Dir); err != nil {
			unfit = append(unfit, fmt.Errorf("%s: %w", m.Path, err))
		}
	}
	if err := errors.Join(unfit...); err != nil {
		return err
	}
	file, page := filepath.Join(root, "docs", "licences.md"), render(modules, counts)
	if !check {
		return os.WriteFile(file, page, 0o644)
	}
	if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, page) {
		return fmt.Errorf("%s is stale: run make licences and commit it", file)
	}
	return nil
}

// list returns the modules of all builds on all systems, sorted by path, and how many there are
// in each build.
func list(root string) (modules []*module, counts map[string]int, err error) {
	found, counts := map[string]*module{}, map[string]int{}
	for _, b := range builds {
		of := map[string]bool{}
		for _, system := range systems {
			pkgs, err := goList(root, system.os, system.cgo, b.args)
			if err != nil {
				return nil, nil, err
			}
			for _, p := range pkgs {
				if m := p.Module; p.foreign() {
					of[m.Path] = true
					if found[m.Path] == nil {
						m.build = b.name
						found[m.Path] = m
					}
				}
			}
			for path, direct := range needs(pkgs) {
				if m := found[path]; m.build == b.name {
					m.needs = slices.Compact(slices.Sorted(slices.Values(append(m.needs, direct...))))
				}
			}
		}
		counts[b.name] = len(of)
	}
	return slices.SortedFunc(maps.Values(found), func(a, b *module) int { return cmp.Compare(a.Path, b.Path) }), counts, nil
}

// ours is the name of this module among those that need another.
const ours = "Gamelan"

// needs returns for each module who needs it: ours if our packages import it, otherwise the
// modules through which it comes in. Our packages import those, and from each of them a chain of
// imports leads to it that meets no other module that our packages import.
func needs(pkgs []*pkg) map[string][]string {
	named, direct := map[string]*pkg{}, map[string]bool{}
	for _, p := range pkgs {
		named[p.ImportPath] = p
	}
	for _, p := range pkgs {
		for _, name := range p.Imports {
			if next := named[name]; p.ours() && next.foreign() {
				direct[next.Module.Path] = true
			}
		}
	}
	by := map[string][]string{}
	for path := range direct {
		by[path] = []string{ours}
	}
	for _, p := range pkgs {
		if !p.foreign() || !direct[p.Module.Path] {
			continue
		}
		seen := map[*pkg]bool{}
		for todo := slices.Clone(p.Imports); len(todo) > 0; {
			next := named[todo[0]]
			todo = todo[1:]
			if seen[next] || !next.foreign() || direct[next.Module.Path] {
				continue
			}
			seen[next] = true
			if path := next.Module.Path; !slices.Contains(by[path], p.Module.Path) {
				by[path] = append(by[path], p.Module.Path)
			}
			todo = append(todo, next.Imports...)
		}
	}
	return by
}

// goList returns the packages of the build.
func goList(root, system, cgo string, args []string) ([]*pkg, error) {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=ImportPath,Imports,Module"}, args...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED="+cgo, "GOWORK=off")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%v: %w", cmd, err)
	}
	return decode(bytes.NewReader(out))
}

func decode(r io.Reader) ([]*pkg, error) {
	var pkgs []*pkg
	for d := json.NewDecoder(r); ; {
		p := &pkg{}
		switch err := d.Decode(p); {
		case errors.Is(err, io.EOF):
			return pkgs, nil
		case err != nil:
			return nil, err
		}
		pkgs = append(pkgs, p)
	}
}

// reason matches a line of the table: a module without "github.com/", what it is for, and why
// this one.
var reason = regexp.MustCompile(`(?m)^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$`)

// explain gives each direct dependency its purpose, from the table in file.
func explain(modules []*module, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	purposes := map[string]string{}
	for _, line := range reason.FindAllStringSubmatch(string(text), -1) {
		purposes[line[1]] = line[2]
	}
	var missing []error
	for _, m := range modules {
		if m.Indirect {
			continue
		}
		if m.purpose = purposes[short(m.Path)]; m.purpose == "" {
			missing = append(missing, fmt.Errorf("%s: no line says what it is for: add one to the table of %s", m.Path, reasons))
		}
	}
	return errors.Join(missing...)
}

// short is the name of a module in our own tables.
func short(path string) string { return strings.TrimPrefix(path, "github.com/") }

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

func render(modules []*module, counts map[string]int) []byte {
	var b bytes.Buffer
	fmt.Fprint(&b, "# Licences\n\n")
	fmt.Fprint(&b, "Gamelan is under the [3-clause BSD licence](../LICENSE). This is what it takes from others, with the licence of each module: what is\n")
	fmt.Fprint(&b, "compiled into a program that uses the library, what `cmd/gamelan` has beyond that, and what only tests have, on Linux,\n")
	fmt.Fprint(&b, "macOS and Windows taken together. Where several licences are named, a module has parts under each, or leaves the choice.\n\n")
	fmt.Fprintf(&b, "The library has %d modules. Built [without the disk store](install.md#smaller-programs) it has %d.\n\n", counts["library"], counts[withoutDisk])
	fmt.Fprint(&b, "The column \"needed by\" says through which of our direct dependencies a module comes in, by the graph of imports. The names there\n")
	fmt.Fprint(&b, "are without `github.com/`. \"Gamelan\" stands at the modules that our own packages import; the first table says what for.\n\n")
	fmt.Fprint(&b, "This file is made by `make licences`; `.ci/run` fails when it is stale.\n")
	fmt.Fprint(&b, "\n## Direct dependencies\n\nWhy these and no others stands in [ADR 5](adr/0005-dependencies.md).\n\n| module | for |\n|---|---|\n")
	for _, m := range modules {
		if !m.Indirect {
			fmt.Fprintf(&b, "| %s | %s |\n", short(m.Path), m.purpose)
		}
	}
	for _, build := range builds {
		if build.heading == "" {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n| module | version | licence | needed by |\n|---|---|---|---|\n", build.heading)
		for _, m := range modules {
			if m.build != build.name {
				continue
			}
			by := []string{ours} // on some systems it may come in through others
			if !slices.Contains(m.needs, ours) {
				by = nil
				for _, path := range m.needs {
					by = append(by, short(path))
				}
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", m.Path, m.Version, strings.Join(m.licences, ", "), strings.Join(by, ", "))
		}
	}
	return b.Bytes()
}
