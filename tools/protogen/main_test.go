package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const source = `syntax = "proto3";

package demo.things.v1;

option go_package = "example.org/demo;demo";

// Thing is one.
message Thing {
  bytes body = 1;
}
`

func TestStaleCodeIsFound(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "thing.proto")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(file, source)
	if err := run(dir, true); err == nil {
		t.Error("got no error before anything was generated")
	}
	if err := run(dir, false); err != nil {
		t.Fatal(err)
	}
	if err := run(dir, true); err != nil {
		t.Errorf("got %v for code just generated", err)
	}
	code, err := os.ReadFile(filepath.Join(dir, "thing.pb.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"// source: demo/things/v1/thing.proto", "// Thing is one.", "func (x *Thing) GetBody() []byte"} {
		if !strings.Contains(string(code), want) {
			t.Errorf("got no %q in the generated code", want)
		}
	}
	if strings.Contains(string(code), "protoc  ") {
		t.Error("got the version of a compiler in the generated code, want none")
	}

	write(file, strings.Replace(source, "bytes body = 1", "bytes body = 2", 1))
	if err := run(dir, true); err == nil || !strings.Contains(err.Error(), "thing.pb.go is stale: run make gen") {
		t.Errorf("got %v after a change, want it called stale", err)
	}
	write(file, source)
	write(filepath.Join(dir, "gone.pb.go"), "package demo\n")
	if err := run(dir, true); err == nil || !strings.Contains(err.Error(), "gone.pb.go has no .proto file") {
		t.Errorf("got %v with code that nothing generates, want it named", err)
	}
}
