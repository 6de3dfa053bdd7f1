package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestIdentify(t *testing.T) {
	ours, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, text string
		want       []string
		err        string
	}{
		{"a text", string(ours), []string{"BSD-3-Clause"}, ""},
		{"a choice by its names", "See\n<!-- SPDX-License-Identifier: Apache-2.0 OR MIT -->", []string{"Apache-2.0", "MIT"}, ""},
		{"one that is not accepted", "SPDX-License-Identifier: MIT AND GPL-3.0-only", nil, "GPL-3.0-only is not accepted"},
		{"words", "Do what you like with it, please.", nil, "known licence"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := identify([]byte(tt.text))
			if !slices.Equal(got, tt.want) || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, %v, want %v, %q", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestLicencesInNeedsAFile(t *testing.T) {
	dir := t.TempDir()
	if got, err := licencesIn(dir); err == nil {
		t.Errorf("without any file: got %v, want an error", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "COPYING.txt"), []byte("SPDX-License-Identifier: ISC"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := licencesIn(dir); err != nil || !slices.Equal(got, []string{"ISC"}) {
		t.Errorf("got %v, %v, want ISC", got, err)
	}
}

// TestNeeds: a module is needed by each module of our imports from which imports lead to it, but
// not by one that only reaches it through another one of ours.
func TestNeeds(t *testing.T) {
	pkgs, err := decode(strings.NewReader(`{"ImportPath":"io"}
{"ImportPath":"deep","Module":{"Path":"deep","Indirect":true}}
{"ImportPath":"store/x","Imports":["io","zip"],"Module":{"Path":"store"}}
{"ImportPath":"store","Imports":["store/x"],"Module":{"Path":"store"}}
{"ImportPath":"zip","Imports":["deep","zip/z"],"Module":{"Path":"zip","Indirect":true}}
{"ImportPath":"zip/z","Imports":["zip"],"Module":{"Path":"zip","Indirect":true}}
{"ImportPath":"actors","Imports":["store","log"],"Module":{"Path":"actors"}}
{"ImportPath":"log","Imports":["deep","asked"],"Module":{"Path":"log","Indirect":true}}
{"ImportPath":"asked","Module":{"Path":"asked"}}
{"ImportPath":"ours","Imports":["io","actors","store"],"Module":{"Path":"ours","Main":true}}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"actors": {ours}, "store": {ours}, "zip": {"store"}, "deep": {"store", "actors"}, "log": {"actors"},
		"asked": {"actors"}, // our tests alone may import it, and they are no part of this build
	}
	if got := needs(pkgs); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestEveryDirectDependencyIsExplained holds go.mod against the table that says what each is for.
func TestEveryDirectDependencyIsExplained(t *testing.T) {
	out, err := exec.Command("go", "-C", "../..", "list", "-m", "-f", `{{if not (or .Main .Indirect)}}{{.Path}}{{end}}`, "all").Output()
	if err != nil {
		t.Fatal(err)
	}
	var modules []*module
	for _, path := range strings.Fields(string(out)) {
		modules = append(modules, &module{Path: path})
	}
	if err := explain(modules, filepath.Join("../..", reasons)); err != nil || len(modules) == 0 {
		t.Errorf("got %v of %d direct dependencies, want a line for each", err, len(modules))
	}
	if err := explain([]*module{{Path: "example.org/new"}}, filepath.Join("../..", reasons)); err == nil || !strings.Contains(err.Error(), "example.org/new") {
		t.Errorf("one without a line: got %v, want an error that names it", err)
	}
}

func TestRenderSaysWhoNeedsAModule(t *testing.T) {
	page := string(render([]*module{
		{Path: "github.com/a/store", Version: "v1.0.0", build: "library", licences: []string{"MIT"}, needs: []string{ours}, purpose: "the store"},
		{Path: "github.com/b/zip", Version: "v2.0.0", Indirect: true, build: "library", licences: []string{"MIT", "ISC"}, needs: []string{"c.org/log", "github.com/a/store"}},
	}, map[string]int{"library": 2, withoutDisk: 1}))
	for _, want := range []string{
		"has 2 modules.", "it has 1.\n", "| a/store | the store |\n", "| github.com/a/store | v1.0.0 | MIT | Gamelan |\n",
		"| github.com/b/zip | v2.0.0 | MIT, ISC | c.org/log, a/store |\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("got a page without %q:\n%s", want, page)
		}
	}
}

func TestCheckNeedsTheListOfToday(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.org/x\n\ngo 1.26.0\n", "x.go": "package x\n",
		"cmd/gamelan/main.go": "package main\n\nfunc main() {}\n", "docs/licences.md": "old", reasons: "",
	} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	if err := run(&out, root, true); err == nil || !strings.Contains(err.Error(), "make licences") {
		t.Errorf("a stale list: got %v, want an error that says how to mend it", err)
	}
	if err := run(&out, root, false); err != nil {
		t.Fatal(err)
	}
	if err := run(&out, root, true); err != nil {
		t.Errorf("after writing: got %v, want none", err)
	}
	if !strings.Contains(out.String(), "modules in the library: 0\n") {
		t.Errorf("got %q, want the count of modules", out.String())
	}
}
