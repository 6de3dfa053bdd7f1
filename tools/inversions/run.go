package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gamelan-p2p/gamelan/tools/internal/checklist"
)

// cited is a test that cites an item.
type cited struct{ Package, Test string }

func (c cited) String() string { return c.Test + " (" + c.Package + ")" }

// outcome is how a test ended with a rule inverted.
type outcome string

const (
	failed  outcome = "failed"
	hung    outcome = "hung" // counts as failed: it did not end in time
	passed  outcome = "passed"
	skipped outcome = "skipped"
	anyway  outcome = "fails anyway" // also without an inversion; not counted
)

// fell reports whether the test noticed the inversion.
func (o outcome) fell() bool { return o == failed || o == hung }

// runner tries inversions.
type runner struct {
	root    string
	invs    []*inversion // all inversions
	again   bool         // also tests with a known result
	src     *sources
	cites   map[string][]cited // by item, as in "comms 31"
	files   map[cited][]string // the files of a test
	results results
	jobs    int
	in      func(pkg string) bool // the packages whose tests are run; nil: all
	plan    map[string][]planned  // by inversion, the tests to run
	hashes  map[string]string     // by inversion and test
	out     io.Writer

	mu       sync.Mutex
	begin    time.Time
	done     int
	woven    *workcopy         // whose binaries, with no inversion chosen, are the code as it is
	binaries map[string]string // by package, its tests
	all      int
	clean    map[cited]clean
	copies   string // the directory of the copies
	grace    time.Duration
}

// clean is a test's run without inversions.
type clean struct {
	ok   bool
	took time.Duration
}

// against is the directory of tests with other implementations' nodes, which need their
// builds and take minutes; citations there are ignored.
const against = "tests/interop"

func citations(root string) (map[string][]cited, map[cited][]string, []string) {
	found, problems := checklist.Scan(root)
	cites, files := map[string][]cited{}, map[cited][]string{}
	for _, c := range found {
		pkg := path.Dir(c.File)
		if pkg == against || strings.HasPrefix(pkg, against+"/") {
			continue
		}
		test := cited{pkg, c.Test}
		key := fmt.Sprintf("%s %d", c.Area, c.Number)
		if !slices.Contains(cites[key], test) {
			cites[key] = append(cites[key], test)
		}
		if !slices.Contains(files[test], c.File) {
			files[test] = append(files[test], c.File)
		}
	}
	return cites, files, problems
}

func (inv *inversion) item() string { return fmt.Sprintf("%s %d", inv.area, inv.number) }

