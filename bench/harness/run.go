package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/pprof"
	"time"
)

// childVariable names the case that a fresh process has to run.
const childVariable = "GAMELAN_BENCH_CASE"

// Options of one run of the program.
type Options struct {
	Rounds int            // 0: 5
	Window time.Duration  // clocks of one case in one round; 0: 220 ms
	Select *regexp.Regexp // groups and cases by name; nil: all
	Skip   *regexp.Regexp // groups by name, left out; nil: none
	Log    io.Writer      // progress; nil: none
	Args   []string       // of the program, for the processes of Fresh cases
}

// CaseResult holds the samples of one case by round. A round in which the case
// took no part, or failed, has none.
type CaseResult struct {
	Name    string         `json:"name"`
	Samples map[int]Sample `json:"samples"`
	Errors  []string       `json:"errors,omitempty"`
}

// GroupResult holds the results of one group.
type GroupResult struct {
	Name  string        `json:"name"`
	About string        `json:"about"`
	Took  time.Duration `json:"took_ns,omitempty"`
	Cases []CaseResult  `json:"cases"`
}

// Child runs the one case that the parent process asked for, if this process
// is such a child. Call it first thing in main with all groups.
func Child(groups []Group, window time.Duration) (wasChild bool, err error) {
	name := os.Getenv(childVariable)
	if name == "" {
		return false, nil
	}
	for _, g := range groups {
		for _, c := range g.Cases {
			if c.Name == name {
				s, err := measure(c, window)
				if err != nil {
					return true, err
				}
				return true, json.NewEncoder(os.Stdout).Encode(s)
			}
		}
	}
	return true, fmt.Errorf("harness: no case %q", name)
}

// Run measures the selected groups one after the other.
func Run(groups []Group, o Options) ([]GroupResult, error) {
	if o.Rounds == 0 {
		o.Rounds = 5
	}
	if o.Window == 0 {
		o.Window = 220 * time.Millisecond
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	var results []GroupResult
	var failed error
	for _, g := range groups {
		cases := g.selected(o.Select)
		if len(cases) == 0 || o.Skip != nil && o.Skip.MatchString(g.Name) {
			continue
		}
		begin := time.Now()
		r := GroupResult{Name: g.Name, About: g.About, Cases: make([]CaseResult, len(cases))}
		for i, c := range cases {
			r.Cases[i] = CaseResult{Name: c.Name, Samples: map[int]Sample{}}
		}
		for round := range o.Rounds {
			for _, i := range rotated(len(cases), round) {
				c := cases[i]
				if c.Rounds > 0 && round >= c.Rounds {
					continue
				}
				fmt.Fprintf(o.Log, "%s round %d: %s\n", g.Name, round+1, c.Name)
				s, err := runCase(c, o)
				if err != nil {
					err = fmt.Errorf("%s, round %d: %w", c.Name, round+1, err)
					r.Cases[i].Errors = append(r.Cases[i].Errors, err.Error())
					failed = errors.Join(failed, err)
					continue
				}
				r.Cases[i].Samples[round] = s
			}
		}
		r.Took = time.Since(begin)
		results = append(results, r)
	}
	return results, failed
}

// selected are the cases whose own name or whose group's name matches.
func (g Group) selected(re *regexp.Regexp) []Case {
	if re == nil || re.MatchString(g.Name) {
		return g.Cases
	}
	var cases []Case
	for _, c := range g.Cases {
		if re.MatchString(c.Name) {
			cases = append(cases, c)
		}
	}
	return cases
}

// rotated is the order of n cases in a round: each round begins with the next.
func rotated(n, round int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = (i + round) % n
	}
	return order
}

func runCase(c Case, o Options) (Sample, error) {
	if c.Fresh {
		return fresh(c, o)
	}
	return measure(c, o.Window)
}

// fresh runs the case in a new process of this program.
func fresh(c Case, o Options) (Sample, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.limit()+10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{"-window", o.Window.String()}, o.Args...)...)
	cmd.Env = append(os.Environ(), childVariable+"="+c.Name)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	var s Sample
	if err := json.Unmarshal(out, &s); err != nil {
		return nil, fmt.Errorf("read the child's result: %w", err)
	}
	return s, nil
}

// measure runs the case here and now.
func measure(c Case, window time.Duration) (Sample, error) {
	runtime.GC()
	ctx, cancel := context.WithTimeout(context.Background(), c.limit())
	defer cancel()
	// A case that ignores its context would hang the program for ever.
	watchdog := time.AfterFunc(c.limit()+5*time.Second, func() {
		fmt.Fprintf(os.Stderr, "harness: %s is stuck; its goroutines:\n", c.Name)
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		os.Exit(1)
	})
	defer watchdog.Stop()
	m := &Meter{ctx: ctx, window: window, sample: Sample{}}
	if err := c.Run(m); err != nil {
		return nil, err
	}
	if !m.done {
		return nil, errors.New("the case measured nothing")
	}
	return m.sample, nil
}

func (c Case) limit() time.Duration {
	if c.Limit > 0 {
		return c.Limit
	}
	return time.Minute
}
