package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/gamelan-p2p/gamelan"
)

func TestVersion(t *testing.T) {
	built := fmt.Sprintf("%s, %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	commit := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}, {Key: "vcs.time", Value: "2026-11-22T20:15:00Z"}}
	for _, x := range []struct {
		settings []debug.BuildSetting
		ok       bool
		want     string
	}{
		{nil, false, ""},
		{nil, true, ""},
		{commit, true, "commit 0123456789ab of 2026-11-22, "},
		{append(commit, debug.BuildSetting{Key: "vcs.modified", Value: "true"}), true, "commit 0123456789ab of 2026-11-22 with changes, "},
		{[]debug.BuildSetting{{Key: "vcs.revision", Value: "0123"}, {Key: "vcs.modified", Value: "false"}}, true, "commit 0123, "},
	} {
		want := "gamelan " + gamelan.Version + " (" + x.want + built + ")"
		if got := buildVersion(&debug.BuildInfo{Settings: x.settings}, x.ok).String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
