package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// workcopy is a copy of the repository, including uncommitted changes, whose files are
// overwritten while inversions are tried. It is always at the same place, so that Go's build
// cache knows its packages.
type workcopy struct {
	root, dir string
	changed   map[string]bool // files that differ from the root's
}

func newCopy(root, dir string) (*workcopy, error) {
	c := &workcopy{root: root, dir: dir, changed: map[string]bool{}}
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the files of %s: %w", root, err)
	}
	want := map[string]bool{}
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		path := filepath.Join(root, name)
		if within, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(within) {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			continue // deleted and not committed, or a link to a directory
		}
		want[name] = true
		if err := c.put(name, data); err != nil {
			return nil, err
		}
	}
	return c, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if rel, _ := filepath.Rel(dir, path); strings.HasSuffix(rel, ".go") && !want[filepath.ToSlash(rel)] {
			return os.Remove(path)
		}
		return nil
	})
}

// put writes a file unless it has that content.
func (c *workcopy) put(name string, data []byte) error {
	path := filepath.Join(c.dir, name)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(filepath.Join(c.root, name)); err == nil {
		mode = info.Mode().Perm()
	}
	return os.WriteFile(path, data, mode)
}

// change restores the changed files and then writes files.
func (c *workcopy) change(files map[string]string) error {
	for name := range c.changed {
		if _, again := files[name]; again {
			continue
		}
		data, err := os.ReadFile(filepath.Join(c.root, name))
		if err != nil {
			err = os.Remove(filepath.Join(c.dir, name))
		} else {
			err = c.put(name, data)
		}
		if err != nil {
			return err
		}
		delete(c.changed, name)
	}
	for name, text := range files {
		if err := c.put(name, []byte(text)); err != nil {
			return err
		}
		c.changed[name] = true
	}
	return nil
}

// goTool runs the go command in the copy and returns what it printed.
func (c *workcopy) goTool(args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// tests builds the test binaries of pkgs, directories relative to the copy, into
// bin, and returns the path of each.
func (c *workcopy) tests(bin string, pkgs []string) (map[string]string, error) {
	paths := map[string]string{}
	for _, pkg := range pkgs {
		out := filepath.Join(bin, strings.ReplaceAll(pkg, "/", "_")+".test")
		if text, err := c.goTool("test", "-c", "-vet=off", "-o", out, "./"+pkg); err != nil {
			return nil, fmt.Errorf("build the tests of %s: %w\n%s", pkg, err, text)
		}
		paths[pkg] = out
	}
	return paths, nil
}
