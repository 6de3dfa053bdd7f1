// Command skipped reads the output of go test -json. It prints the output of failed tests,
// names every skipped test, lists the slowest packages, and exits 1 when a test failed or was
// skipped: in CI a test that does not run proves nothing.
//
//	go test -json ./... | skipped
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "skipped:", err)
		os.Exit(1)
	}
}

// lastWords is how many lines are printed of a test that did not end.
const lastWords = 100

// event is one line of go test -json.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64 // seconds
}

func (e event) name() string { return strings.TrimSpace(e.Package + " " + e.Test) }

func run(in io.Reader, out io.Writer) error {
	output := map[string][]string{} // of tests still running, by name
	var slow []event
	var passed int
	var skips, failures []string
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(out, lines.Text()) // the go command's own words
			continue
		}
		name := e.name()
		switch e.Action {
		case "output":
			output[name] = append(output[name], e.Output)
			if strings.Contains(e.Output, "DATA RACE") { // perhaps of a test that passes
				fmt.Fprintf(out, "%s: %s", name, e.Output)
			}
		case "build-output":
			fmt.Fprint(out, e.Output)
		case "build-fail":
			failures = append(failures, "build of "+e.ImportPath)
		case "fail":
			failures = append(failures, name)
			fmt.Fprint(out, strings.Join(output[name], ""))
			if e.Test == "" { // of tests that never ended: the process did
				for _, test := range slices.Sorted(maps.Keys(output)) {
					if lines := output[test]; strings.HasPrefix(test, e.Package+" ") {
						failures = append(failures, test+" (did not end)")
						fmt.Fprint(out, strings.Join(lines[max(0, len(lines)-lastWords):], ""))
						delete(output, test)
					}
				}
			}
		case "skip":
			if e.Test != "" { // else a package without tests
				skips = append(skips, name)
				fmt.Fprint(out, strings.Join(output[name], ""))
			}
		case "pass":
			if e.Test != "" {
				passed++
			} else {
				slow = append(slow, e)
			}
		}
		if e.Action == "fail" || e.Action == "skip" || e.Action == "pass" {
			delete(output, name)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	slices.SortFunc(slow, func(a, b event) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	for _, e := range slow[:min(5, len(slow))] {
		fmt.Fprintf(out, "%6.1fs  %s\n", e.Elapsed, e.Package)
	}
	fmt.Fprintf(out, "%d tests passed, %d failed, %d skipped\n", passed, len(failures), len(skips))
	var errs []error
	if len(failures) > 0 {
		errs = append(errs, fmt.Errorf("failed: %s", strings.Join(failures, ", ")))
	}
	if len(skips) > 0 {
		errs = append(errs, fmt.Errorf("skipped, which is a failure here: %s", strings.Join(skips, ", ")))
	}
	if passed == 0 && len(errs) == 0 {
		errs = append(errs, errors.New("no test ran"))
	}
	return errors.Join(errs...)
}
