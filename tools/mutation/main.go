// Command mutation checks for each package that its tests can fail. Gremlins changes one
// operator of the source after another; this command runs the package's own tests on each
// change, and lists the changes that no test noticed.
//
//	mutation [-percent 100] [-seed 8] [-again] ./identity ./internal/transport/noise …
//	mutation -report
//
// It writes a file results/<package>.json for every package. With -report it writes
// docs/mutation.md from these and from unchanged.txt, which has the reason for each survivor
// that changes nothing. Gremlins calls "go test" for each mutant; this command handles that
// call, see standIn.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	if filepath.Base(os.Args[0]) == "go" {
		os.Exit(standIn(os.Args[1:]))
	}
	var j job
	percent := flag.Int("percent", 100, "test this share of the mutants, drawn at random")
	seed := flag.Int("seed", 8, "of the draw")
	again := flag.Bool("again", false, "test again only what survived, or stands in a file that has changed since")
	sum := flag.Bool("sum", false, "only sum up what the log has, after a run that was stopped")
	report := flag.Bool("report", false, "only write docs/mutation.md from the results")
	flag.StringVar(&j.Root, "root", "../..", "the repository")
	flag.Parse()
	j.Percent, j.Seed, j.Again = *percent, *seed, *again

	var err error
	if j.Root, err = filepath.Abs(j.Root); err == nil && !*report {
		err = j.run(flag.Args(), *sum)
	}
	if err == nil {
		err = writeReport(j.Root)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

// job is one run of the command; the stand-in reads it from its environment.
type job struct {
	Root, Go      string
	Pkg           string // "internal/transport/noise"
	Log           string // one line of JSON for each mutant
	Percent, Seed int
	Again         bool
	Timeout       time.Duration // of one run of the package's tests
}

func (j job) run(pkgs []string, onlySum bool) error {
	if len(pkgs) == 0 {
		return errors.New("name the packages to test")
	}
	if onlySum {
		for _, pkg := range pkgs {
			j.Pkg = filepath.ToSlash(filepath.Clean(pkg))
			j.Log = logOf(j.Root, j.Pkg)
			if err := writeResult(j); err != nil {
				return err
			}
		}
		return nil
	}
	work, err := os.MkdirTemp("", "mutation-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if j.Go, err = exec.LookPath("go"); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	bin := filepath.Join(work, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		return err
	}
	if err := os.Symlink(self, filepath.Join(bin, "go")); err != nil {
		return err
	}
	gremlins := filepath.Join(work, "gremlins")
	if err := j.command(filepath.Join(j.Root, "tools/mutation"), j.Go, "build", "-o", gremlins,
		"github.com/go-gremlins/gremlins/cmd/gremlins"); err != nil {
		return err
	}
	for _, pkg := range pkgs {
		j.Pkg = filepath.ToSlash(filepath.Clean(pkg))
		if err := j.test(gremlins, bin, work); err != nil {
			return fmt.Errorf("%s: %w", j.Pkg, err)
		}
	}
	return nil
}

// test runs Gremlins on one package and writes its result.
func (j job) test(gremlins, bin, work string) error {
	begin := time.Now()
	if err := j.command(j.Root, j.Go, "test", "-count=1", "./"+j.Pkg); err != nil {
		return fmt.Errorf("the tests must pass before anything is changed: %w", err)
	}
	j.Timeout = max(20*time.Second, 4*time.Since(begin))
	j.Log = logOf(j.Root, j.Pkg)
	if err := os.MkdirAll(filepath.Dir(j.Log), 0o755); err != nil {
		return err
	}
	if !j.Again {
		if err := os.RemoveAll(j.Log); err != nil {
			return err
		}
	}
	tmp := filepath.Join(work, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return err
	}
	// One worker, because some tests watch the clock; the stand-in has its own
	// limit of time, which only counts the tests.
	cmd := exec.Command(gremlins, "unleash", "--silent", "--workers", "1", "--timeout-coefficient", "100000",
		"--exclude-files", "/", "--invert-assignments", "--invert-bitwise", "--invert-bwassign", "--invert-logical",
		"--invert-loopctrl", "--remove-self-assignments", "./"+j.Pkg)
	cmd.Dir = j.Root
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "TMPDIR="+tmp, j.env())
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("gremlins: %w", err)
	}
	return writeResult(j)
}

func (j job) command(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return nil
}
