package main

import (
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/adrg/xdg"
)

// settleHome sets HOME to the home of the user's entry in passwd if it is not set or is
// relative, as under cron and some service managers: paths below it would depend on the
// working directory. Without such an entry it changes nothing.
func settleHome() {
	if runtime.GOOS == "windows" || filepath.IsAbs(os.Getenv("HOME")) {
		return
	}
	u, err := user.LookupId(userID())
	if err != nil || !filepath.IsAbs(u.HomeDir) {
		return
	}
	if os.Setenv("HOME", u.HomeDir) == nil {
		xdg.Reload()
	}
}

func userID() string { return strconv.Itoa(os.Getuid()) }
