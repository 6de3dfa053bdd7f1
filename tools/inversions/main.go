// Command inversions inverts the rules of the checklists in docs/conformance in the code, one
// after another, and checks that the tests that cite them fail.
//
//	go -C tools run ./inversions                     # what is new since the last run; writes docs/inversions.md
//	go -C tools run ./inversions -only comms-031,dht # some, whether new or not
//	go -C tools run ./inversions -report             # write docs/inversions.md from the kept results
//	go -C tools run ./inversions -check              # every inversion applies, and none is missing
//
// An inversion is a text file; docs/inversions.md describes its form.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/tools/internal/checklist"
)

func main() {
	o := options{copies: filepath.Join(os.TempDir(), "gamelan-inversions"), grace: 20 * time.Second}
	flag.StringVar(&o.root, "root", "..", "root of the repository")
	flag.BoolVar(&o.check, "check", false, "only see that every inversion applies and compiles, and that none is missing")
	flag.BoolVar(&o.report, "report", false, "only write docs/inversions.md")
	flag.StringVar(&o.only, "only", "", "inversions to try, also those whose result is known: comms-031,dht-007-b,V")
	flag.StringVar(&o.in, "in", "", "only tests of packages that this expression matches, such as ^dht$; of others earlier results stand")
	flag.IntVar(&o.jobs, "jobs", defaultJobs(), "tests to run at a time")
	flag.Parse()
	if err := run(os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, "inversions:", err)
		os.Exit(1)
	}
}

type options struct {
	root          string
	check, report bool
	only, in      string
	jobs          int
	copies        string        // where the copies of the repository are
	grace         time.Duration // beyond four times its time, before a test counts as hung
}

func run(out io.Writer, o options) error {
	root, err := filepath.Abs(o.root)
	if err != nil {
		return err
	}
	lists, err := checklist.Read(filepath.Join(root, "docs", "conformance"))
	if err != nil {
		return err
	}
	invs, err := readInversions(filepath.Join(root, "tools", "inversions"))
	if err != nil {
		return err
	}
	src := &sources{root, map[string]*source{}}
	if o.check {
		return runCheck(out, root, lists, invs, src)
	}
	r := &runner{root: root, src: src, jobs: o.jobs, out: out, invs: invs, again: o.only != "", plan: map[string][]planned{}, hashes: map[string]string{}, copies: o.copies, grace: o.grace}
	var problems []string
	if r.cites, r.files, problems = citations(root); len(problems) > 0 {
		return fmt.Errorf("wrong citations: %s", strings.Join(problems, "; "))
	}
	if r.results, err = readResults(filepath.Join(root, "tools", "inversions", "results.json")); err != nil {
		return err
	}
	if o.in != "" {
		expr, err := regexp.Compile(o.in)
		if err != nil {
			return fmt.Errorf("-in: %w", err)
		}
		r.in = expr.MatchString
	}
	r.forget(invs)
	if o.report {
		return r.writeReport(lists, invs)
	}
	var todo []*inversion
	for _, inv := range invs {
		if _, _, err := inv.bodies(src); err != nil {
			fmt.Fprintf(out, "%v\n", err)
			delete(r.results.byName, inv.name)
			continue
		}
		if o.only != "" && !chosen(inv, o.only) {
			continue
		}
		if tests := r.todo(inv, r.again); len(tests) > 0 {
			todo, r.plan[inv.name] = append(todo, inv), tests
		}
	}
	if len(todo) > 0 {
		if err := r.run(todo); err != nil {
			return err
		}
	}
	return r.writeReport(lists, invs)
}

func chosen(inv *inversion, only string) bool {
	for name := range strings.SplitSeq(only, ",") {
		if name != "" && (inv.name == name || strings.HasPrefix(inv.name, name+"-")) {
			return true
		}
	}
	return false
}

// forget removes results of inversions that no longer exist.
func (r *runner) forget(invs []*inversion) {
	for name := range r.results.byName {
		if !slices.ContainsFunc(invs, func(inv *inversion) bool { return inv.name == name }) {
			delete(r.results.byName, name)
		}
	}
}
