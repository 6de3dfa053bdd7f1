package harness

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Machine is what a result has to be read with.
type Machine struct {
	Date    time.Time         `json:"date"`
	Commit  string            `json:"commit"` // with "-dirty" when the tree differed
	Go      string            `json:"go"`
	OS      string            `json:"os"`
	Kernel  string            `json:"kernel,omitempty"`
	CPU     string            `json:"cpu,omitempty"`
	Cores   int               `json:"cores"`
	Procs   int               `json:"gomaxprocs"`
	Memory  string            `json:"memory,omitempty"`
	Load    string            `json:"load,omitempty"` // averages of 1, 5 and 15 minutes at the start
	Modules map[string]string `json:"modules"`
}

// Describe collects the facts. modules are the import paths of the modules
// whose versions matter. What cannot be found out stays empty.
func Describe(modules ...string) Machine {
	m := Machine{
		Date:    time.Now().UTC().Truncate(time.Second),
		Commit:  commit(),
		Go:      runtime.Version(),
		OS:      runtime.GOOS + "/" + runtime.GOARCH,
		Kernel:  firstLine("/proc/sys/kernel/osrelease"),
		CPU:     field("/proc/cpuinfo", "model name"),
		Cores:   runtime.NumCPU(),
		Procs:   runtime.GOMAXPROCS(0),
		Memory:  field("/proc/meminfo", "MemTotal"),
		Modules: map[string]string{},
	}
	if load := strings.Fields(firstLine("/proc/loadavg")); len(load) >= 3 {
		m.Load = strings.Join(load[:3], " ")
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if slices.Contains(modules, d.Path) {
				m.Modules[d.Path] = d.Version
			}
		}
	}
	return m
}

// commit is the short id of the checked-out commit. Files of earlier results
// do not make a tree dirty.
func commit() string {
	id, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	name := strings.TrimSpace(string(id))
	status, err := exec.Command("git", "status", "--porcelain", "--", ":/", ":(exclude,top)bench/results").Output()
	if err == nil && len(status) > 0 {
		name += "-dirty"
	}
	return name
}

func firstLine(path string) string {
	b, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

// field finds "key : value" in a file of the proc file system.
func field(path, key string) string {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
