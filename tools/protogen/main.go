// Command protogen generates the Go code of the module's .proto files. It does
// what protoc with protoc-gen-go does, with a compiler written in Go, so that
// nothing has to be installed:
//
//	go -C tools run ./protogen            # write internal/protocol/pb/*.pb.go
//	go -C tools run ./protogen -check     # exit 1 when they are stale
//
// A file is registered under a path made of its protobuf package, such as
// gamelan/comms/v1/identity.proto, since that path must be unique in a program.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	dir := flag.String("dir", "../internal/protocol/pb", "folder of the .proto files")
	check := flag.Bool("check", false, "change nothing, fail when the generated code is stale")
	flag.Parse()
	if err := run(*dir, *check); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

func run(dir string, check bool) error {
	generated, err := generate(dir)
	if err != nil {
		return err
	}
	if !check {
		for name, content := range generated {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				return err
			}
		}
		return nil
	}
	var stale []error
	for name, content := range generated {
		have, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(have, content) {
			stale = append(stale, fmt.Errorf("%s is stale: run make gen and commit it", filepath.Join(dir, name)))
		}
	}
	existing, err := filepath.Glob(filepath.Join(dir, "*.pb.go"))
	if err != nil {
		return err
	}
	for _, file := range existing {
		if _, ok := generated[filepath.Base(file)]; !ok {
			stale = append(stale, fmt.Errorf("%s has no .proto file: delete it", file))
		}
	}
	return errors.Join(stale...)
}

// packageLine matches the package statement of a .proto file.
var packageLine = regexp.MustCompile(`(?m)^package ([a-z0-9_.]+);`)

// generate compiles every .proto file in dir and returns the generated files by name.
func generate(dir string) (map[string][]byte, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.proto"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no .proto file in %s", dir)
	}
	sources, names := map[string][]byte{}, []string{}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		m := packageLine.FindSubmatch(src)
		if m == nil {
			return nil, fmt.Errorf("%s has no package statement", file)
		}
		name := path.Join(strings.ReplaceAll(string(m[1]), ".", "/"), filepath.Base(file))
		sources[name], names = src, append(names, name)
	}
	compiler := protocompile.Compiler{
		SourceInfoMode: protocompile.SourceInfoStandard,
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			Accessor: func(name string) (io.ReadCloser, error) {
				src, ok := sources[name]
				if !ok {
					return nil, os.ErrNotExist
				}
				return io.NopCloser(bytes.NewReader(src)), nil
			},
		}),
	}
	compiled, err := compiler.Compile(context.Background(), names...)
	if err != nil {
		return nil, err
	}
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: names}
	seen := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		imports := file.Imports()
		for i := range imports.Len() {
			add(imports.Get(i).FileDescriptor)
		}
		request.ProtoFile = append(request.ProtoFile, protodesc.ToFileDescriptorProto(file))
	}
	for _, file := range compiled {
		add(file)
	}
	plugin, err := protogen.Options{}.New(request)
	if err != nil {
		return nil, err
	}
	for _, file := range plugin.Files {
		if file.Generate {
			internal_gengo.GenerateFile(plugin, file)
		}
	}
	response := plugin.Response()
	if response.Error != nil {
		return nil, errors.New(response.GetError())
	}
	generated := map[string][]byte{}
	for _, f := range response.File {
		generated[path.Base(f.GetName())] = withoutCompiler([]byte(f.GetContent()))
	}
	return generated, nil
}

// withoutCompiler drops the line that names the version of protoc: which
// compiler read the files does not matter to the code.
func withoutCompiler(src []byte) []byte {
	return regexp.MustCompile(`(?m)^// \tprotoc  .*\n`).ReplaceAll(src, nil)
}
