package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCmd struct{}

// versionJSON describes the build of this program.
type versionJSON struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func (*versionCmd) Run(a *app) error {
	v := buildVersion()
	if a.JSON {
		return a.PrintJSON(v)
	}
	_, err := fmt.Fprintf(a.Out, "gamelan %s (%s, %s/%s)\n", v.Version, v.Go, v.OS, v.Arch)
	return err
}

// buildVersion returns the version that the Go tool wrote into the program: the tag of a
// release, or the revision.
func buildVersion() versionJSON {
	v := versionJSON{Version: "devel", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if m := info.Main.Version; m != "" && m != "(devel)" {
		v.Version = m
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value
		}
	}
	return v
}
