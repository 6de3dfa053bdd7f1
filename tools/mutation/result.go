package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// result is the kept result of a package.
type result struct {
	Package, Commit, Date string
	Percent, Seed         int
	Mutants               int // that compile and stand on a covered line
	Killed                int // by a test that failed, or a program that crashed
	TimedOut              []mutant
	Survived              []mutant
}

// score returns the percentage of mutants that were noticed, without unchanged ones, which
// change nothing.
func (r result) score(unchanged int) float64 {
	if r.Mutants == unchanged {
		return 100
	}
	return 100 * float64(r.Mutants-len(r.Survived)) / float64(r.Mutants-unchanged)
}

func resultsOf(root string) string { return filepath.Join(root, "tools/mutation/results") }

// writeResult writes the result of a package from its log, for its present files.
func writeResult(j job) error {
	known, err := readLog(j.Log)
	if err != nil {
		return err
	}
	commit, err := exec.Command("git", "-C", j.Root, "rev-parse", "--short=10", "HEAD").Output()
	if err != nil {
		return err
	}
	r := result{
		Package: j.Pkg, Commit: strings.TrimSpace(string(commit)), Date: time.Now().Format(time.DateOnly),
		Percent: j.Percent, Seed: j.Seed,
	}
	sources := map[string]string{}
	for _, m := range known {
		if _, ok := sources[m.File]; !ok {
			data, err := os.ReadFile(filepath.Join(j.Root, m.File))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			sources[m.File] = sourceHash(data)
		}
		if sources[m.File] != m.Source || !j.drawn(m) || m.Status == noBuild {
			continue
		}
		r.Mutants++
		switch m.Status {
		case killed:
			r.Killed++
		case timedOut:
			r.TimedOut = append(r.TimedOut, m)
		case survived:
			r.Survived = append(r.Survived, m)
		}
	}
	inOrder(r.TimedOut)
	inOrder(r.Survived)
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(resultsOf(j.Root), 0o755); err != nil {
		return err
	}
	fmt.Printf("%s: %d mutants, %d killed, %d timed out, %d survived\n", r.Package, r.Mutants, r.Killed, len(r.TimedOut), len(r.Survived))
	return os.WriteFile(filepath.Join(resultsOf(j.Root), slug(j.Pkg)+".json"), append(data, '\n'), 0o644)
}

func inOrder(list []mutant) {
	slices.SortFunc(list, func(a, b mutant) int {
		return cmp.Or(cmp.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column, cmp.Compare(a.To, b.To))
	})
}

func sourceHash(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data))[:12] }

func readResults(root string) (all []result, err error) {
	names, err := filepath.Glob(filepath.Join(resultsOf(root), "*.json"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var r result
		if err := json.Unmarshal(data, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, r)
	}
	return all, nil
}
