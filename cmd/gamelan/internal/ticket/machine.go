package ticket

import (
	"errors"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/gate"
	"github.com/gamelan-p2p/gamelan/internal/kv"
)

// versions says what runs.
func (g *gatherer) versions(n *models.Node) any {
	return struct {
		Command any    `json:"command"`
		Node    string `json:"node,omitempty"` // of the running node
	}{g.Version, n.Version}
}

// Machine describes the machine, and the process of the node on it. What the system does not tell is absent.
type Machine struct {
	OS     string    `json:"os"`
	Arch   string    `json:"arch"`
	CPUs   int       `json:"cpus"`
	Kernel string    `json:"kernel,omitempty"`
	System string    `json:"system,omitempty"`
	Time   time.Time `json:"time"`
	Zone   string    `json:"zone"` // as it is set, with its distance from UTC
	// ClockKept says whether the kernel is told that the clock is kept right, by NTP or another program.
	ClockKept *bool `json:"clock_kept,omitempty"`

	Memory  map[string]string `json:"memory,omitempty"`
	Process map[string]string `json:"process,omitempty"` // of the running node
	Limits  map[string]string `json:"limits,omitempty"`  // of the running node, or of this command
	Files   int               `json:"files,omitempty"`   // that the node has open
}

// machine describes the machine and the process; pid is 0 if no node runs.
func machine(pid int, now time.Time) Machine {
	m := Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Time: now.UTC(), Zone: now.Format("MST -07:00")}
	m.look(pid)
	return m
}

// Disk describes the file system of the data directory, and the files there.
type Disk struct {
	Total int64  `json:"total,omitempty"` // bytes
	Free  int64  `json:"free,omitempty"`  // bytes, for this user
	Files []File `json:"files"`
	More  int    `json:"more,omitempty"` // files that are left out
	Error string `json:"error,omitempty"`
}

// File is a file of the data directory.
type File struct {
	Name  string    `json:"name"`
	Mode  string    `json:"mode"`
	Bytes int64     `json:"bytes"`
	At    time.Time `json:"at"` // when it was changed
}

// mostFiles is how many files are listed.
const mostFiles = 200

// ownFiles are those of a data directory, and the directories with files of the node alone.
var ownFiles = []string{
	".", "gamelan.lock", inspect.SocketName, inspect.TokenName, inspect.ReadTokenName, gate.CertificateName, config.IdentityFile, torIdentity, "names.json", "names.json.lock", "listen", kv.StoreDir,
}

// fileName returns the name of a file in the data directory: a pseudonym, if it is not the node's.
func (g *gatherer) fileName(name string) string {
	if first, below, _ := strings.Cut(name, "/"); slices.Contains(ownFiles, first) && (below == "" || first == kv.StoreDir) {
		return name
	}
	return g.hide.Word("file", name)
}

func (g *gatherer) disk() Disk {
	d := Disk{Files: []File{}}
	d.Total, d.Free = room(g.Dir.Path)
	err := filepath.WalkDir(g.Dir.Path, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			d.Error = err.Error()
			return nil //nolint:nilerr // the other files are listed all the same
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && path == g.Dir.Path && !info.IsDir() {
			return nil
		}
		if err != nil {
			d.Error = err.Error()
			return nil //nolint:nilerr // the other files are listed all the same
		}
		if len(d.Files) == mostFiles {
			d.More++
			return nil
		}
		name, err := filepath.Rel(g.Dir.Path, path)
		if err != nil {
			return err
		}
		d.Files = append(d.Files, File{g.fileName(filepath.ToSlash(name)), info.Mode().String(), info.Size(), info.ModTime().UTC().Truncate(time.Second)})
		return nil
	})
	if err != nil {
		d.Error = err.Error()
	}
	return d
}