// hash returns a hash of the inversion, the files that it touches, and the test. During a run
// it stays that of the files at the beginning.
func (r *runner) hash(inv *inversion, t cited) (string, error) {
	key := inv.name + " " + t.String()
	if known, ok := r.hashes[key]; ok {
		return known, nil
	}
	h := sha256.New()
	fmt.Fprintln(h, t)
	io.WriteString(h, inv.text)
	names := slices.Clone(r.files[t])
	for _, e := range inv.edits {
		names = append(names, e.file)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		data, err := os.ReadFile(filepath.Join(r.root, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, name, len(data))
		h.Write(data)
	}
	r.hashes[key] = hex.EncodeToString(h.Sum(nil)[:8])
	return r.hashes[key], nil
}

// todo returns the tests to run for inv: those without a result, or, with again, all.
func (r *runner) todo(inv *inversion, again bool) (tests []planned) {
	for _, t := range r.cites[inv.item()] {
		if r.in != nil && !r.in(t.Package) {
			continue
		}
		hash, err := r.hash(inv, t)
		if o := r.known(inv, t); !again && err == nil && (o != "" && o != anyway || r.enough(inv, t)) {
			continue
		}
		tests = append(tests, planned{t, hash})
	}
	return tests
}

// known returns the kept outcome of a test for the present files, or "" if there is none.
func (r *runner) known(inv *inversion, t cited) outcome {
	for _, was := range r.results.byName[inv.name].Tests {
		if was.cited == t {
			if hash, err := r.hash(inv, t); err == nil && was.Hash == hash {
				return was.Outcome
			}
		}
	}
	return ""
}

// elsewhere reports whether t has failed under another inversion of the same item.
func (r *runner) elsewhere(inv *inversion, t cited) bool {
	return slices.ContainsFunc(r.invs, func(other *inversion) bool {
		return other != inv && other.item() == inv.item() && r.known(other, t).fell()
	})
}

// enough reports whether t need not run under inv: t has failed under another inversion of
// the same item, and another test has failed under inv.
func (r *runner) enough(inv *inversion, t cited) bool {
	return r.elsewhere(inv, t) && slices.ContainsFunc(r.cites[inv.item()], func(other cited) bool {
		return other != t && r.known(inv, other).fell()
	})
}

// planned is a test to run; hash is that of the files when the run began.
type planned struct {
	cited
	hash string
}

// run tries invs, first those that share one build.
func (r *runner) run(invs []*inversion) error {
	if err := os.MkdirAll(r.copies, 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(r.copies, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("another run uses %s; wait for its end, or set TMPDIR: %w", r.copies, err)
	}
	r.begin, r.all, r.clean = time.Now(), len(invs), map[cited]clean{}
	copied, err := newCopy(r.root, filepath.Join(r.copies, "woven"))
	if err != nil {
		return err
	}
	bin := filepath.Join(r.copies, "bin")
	files, woven, alone, err := r.compiled(copied, invs)
	if err != nil {
		return err
	}
	if err := copied.change(files); err != nil {
		return err
	}
	fmt.Fprintf(r.out, "inversions: %d in one build, %d in a build of their own; building the tests\n", len(woven), len(alone))
	tests := r.tests(invs)
	binaries, err := copied.tests(bin, packages(tests))
	if err != nil {
		return err
	}
	fmt.Fprintf(r.out, "inversions: %d tests, first without any inversion (%s so far)\n", len(tests), time.Since(r.begin).Round(time.Second))
	r.each(len(tests), func(i int) {
		e := r.test(copied, binaries, tests[i], "", 5*time.Minute)
		if e.outcome == failed { // once more, the machine may be loaded
			e = r.test(copied, binaries, tests[i], "", 5*time.Minute)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.clean[tests[i]] = clean{e.outcome == passed, e.took}
		if e.outcome != passed {
			fmt.Fprintf(r.out, "inversions: %s %s without an inversion: %s\n", tests[i], e.outcome, e.why)
		}
	})
	r.begin, r.woven, r.binaries = time.Now(), copied, binaries
	r.each(len(woven), func(i int) { r.try(copied, binaries, woven[i], woven[i].name) })
	if len(alone) == 0 {
		return nil
	}
	if copied, err = newCopy(r.root, filepath.Join(r.copies, "alone")); err != nil {
		return err
	}
	for _, inv := range alone {
		files, err := inv.plain(r.src)
		if err != nil {
			return err
		}
		if err := copied.change(files); err != nil {
			return err
		}
		binaries, err := copied.tests(filepath.Join(r.copies, "bin-alone"), packages(r.tests([]*inversion{inv})))
		if err != nil {
			r.keep(inv, result{Error: shorten(err.Error())})
			r.note(inv)
			continue
		}
		r.try(copied, binaries, inv, "")
	}
	return copied.change(nil)
}

var errorAt = regexp.MustCompile(`(?m)^(?:[^\s:]*/)?([\w-]+)\.go:\d+(?::\d+)?: (.*)$`)

// compiled weaves invs, without those that do not compile.
func (r *runner) compiled(c *workcopy, invs []*inversion) (files map[string]string, woven, alone []*inversion, err error) {
	for range 20 {
		if files, woven, alone, err = weave(r.src, invs); err != nil {
			return nil, nil, nil, err
		}
		if err := c.change(files); err != nil {
			return nil, nil, nil, err
		}
		text, err := c.goTool("build", "-gcflags=-e", "./...")
		if err == nil {
			return files, woven, alone, nil
		}
		bad := map[string]string{}
		for _, m := range errorAt.FindAllStringSubmatch(text, -1) {
			bad[m[1]] += m[2] + "; "
		}
		before := len(invs)
		invs = slices.DeleteFunc(slices.Clone(invs), func(inv *inversion) bool {
			if bad[inv.name] == "" {
				return false
			}
			r.keep(inv, result{Error: "does not compile: " + shorten(bad[inv.name])})
			r.note(inv)
			return true
		})
		if len(invs) == before {
			return nil, nil, nil, fmt.Errorf("the code with its inversions does not compile:\n%s", text)
		}
	}
	return nil, nil, nil, errors.New("the inversions do not compile")
}

func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return s
}

// try runs the cited tests of inv one by one.
func (r *runner) try(c *workcopy, binaries map[string]string, inv *inversion, chosen string) {
	r.mu.Lock()
	var first, then []planned
	for _, t := range r.plan[inv.name] {
		if r.elsewhere(inv, t.cited) {
			then = append(then, t)
		} else {
			first = append(first, t)
		}
	}
	r.mu.Unlock()
	for _, t := range append(first, then...) {
		r.mu.Lock()
		skip := !r.again && r.enough(inv, t.cited)
		r.mu.Unlock()
		if skip {
			continue
		}
		e := ended{outcome: anyway}
		if r.clean[t.cited].ok {
			e = r.tried(t.cited, func(limit time.Duration) ended {
				return r.test(c, binaries, t.cited, chosen, limit)
			}, func(limit time.Duration) ended {
				return r.test(r.woven, r.binaries, t.cited, "", limit)
			})
		}
		r.keep(inv, result{Tests: []tested{{t.cited, t.hash, e.outcome, e.why}}})
	}
	r.note(inv)
}

// tried accepts a failure only if the same test then passes without an inversion, within the
// same time, and fails again with it, so that flaky tests do not count. For a hung test once
// is enough.
func (r *runner) tried(t cited, inverted, plain func(limit time.Duration) ended) ended {
	limit := 4*r.clean[t].took + r.grace
	for range 3 {
		e := inverted(limit)
		if !e.fell() {
			return e
		}
		if plain(limit).outcome != passed {
			continue
		}
		if e.outcome == failed {
			return inverted(limit)
		}
		return e
	}
	return ended{outcome: anyway}
}

// keep keeps a result.
func (r *runner) keep(inv *inversion, res result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results.keep(inv.name, res, r.cites[inv.item()])
	if err := r.results.write(); err != nil {
		fmt.Fprintln(r.out, "inversions:", err)
	}
}

// note prints the result of inv.
func (r *runner) note(inv *inversion) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done++
	left := time.Since(r.begin) / time.Duration(r.done) * time.Duration(r.all-r.done)
	res := r.results.byName[inv.name]
	words := res.Error
	if words == "" {
		var not []string
		for _, t := range res.Tests {
			if !t.Outcome.fell() {
				not = append(not, fmt.Sprintf("%s %s %s", t.Package, t.Test, t.Outcome))
			}
		}
		words = fmt.Sprintf("%d of %d failed", len(res.Tests)-len(not), len(res.Tests))
		if len(not) > 0 {
			words += "; not: " + strings.Join(not, ", ")
		}
	}
	fmt.Fprintf(r.out, "[%d/%d, %s left] %s: %s\n", r.done, r.all, left.Round(time.Second), inv.name, words)
}

// ended is the end of a test's run; why is the first line about the failure or, for a hung
// test, the line where it waited.
type ended struct {
	outcome
	why  string
	took time.Duration
}

// test runs one test in its package's directory.
func (r *runner) test(c *workcopy, binaries map[string]string, t cited, chosen string, limit time.Duration) ended {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, binaries[t.Package], "-test.run", "^"+t.Test+"$", "-test.v", "-test.timeout", "0")
	cmd.Dir = filepath.Join(c.dir, t.Package)
	cmd.Env = append(os.Environ(), variable+"="+chosen)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // makes it print its stacks
	cmd.WaitDelay = 5 * time.Second
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(begin)
	if cmd.Process != nil {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it has started
	}
	switch {
	case ctx.Err() != nil:
		return ended{hung, waitedAt(string(out), t.Test), took}
	case err != nil:
		return ended{failed, failedWith(string(out)), took}
	case strings.Contains(string(out), "--- PASS: "+t.Test+" "):
		return ended{passed, "", took}
	}
	return ended{skipped, "", took}
}

