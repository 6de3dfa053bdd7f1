//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// podUser is a user and a group without an entry in passwd, as in an image with one program.
const podUser = 54321

// pod runs the command as Kubernetes does: as a user without rights, with the volume of its
// fsGroup, and with HOME of root.
type pod struct {
	t                    *testing.T
	program, volume, dir string
}

func newPod(t *testing.T) *pod {
	t.Helper()
	p := &pod{t: t, dir: t.TempDir()}
	if err := os.Chmod(filepath.Dir(p.dir), 0o755); err != nil { // TempDir makes it private to root
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	p.program, p.volume = filepath.Join(p.dir, "gamelan"), filepath.Join(p.dir, "volume")
	if err := os.WriteFile(p.program, program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(p.dir, "root", ".config", "gamelan"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(p.volume, 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

// mount does to the volume what the kubelet does before a pod starts.
func (p *pod) mount() {
	p.t.Helper()
	err := filepath.WalkDir(p.volume, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if err := os.Lchown(path, -1, podUser); err != nil {
			return err
		}
		if e.IsDir() {
			return os.Chmod(path, info.Mode().Perm()|0o070|fs.ModeSetgid)
		}
		return os.Chmod(path, info.Mode().Perm()|0o060)
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *pod) command(group string, args ...string) *exec.Cmd {
	c := exec.CommandContext(p.t.Context(), p.program, args...)
	c.Dir = p.dir
	c.Env = []string{"HOME=" + filepath.Join(p.dir, "root"), "GAMELAN_DATA_DIR=" + p.volume, "GAMELAN_INVERSION=" + os.Getenv("GAMELAN_INVERSION")}
	if group != "" {
		c.Env = append(c.Env, "GAMELAN_DATA_DIR_GROUP="+group)
	}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: podUser, Gid: podUser}}
	return c
}

// refused runs a command that must fail with these texts in its one message.
func (p *pod) refused(args []string, want ...string) {
	p.t.Helper()
	out, err := p.command("", args...).CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); !failed {
		p.t.Fatalf("%v: got %v, want it refused", args, err)
	}
	for _, w := range want {
		if !strings.Contains(string(out), w) {
			p.t.Errorf("%v: got %s, want %q in it", args, out, w)
		}
	}
}

// run runs a node until it says that it is there, asks for its health, and stops it.
func (p *pod) run() (said string) {
	p.t.Helper()
	node := p.command("54321", "node", "--listen", "/ip4/127.0.0.1/tcp/0")
	var stderr bytes.Buffer
	node.Stderr = &stderr
	out, err := node.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		p.t.Fatal(err)
	}
	running := false
	for lines := bufio.NewScanner(out); !running && lines.Scan(); {
		running = strings.HasPrefix(lines.Text(), "Running.")
	}
	if running {
		if out, err := p.command("54321", "health").CombinedOutput(); err != nil {
			p.t.Errorf("health: got %v: %s", err, out)
		}
		if err := node.Process.Signal(syscall.SIGTERM); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := node.Wait(); err != nil || !running {
		p.t.Fatalf("got running %v, %v: %s", running, err, &stderr)
	}
	return stderr.String()
}

// TestFsGroup runs a node on a volume that it may use by its group alone, over a restart of
// its pod.
func TestFsGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not run: only root can give a directory to a group and a process to a user")
		return
	}
	p := newPod(t)
	p.mount()
	remedy := "say so with GAMELAN_DATA_DIR_GROUP=54321 in the environment"
	p.refused([]string{"node"}, p.volume+" can be changed by group 54321", remedy)
	// A configuration file below a home that is not this user's is passed over.
	if said := p.run(); !strings.Contains(said, "/root/.config/gamelan/gamelan.toml cannot be read by this user and was passed over") {
		t.Errorf("got %s, want a note on the file of root", said)
	}
	p.mount()
	for _, verb := range []string{"node", "id"} {
		p.refused([]string{verb}, p.volume+" can be changed by group 54321", "/identity.json can be changed by group 54321 (mode 0660)", "/peers can be changed by group 54321", remedy)
	}
	p.run()
	out, err := p.command("54321", "id").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "public key") {
		t.Errorf("id: got %v: %s", err, out)
	}

	// Without a home there is no directory to fall back to.
	c := p.command("", "id")
	c.Env = []string{"HOME=relative"}
	if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), "name the data directory with --data-dir or GAMELAN_DATA_DIR, or set HOME") {
		t.Errorf("without a home: got %v: %s", err, out)
	}
}
