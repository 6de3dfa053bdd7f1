package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// run runs the commands of the condition once. An error means that the run does not count:
// it was interrupted, or could not begin.
func (c condition) run(ctx context.Context, o options, n int) (result, error) {
	r := result{condition: c.name, began: time.Now().UTC()}
	out, err := os.Create(filepath.Join(o.logs, fmt.Sprintf("%s-%d.txt", c.name, n)))
	if err != nil {
		return r, err
	}
	defer out.Close()
	if c.loaded {
		stop, err := burners(o.load)
		if err != nil {
			return r, err
		}
		defer stop()
	}
	for _, command := range c.commands {
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = o.root, out, out
		ownGroup(cmd)
		err := cmd.Run()
		var exit *exec.ExitError
		switch {
		case ctx.Err() != nil:
			return r, ctx.Err()
		case errors.As(err, &exit):
			r.failed = append(r.failed, strings.Join(command, " "))
		case err != nil:
			return r, err
		}
	}
	r.took = time.Since(r.began).Round(time.Second)
	if len(r.failed) > 0 {
		names, err := failures(out.Name())
		if err != nil {
			return r, err
		}
		if len(names) > 0 {
			r.failed = names
		}
	}
	return r, nil
}

var failure = regexp.MustCompile(`^\s*--- FAIL: (\S+)|^FAIL\s+\S*gamelan-p2p/(\S+)|^(panic: .*|fatal error: .*|WARNING: DATA RACE)`)

// failures returns what failed by the words of go test.
func failures(file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var names []string
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if m := failure.FindStringSubmatch(lines.Text()); m != nil {
			if name := m[1] + m[2] + m[3]; !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, lines.Err()
}

// burners starts n processes that burn a processor each, and returns what ends them.
func burners(n int) (stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var inputs []io.Closer
	var all []*exec.Cmd
	stop = func() {
		for _, in := range inputs {
			in.Close()
		}
		for _, cmd := range all {
			_ = cmd.Wait()
		}
	}
	for range n {
		cmd := exec.Command(self, "-burn")
		in, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			stop()
			return nil, err
		}
		inputs, all = append(inputs, in), append(all, cmd)
	}
	return stop, nil
}

// burnUntilInputEnds also ends when the process that started it was killed.
func burnUntilInputEnds(in io.Reader) {
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, in)
		close(ended)
	}()
	for {
		select {
		case <-ended:
			return
		default:
		}
	}
}

// isPage reports whether a file of the repository is a page: no test's verdict on the code
// hangs on it.
func isPage(path string) bool {
	return strings.HasSuffix(path, ".md") || strings.HasPrefix(path, "docs/") || strings.HasPrefix(path, "bench/results/")
}

// codeOf returns a hash of all files that are committed and are no pages. It is an error if
// one of them was changed since.
func codeOf(root string) (string, error) {
	git := func(args ...string) (string, error) {
		out, err := exec.Command("git", append([]string{"-C", root}, args...)...).Output()
		if err != nil {
			return "", fmt.Errorf("git %s: %w", args[0], err)
		}
		return string(out), nil
	}
	changed, err := git("status", "--porcelain", "--untracked-files=all", "--no-renames")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(changed) {
		if path := strings.TrimSpace(line[2:]); !isPage(path) {
			return "", fmt.Errorf("%s is not committed; a run counts for a commit", path)
		}
	}
	files, err := git("ls-tree", "-r", "--full-tree", "HEAD")
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for line := range strings.Lines(files) {
		if _, path, _ := strings.Cut(strings.TrimSpace(line), "\t"); !isPage(path) {
			io.WriteString(hash, line)
		}
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:8]), nil
}