var (
	failedAt = regexp.MustCompile(`(?m)^\s+\w+_test\.go:\d+: .*$|^panic: .*$|^fatal error: .*$`)
	frameOf  = regexp.MustCompile(`(?m)^\t\S*?(\w+_test\.go:\d+)`)
)

// failedWith returns the first line of a test's output about the failure.
func failedWith(out string) string { return shorten(failedAt.FindString(out)) }

// waitedAt returns the place in the test at which its goroutine waited, by the stacks in out.
func waitedAt(out, test string) string {
	for stack := range strings.SplitSeq(out, "\n\n") {
		if !strings.Contains(stack, "."+test) || strings.Contains(stack, "testing.(*T).Run(") || strings.Contains(stack, "internal/synctest.Run(") {
			continue
		}
		if m := frameOf.FindStringSubmatch(stack); m != nil && strings.Contains(stack, "testing.tRunner(") {
			return "waited at " + m[1]
		}
	}
	return ""
}

// each runs f(0) to f(n-1), r.jobs at a time.
func (r *runner) each(n int, f func(int)) {
	next := make(chan int)
	var wait sync.WaitGroup
	for range r.jobs {
		wait.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wait.Wait()
}

func (r *runner) tests(invs []*inversion) []cited {
	var tests []cited
	for _, inv := range invs {
		for _, t := range r.plan[inv.name] {
			if !slices.Contains(tests, t.cited) {
				tests = append(tests, t.cited)
			}
		}
	}
	return tests
}

func packages(tests []cited) []string {
	var pkgs []string
	for _, t := range tests {
		if !slices.Contains(pkgs, t.Package) {
			pkgs = append(pkgs, t.Package)
		}
	}
	return pkgs
}

// defaultJobs returns one less than the number of processors, but at least 1.
func defaultJobs() int { return max(1, runtime.NumCPU()-1) }
