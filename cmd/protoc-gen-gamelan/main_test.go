package main

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

var update = flag.Bool("update", false, "write the generated file")

const (
	folder    = "testdata/greeter"
	committed = folder + "/greeter_gamelan.pb.go"
)

// descriptor returns what protoc makes of testdata/greeter/greeter.proto, with its comments:
//
//	protoc --include_source_info -I testdata/greeter -o testdata/greeter/greeter.binpb greeter.proto
func descriptor(t *testing.T) *descriptorpb.FileDescriptorProto {
	t.Helper()
	b, err := os.ReadFile(folder + "/greeter.binpb")
	if err != nil {
		t.Fatal(err)
	}
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(b, set); err != nil {
		t.Fatal(err)
	}
	return set.File[0]
}

// generated runs the plugin.
func generated(t *testing.T, file *descriptorpb.FileDescriptorProto) (string, error) {
	t.Helper()
	p, err := protogen.Options{}.New(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{file.GetName()}, ProtoFile: []*descriptorpb.FileDescriptorProto{file},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := generate(p); err != nil {
		return "", err
	}
	files := p.Response().File
	if len(files) != 1 {
		t.Fatalf("got %d files, want 1; error %v", len(files), p.Response().GetError())
	}
	return files[0].GetContent(), nil
}

// TestGenerated compares what the plugin makes with the committed file, which the other
// tests use. With protoc on the PATH, it does so through protoc as well.
func TestGenerated(t *testing.T) {
	got, err := generated(t, descriptor(t))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(committed, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(committed)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is stale: go test ./cmd/protoc-gen-gamelan -update. Got\n%s", committed, got)
	}
	protoc, err := exec.LookPath("protoc")
	if err != nil {
		t.Log("no protoc: the committed descriptor was tested, and not the .proto file")
		return
	}
	dir := t.TempDir()
	plugin := filepath.Join(dir, "protoc-gen-gamelan")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", plugin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), protoc, "--plugin=protoc-gen-gamelan="+plugin, "--gamelan_out="+dir,
		"--gamelan_opt=paths=source_relative", "-I", folder, "greeter.proto").CombinedOutput()
	if err != nil {
		t.Fatalf("protoc: %v\n%s", err, out)
	}
	through, err := os.ReadFile(filepath.Join(dir, "greeter_gamelan.pb.go"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(through, want) {
		t.Errorf("through protoc: got\n%s\nwant the committed file", through)
	}
}

// comment returns the location of a descriptor, whose comments a test may change.
func comment(f *descriptorpb.FileDescriptorProto, path ...int32) *descriptorpb.SourceCodeInfo_Location {
	for _, l := range f.SourceCodeInfo.Location {
		if slices.Equal(l.Path, path) {
			return l
		}
	}
	return nil
}

// Paths of the service and of its methods, in the order of the file.
var (
	servicePath = []int32{6, 0}
	getAll      = []int32{6, 0, 2, 0}
	getOne      = []int32{6, 0, 2, 1}
	forget      = []int32{6, 0, 2, 2}
)

// The numbers stay when methods change places: the generated file is the same.
func TestMethodsInAnotherOrder(t *testing.T) {
	want, err := generated(t, descriptor(t))
	if err != nil {
		t.Fatal(err)
	}
	f := descriptor(t)
	methods := f.Service[0].Method
	methods[0], methods[2] = methods[2], methods[0]
	comment(f, getAll...).Path, comment(f, forget...).Path = forget, getAll
	if got, err := generated(t, f); err != nil || got != want {
		t.Errorf("got %v and\n%s\nwant the same file", err, got)
	}
}

// Each fault is an error that says where, and what to write.
func TestFaults(t *testing.T) {
	leading := func(text string, path ...int32) func(*descriptorpb.FileDescriptorProto) {
		return func(f *descriptorpb.FileDescriptorProto) {
			l := comment(f, path...)
			l.LeadingComments, l.TrailingComments = new(text), nil
		}
	}
	for name, tt := range map[string]struct {
		change func(*descriptorpb.FileDescriptorProto)
		want   string
	}{
		"no number":        {leading(" It greets.\n", getOne...), `greeter.proto:23: method Greet needs one number, by which peers call it: write "// gamelan:method 7" above it`},
		"two numbers":      {leading(" gamelan:method 1\n gamelan:method 7\n", getOne...), "method Greet needs one number"},
		"no comment":       {leading("", forget...), `method Forget needs one number, by which peers call it: write "// gamelan:method 7" above it`},
		"no digits":        {leading(" gamelan:method one\n", getOne...), `method Greet has "one", which is not a number from 1 to 4294967295`},
		"zero":             {leading(" gamelan:method 0\n", getOne...), `method Greet has "0"`},
		"too large":        {leading(" gamelan:method 4294967296\n", getOne...), `method Greet has "4294967296"`},
		"a number twice":   {leading(" gamelan:method 3\n", getOne...), "method Greet has number 3, which is that of GreetAll; give a new method the number 4"},
		"reserved":         {leading(" gamelan:method 2\n", getOne...), "method Greet has number 2, which is reserved; give a new method the number 4"},
		"reserved, a word": {leading(" gamelan:protocol /a\n gamelan:reserved 2, x\n", servicePath...), `service Greeter reserves "x"`},
		"no protocol":      {leading(" Greetings.\n", servicePath...), `service Greeter needs one protocol id, by which peers know it: write "// gamelan:protocol /gamelan/test/greeter/Greeter/1" above it`},
		"a bad protocol":   {leading(" gamelan:protocol a,b\n", servicePath...), "service Greeter: "},
	} {
		f := descriptor(t)
		tt.change(f)
		if _, err := generated(t, f); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	f := descriptor(t)
	leading("", getAll...)(f)
	leading("", getOne...)(f)
	_, err := generated(t, f)
	if err == nil || !strings.Contains(err.Error(), "gamelan:method 7") || !strings.Contains(err.Error(), "gamelan:method 8") {
		t.Errorf("got %v, want both methods and a number for each", err)
	}
}

// A file without services makes nothing.
func TestNoService(t *testing.T) {
	f := descriptor(t)
	f.Service = nil
	f.SourceCodeInfo = nil
	p, err := protogen.Options{}.New(&pluginpb.CodeGeneratorRequest{FileToGenerate: []string{f.GetName()}, ProtoFile: []*descriptorpb.FileDescriptorProto{f}})
	if err != nil {
		t.Fatal(err)
	}
	if err := generate(p); err != nil || len(p.Response().File) != 0 {
		t.Errorf("got %d files, %v, want none", len(p.Response().File), err)
	}
}
