package onion

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// daemon is a Tor of this test without a network, which takes commands on a Unix socket.
type daemon struct {
	t       *testing.T
	dir     string
	control string // path of the socket
	cmd     *exec.Cmd
	ended   chan struct{}
}

// startTor starts one with more lines in its torrc.
func startTor(t *testing.T, lines ...string) *daemon {
	t.Helper()
	dir := t.TempDir()
	d := &daemon{t: t, dir: dir, control: filepath.Join(dir, "control")}
	torrc := append([]string{
		"DisableNetwork 1", "SocksPort 0", "DataDirectory " + filepath.Join(dir, "data"),
		"ControlSocket " + d.control + " RelaxDirModeCheck", "Log notice file " + filepath.Join(dir, "log"),
	}, lines...)
	for name, text := range map[string]string{"torrc": strings.Join(torrc, "\n") + "\n", "defaults": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.start()
	t.Cleanup(d.kill)
	return d
}

// start starts it and waits until it takes commands.
func (d *daemon) start() {
	d.t.Helper()
	d.cmd = exec.Command("tor", "-f", filepath.Join(d.dir, "torrc"), "--defaults-torrc", filepath.Join(d.dir, "defaults"))
	var out bytes.Buffer
	d.cmd.Stdout = &out
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	cmd, ended := d.cmd, make(chan struct{})
	d.ended = ended
	go func() {
		cmd.Wait()
		close(ended)
	}()
	for {
		if c, err := d.dial(); err == nil {
			c.Close()
			return
		}
		select {
		case <-ended:
			d.t.Fatalf("tor has ended:\n%s", out.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// cookie returns the file of the cookie of one with CookieAuthentication.
func (d *daemon) cookie() string { return filepath.Join(d.dir, "data", "control_auth_cookie") }

// auth returns how to authenticate with it.
func (d *daemon) auth() string { return "safecookie=@" + d.cookie() }

// kill ends it without a chance to clean up.
func (d *daemon) kill() {
	d.cmd.Process.Kill()
	<-d.ended
}

// hashed returns the line of torrc for a password.
func hashed(t *testing.T, password string) string {
	t.Helper()
	out, err := exec.Command("tor", "--quiet", "--hash-password", password).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(out))
	return fmt.Sprintf("HashedControlPassword %s", lines[len(lines)-1])
}
