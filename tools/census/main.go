// Command census runs the whole of the tests many times, in the conditions under which tests
// that hang on time or on the order of goroutines fail, and writes docs/census.md.
//
//	go -C tools run ./census                    # what is missing of 10 runs in each condition
//	go -C tools run ./census -runs 30 -only quiet
//
// It continues where it was stopped. Runs count for the code that they ran: a commit that
// changes pages only keeps them, any other commit begins anew.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.root, "root", "..", "root of the repository")
	flag.IntVar(&o.runs, "runs", 10, "runs in each condition; of the long ones half as many")
	flag.IntVar(&o.load, "load", runtime.NumCPU(), "processes that burn a processor each, beside the loaded runs")
	flag.StringVar(&o.only, "only", "", "conditions to run, by name, with commas between them; empty: all")
	flag.StringVar(&o.logs, "logs", filepath.Join(os.TempDir(), "gamelan-census"), "folder for the output of each run")
	burn := flag.Bool("burn", false, "burn a processor until the standard input ends (used by this program)")
	flag.Parse()
	if *burn {
		burnUntilInputEnds(os.Stdin)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "census:", err)
		os.Exit(1)
	}
}

type options struct {
	root, only, logs string
	runs, load       int
}

// condition is one way to run the tests.
type condition struct {
	name, what string
	half       bool // takes long: half the runs
	loaded     bool // beside processes that burn
	commands   [][]string
}

func goTest(args ...string) []string {
	return append(append([]string{"go", "test", "-count=1"}, args...), "./...")
}

// conditions returns the conditions of run number n; those with one processor take turns.
func conditions(n int) []condition {
	one := condition{name: "shuffled", commands: [][]string{append([]string{"env", "GOMAXPROCS=1"}, goTest("-shuffle=on")...)}}
	if n%2 == 0 {
		one.commands = [][]string{goTest("-cpu=1,4", "-shuffle=on", "-timeout=20m")}
	}
	one.what = "`GOMAXPROCS=1` and `-cpu 1,4` in turn, `-shuffle on`"
	return []condition{
		{name: "quiet", what: "nothing beside it", commands: [][]string{goTest()}},
		{name: "loaded", what: "a process on each processor burns it", loaded: true, commands: [][]string{goTest()}},
		one,
		{name: "race", what: "the race detector", half: true, commands: [][]string{{"bash", "tools/tests.sh", "raced", "-count=1"}, {"bash", "tools/tests.sh", "raced_in_bubbles", "-count=1"}}},
		{name: "second-tier", what: "the long forms of tests", half: true, commands: [][]string{{"bash", "tools/tests.sh", "second_tier"}}},
	}
}

// run runs what is missing, a round of all conditions after the other, so that a census that
// was stopped says something of each.
func run(ctx context.Context, o options) error {
	code, err := codeOf(o.root)
	if err != nil {
		return err
	}
	page := filepath.Join(o.root, "docs", "census.md")
	t, err := readTable(page)
	if err != nil {
		return err
	}
	if t.code != code {
		t = table{code: code}
	}
	t.machine = fmt.Sprintf("%d processors, %s, %s/%s", runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if err := os.MkdirAll(o.logs, 0o755); err != nil {
		return err
	}
	for n := 1; n <= o.runs; n++ {
		for _, c := range conditions(n) {
			if o.only != "" && !slices.Contains(strings.Split(o.only, ","), c.name) || t.count(c.name) >= n || c.half && n > (o.runs+1)/2 {
				continue
			}
			fmt.Printf("%s  %-12s %d … ", time.Now().Format("15:04:05"), c.name, n)
			r, err := c.run(ctx, o, n)
			if err != nil {
				fmt.Println("not counted")
				return err
			}
			fmt.Println(r.result())
			if now, err := codeOf(o.root); len(r.failed) == 0 && (err != nil || now != code) {
				return errors.Join(errors.New("the code has changed meanwhile, so this run does not count; begin again"), err)
			}
			t.runs = append(t.runs, r)
			if err := t.write(page); err != nil {
				return err
			}
		}
	}
	fmt.Print(t.summary())
	if failed := t.failed(); failed > 0 {
		return fmt.Errorf("%d of these runs failed; their output is in %s", failed, o.logs)
	}
	return nil
}
