package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// TestBill checks each part of a bill: the program, the time of its commit, the toolchain,
// and the modules in order, with what replaces one.
func TestBill(t *testing.T) {
	const sum = "h1:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
	got := bill(&debug.BuildInfo{
		GoVersion: "go1.26.8",
		Main:      debug.Module{Path: "example.org/own", Version: "v1.2.0+dirty"},
		Deps: []*debug.Module{
			{Path: "example.org/b", Version: "v1.0.0", Sum: sum},
			{Path: "example.org/a", Version: "v0.1.0", Replace: &debug.Module{Path: "example.org/fork", Version: "v0.2.0"}},
		},
		Settings: []debug.BuildSetting{{Key: "vcs.time", Value: "2026-11-22T10:00:00Z"}},
	})
	if got.Metadata.Timestamp != "2026-11-22T10:00:00Z" || got.SerialNumber != "" {
		t.Errorf("got time %q and serial number %q", got.Metadata.Timestamp, got.SerialNumber)
	}
	if m := got.Metadata.Component; m.PackageURL != "pkg:golang/example.org/own@v1.2.0%2Bdirty" || m.Type != cdx.ComponentTypeApplication {
		t.Errorf("got program %+v", m)
	}
	var urls []string
	for _, c := range *got.Components {
		urls = append(urls, c.PackageURL)
	}
	want := "pkg:golang/example.org/b@v1.0.0 pkg:golang/example.org/fork@v0.2.0 pkg:golang/std@1.26.8"
	if s := strings.Join(urls, " "); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
	hashes := (*got.Components)[0].Hashes
	if hashes == nil || (*hashes)[0].Value != "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20" {
		t.Errorf("got sums %+v", hashes)
	}
}

// TestRun writes the bill of a program that it builds, twice, and compares the files.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "sbom")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var files [2]string
	for i := range files {
		to := filepath.Join(dir, "bill.json")
		if err := run(to, []string{program}); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		files[i] = string(b)
	}
	if files[0] != files[1] {
		t.Errorf("two bills of one program differ:\n%s\n%s", files[0], files[1])
	}
	var read cdx.BOM
	if err := json.Unmarshal([]byte(files[0]), &read); err != nil || !strings.Contains(files[0], "pkg:golang/github.com/CycloneDX/cyclonedx-go@") {
		t.Errorf("got %v, %s", err, files[0])
	}
	if run("", nil) == nil || run("", []string{filepath.Join(dir, "none")}) == nil {
		t.Error("got no error without a program")
	}
}
