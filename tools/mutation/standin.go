package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

const envName = "GAMELAN_MUTATION"

func (j job) env() string {
	data, err := json.Marshal(j)
	if err != nil {
		panic(err)
	}
	return envName + "=" + string(data)
}

// Exit codes of "go test" as Gremlins reads them. The real go command answers 1
// also to a mutant that does not compile, so that Gremlins would call it killed.
const (
	exitSurvived = 0
	exitKilled   = 1
	exitNoBuild  = 2
)

// standIn acts as the go command while Gremlins runs. It passes calls other than the test of
// a mutant to the real go command. It compiles and tests a mutant, and logs it with the test
// that noticed it.
func standIn(args []string) int {
	var j job
	if err := json.Unmarshal([]byte(os.Getenv(envName)), &j); err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		return exitNoBuild
	}
	if args[0] != "test" || args[1] != "-timeout" {
		err := syscall.Exec(j.Go, append([]string{"go"}, args...), os.Environ())
		fmt.Fprintln(os.Stderr, "mutation:", err)
		return exitNoBuild
	}
	dir, err := os.Getwd()
	if err == nil {
		var m mutant
		if m, err = findMutant(j, dir); err == nil {
			m.File = j.Pkg + "/" + m.File
			return j.judge(m, dir)
		}
	}
	fmt.Fprintln(os.Stderr, "mutation:", err)
	return exitNoBuild
}

func (j job) judge(m mutant, dir string) int {
	if !j.drawn(m) {
		return exitKilled
	}
	if m.Malformed { // such as the & that takes an address, made a |
		return exitNoBuild
	}
	if j.Again {
		known, err := readLog(j.Log)
		if err != nil {
			fmt.Fprintln(os.Stderr, "mutation:", err)
			return exitNoBuild
		}
		if k, ok := known[m.key()]; ok && k.Source == m.Source && k.Status != survived {
			return exitKilled
		}
	}
	code := j.try(&m, dir)
	if err := appendLog(j.Log, m); err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
	}
	return code
}

// drawn reports whether m belongs to the sample. A larger share with the same seed contains
// the smaller one.
func (j job) drawn(m mutant) bool {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", j.Seed, m.key())
	sum := h.Sum64()
	sum ^= sum >> 33 // the low bits alone depend on little more than the end of the key
	return int(sum%100) < j.Percent
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

func (j job) try(m *mutant, dir string) int {
	bin := filepath.Join(os.TempDir(), "mutant.test")
	build := exec.Command(j.Go, "test", "-c", "-vet=off", "-ldflags=-s -w", "-o", bin, ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		m.Status, m.By = noBuild, string(bytes.TrimSpace(out[:min(len(out), 200)]))
		return exitNoBuild
	}
	defer os.Remove(bin)

	// The test's own limit ends it with all stacks; the context is for a
	// process that no longer obeys. The memory is limited, since some mutants
	// are endless loops that allocate.
	ctx, cancel := context.WithTimeout(context.Background(), j.Timeout+20*time.Second)
	defer cancel()
	test := exec.CommandContext(ctx, "sh", "-c", "ulimit -v 8000000; exec "+bin+` -test.failfast -test.timeout="$1"`, "sh", j.Timeout.String())
	test.Dir = dir
	begin := time.Now()
	out, err := test.CombinedOutput()
	m.Seconds = int(time.Since(begin).Seconds())
	if err == nil {
		m.Status = survived
		return exitSurvived
	}
	m.Status = killed
	if hung := regexp.MustCompile(`test timed out after|^SIGKILL`); ctx.Err() != nil || hung.Match(out) {
		m.Status = timedOut
	}
	if f := failed.FindSubmatch(out); f != nil {
		m.By = string(f[1])
	} else if r := regexp.MustCompile(`(?m)^(panic|fatal error|runtime): .{0,80}`).Find(out); r != nil {
		m.By = string(r)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		m.By = err.Error()
	}
	return exitKilled
}
