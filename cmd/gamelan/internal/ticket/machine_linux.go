package ticket

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// look reads what Linux tells.
func (m *Machine) look(pid int) {
	m.Kernel = strings.TrimSpace(file("/proc/sys/kernel/osrelease"))
	for line := range strings.Lines(file("/etc/os-release")) {
		if name, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			m.System = strings.Trim(strings.TrimSpace(name), `"`)
		}
	}
	var clock unix.Timex
	if _, err := unix.Adjtimex(&clock); err == nil {
		m.ClockKept = new(clock.Status&unix.STA_UNSYNC == 0)
	}
	m.Memory = fields(file("/proc/meminfo"), "MemTotal", "MemAvailable", "SwapTotal", "SwapFree")
	if limit := strings.TrimSpace(file("/sys/fs/cgroup/memory.max")); limit != "" {
		m.Memory["cgroup_max"] = limit
	}
	of := fmt.Sprintf("/proc/%d", cmp.Or(pid, os.Getpid()))
	m.Limits = limits(file(of + "/limits"))
	if pid == 0 {
		return
	}
	m.Process = fields(file(of+"/status"), "State", "VmPeak", "VmSize", "VmRSS", "VmSwap", "Threads", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")
	if open, err := os.ReadDir(of + "/fd"); err == nil {
		m.Files = len(open)
	}
}

// file returns the content of a file of the system, "" for one that cannot be read.
func file(path string) string {
	b, _ := os.ReadFile(path) // what the system does not tell is absent
	return string(b)
}

// fields returns some of the lines "name: value".
func fields(text string, names ...string) map[string]string {
	all := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		for _, wanted := range names {
			if name == wanted {
				all[name] = strings.Join(strings.Fields(value), " ")
			}
		}
	}
	return all
}

// column separates the columns of a table of limits.
var column = regexp.MustCompile(` {2,}`)

// limits returns the limits of a process: soft, hard.
func limits(text string) map[string]string {
	all := make(map[string]string)
	for line := range strings.Lines(text) {
		if c := column.Split(strings.TrimSpace(line), -1); len(c) >= 3 && strings.HasPrefix(c[0], "Max ") {
			all[strings.TrimPrefix(c[0], "Max ")] = c[1] + ", " + c[2]
		}
	}
	return all
}

// room returns the bytes of a file system, and those that are free.
func room(path string) (total, free int64) {
	var s unix.Statfs_t
	if unix.Statfs(path, &s) != nil {
		return 0, 0
	}
	return int64(s.Blocks) * int64(s.Bsize), int64(s.Bavail) * int64(s.Bsize) //nolint:unconvert // other types on some architectures
}
