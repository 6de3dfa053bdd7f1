package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/gamelan-p2p/gamelan"
)

type versionCmd struct{}

// versionJSON describes the build of this program.
type versionJSON struct {
	Version  string `json:"version"`            // as the node tells its peers
	Revision string `json:"revision"`           // the commit; empty if the build does not tell
	Date     string `json:"date,omitempty"`     // of the commit, RFC 3339
	Modified bool   `json:"modified,omitempty"` // there were changes beside the commit
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func (*versionCmd) Run(a *app) error {
	v := buildVersion(debug.ReadBuildInfo())
	if a.JSON {
		return a.PrintJSON(v)
	}
	_, err := fmt.Fprintln(a.Out, v)
	return err
}

// String returns the version, the commit with its day, and what the program was built with.
func (v versionJSON) String() string {
	var commit string
	if v.Revision != "" {
		commit = "commit " + v.Revision[:min(12, len(v.Revision))]
		if day, _, ok := strings.Cut(v.Date, "T"); ok {
			commit += " of " + day
		}
		if v.Modified {
			commit += " with changes"
		}
		commit += ", "
	}
	return fmt.Sprintf("gamelan %s (%s%s, %s/%s)", v.Version, commit, v.Go, v.OS, v.Arch)
}

// buildVersion returns the version of the library, and what the Go tool wrote into the
// program about the commit.
func buildVersion(info *debug.BuildInfo, ok bool) versionJSON {
	v := versionJSON{Version: gamelan.Version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if !ok {
		return v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Date = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
