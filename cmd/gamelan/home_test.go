package main

import (
	"os"
	"os/user"
	"runtime"
	"testing"

	"github.com/adrg/xdg"
)

func TestHome(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // it has no HOME
	}
	me, err := user.LookupId(userID())
	if err != nil {
		return // an account without an entry, as in a container
	}
	t.Cleanup(xdg.Reload) // after HOME is what it was
	t.Setenv("XDG_CONFIG_HOME", "")
	for home, want := range map[string]string{"": me.HomeDir, "some/where": me.HomeDir, "/some/where": "/some/where"} {
		t.Setenv("HOME", home)
		xdg.Reload()
		settleHome()
		if got := os.Getenv("HOME"); got != want {
			t.Errorf("HOME %q: got %q, want %q", home, got, want)
		}
		if got := configFiles()[0]; got != want+"/.config/gamelan/gamelan.toml" && runtime.GOOS == "linux" {
			t.Errorf("HOME %q: got %q, want the file below %q", home, got, want)
		}
	}
}
