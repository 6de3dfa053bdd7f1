package peers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gamelan-p2p/gamelan/bench/harness"
)

// irohProgram is what bench/iroh/build.sh builds.
func irohProgram() string {
	return filepath.Join(cached("bench-iroh"), "release", "bench-iroh")
}

// IrohBuilt tells whether the program that measures iroh is there.
func IrohBuilt() bool {
	_, err := os.Stat(irohProgram())
	return err == nil
}

// Iroh is iroh/WHAT-N: two endpoints of iroh in a process of their own, on loopback without
// relay. What is "oneway" (messages of n bytes on one stream, each written by itself, none
// with an outcome), "request" (a message and its echo on an open stream) or "connect" (a new
// endpoint that dials, and its connection).
func Iroh(what string, n int) harness.Case {
	name := "iroh/" + what
	if n > 0 {
		name += "-" + Size(n)
	}
	return harness.Case{Name: name, Run: func(m *harness.Meter) error {
		program := irohProgram()
		cmd := exec.CommandContext(m.Context(), program, what, strconv.Itoa(n), strconv.FormatFloat(m.Window().Seconds(), 'f', 3, 64))
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("%s: %w", program, err)
		}
		var ops uint64
		var wall, cpu, p50, p99 float64
		if _, err := fmt.Sscan(string(out), &ops, &wall, &cpu, &p50, &p99); err != nil {
			return errors.Join(fmt.Errorf("%s says %q", program, out), err)
		}
		if p50 > 0 {
			m.Report(harness.P50, p50)
			m.Report(harness.P99, p99)
		}
		m.SetBytes(n)
		return m.Counted(ops, time.Duration(wall*float64(time.Second)), time.Duration(cpu*float64(time.Second)))
	}}
}
