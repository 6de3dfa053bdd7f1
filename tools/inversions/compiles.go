package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"path/filepath"
	"strings"
	"sync"

	loaded "golang.org/x/tools/go/packages"
)

// uncompiled returns what the compiler would say of each inversion that does not compile, in their order. One that
// does not compile shows nothing.
func uncompiled(root string, invs []*inversion, src *sources) ([]string, error) {
	seen, dirs := map[string]bool{}, []string{}
	for _, inv := range invs {
		for _, e := range inv.edits {
			if dir := "./" + path.Dir(e.file); !seen[dir] {
				seen[dir] = true
				dirs = append(dirs, dir)
			}
		}
	}
	cfg := &loaded.Config{Dir: root, Fset: token.NewFileSet(), Mode: loaded.NeedName | loaded.NeedFiles | loaded.NeedCompiledGoFiles |
		loaded.NeedImports | loaded.NeedTypes | loaded.NeedTypesSizes | loaded.NeedSyntax | loaded.NeedTypesInfo | loaded.NeedDeps | loaded.NeedExportFile}
	all, err := loaded.Load(cfg, dirs...)
	if err != nil {
		return nil, err
	}
	in := map[string]*loaded.Package{}
	for _, p := range all {
		if len(p.Errors) > 0 {
			return nil, fmt.Errorf("%s: %w", p.PkgPath, p.Errors[0])
		}
		if len(p.GoFiles) > 0 {
			dir, err := filepath.Rel(root, filepath.Dir(p.GoFiles[0]))
			if err != nil {
				return nil, err
			}
			in[filepath.ToSlash(dir)] = p
		}
	}
	said := make([]string, len(invs))
	var checks sync.WaitGroup
	places := make(chan struct{}, defaultJobs()+1)
	for i, inv := range invs {
		texts, woven, err := inv.whole(src)
		if err != nil {
			said[i] = err.Error()
			continue
		}
		places <- struct{}{}
		checks.Go(func() {
			defer func() { <-places }()
			if err := compiles(cfg.Fset, in, root, texts, woven); err != nil {
				said[i] = fmt.Sprintf("%s does not compile: %v", inv.name, err)
			}
		})
	}
	checks.Wait()
	var complaints []string
	for _, s := range said {
		if s != "" {
			complaints = append(complaints, s)
		}
	}
	return complaints, nil
}

// whole returns the files that inv changes, with what it changes alone. woven is as fits of bodies.
func (inv *inversion) whole(src *sources) (texts map[string]string, woven bool, err error) {
	changed, woven, err := inv.bodies(src)
	if err != nil {
		return nil, false, err
	}
	if !woven {
		texts, err = inv.plain(src)
		return texts, false, err
	}
	texts = map[string]string{}
	for file, bodies := range changed {
		s := src.files[file]
		text, last := "", 0
		for _, f := range s.funcs {
			if body, ok := bodies[f.name]; ok {
				text += s.text[last:f.open+1] + body
				last = f.close
			}
		}
		texts[file] = text + s.text[last:]
	}
	return texts, true, nil
}

// compiles type-checks the packages of the changed files. Imports that only the original code uses are used in a woven
// binary, which has it beside.
func compiles(fset *token.FileSet, in map[string]*loaded.Package, root string, texts map[string]string, woven bool) (first error) {
	done := map[string]bool{}
	for name := range texts {
		dir := path.Dir(name)
		p := in[dir]
		if p == nil {
			return fmt.Errorf("there is no package in %s", dir)
		}
		if done[dir] {
			continue
		}
		done[dir] = true
		var files []*ast.File
		for i, file := range p.CompiledGoFiles {
			rel, err := filepath.Rel(root, file)
			if err != nil {
				return err
			}
			text, changed := texts[filepath.ToSlash(rel)]
			if !changed {
				files = append(files, p.Syntax[i])
				continue
			}
			parsed, err := parser.ParseFile(fset, path.Base(file), text, 0)
			if err != nil {
				return err
			}
			files = append(files, parsed)
		}
		check := types.Config{
			Importer: importedBy{p}, Sizes: p.TypesSizes,
			Error: func(err error) {
				if unused := strings.Contains(err.Error(), "imported and not used"); first == nil && !(unused && woven) {
					first = err
				}
			},
		}
		_, _ = check.Check(p.PkgPath, fset, files, nil) // Error has what is wrong
	}
	return first
}

// importedBy finds what a package imports.
type importedBy struct{ p *loaded.Package }

func (i importedBy) Import(name string) (*types.Package, error) {
	if name == "unsafe" {
		return types.Unsafe, nil
	}
	if p := i.p.Imports[name]; p != nil && p.Types != nil {
		return p.Types, nil
	}
	return nil, fmt.Errorf("%s does not import %s", i.p.PkgPath, name)
}
