package main

import (
	"os"
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

func TestDecodeLeavesOutOursAndTheStandardLibrary(t *testing.T) {
	got, err := decode(strings.NewReader(`{}
{"Module":{"Path":"ours","Main":true}}
{"Module":{"Path":"a","Version":"v1.0.0","Dir":"/a"}}
{"Module":{"Path":"a","Version":"v1.0.0","Dir":"/a"}}
`))
	if err != nil || len(got) != 1 || got[0].Path != "a" {
		t.Errorf("got %v, %v, want the module a once", got, err)
	}
}

func TestCheckNeedsTheListOfToday(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.org/x\n\ngo 1.26.0\n", "x.go": "package x\n",
		"cmd/gamelan/main.go": "package main\n\nfunc main() {}\n", "docs/licences.md": "old",
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
