//go:build !nodisk

package kv

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// otherEnv makes the test binary the other process of these tests, see other.
const otherEnv = "GAMELAN_KV_OTHER_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(otherEnv) != "" {
		other()
		return
	}
	os.Exit(m.Run())
}

// other does what its input says, a line each, and answers with a line:
// "open DIR", "close", "ask DIR", and "ask-on DIR", which asks until its input
// ends and then tells how often the answer was an error.
func other() {
	var db DB
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		verb, dir, _ := strings.Cut(in.Text(), " ")
		var err error
		switch verb {
		case "open":
			db, err = OpenPebble(dir)
			fmt.Println("open:", errors.Is(err, ErrLocked), err == nil)
		case "close":
			err := errors.New("not open")
			if db != nil {
				err = db.Close()
			}
			fmt.Println("close:", err)
		case "ask":
			used, err := InUse(dir)
			fmt.Println("ask:", used, err)
		case "ask-on":
			ended := make(chan struct{})
			go func() { io.Copy(io.Discard, os.Stdin); close(ended) }()
			fmt.Println("ask-on: begins")
			failed := 0
			for asked := false; ; asked = true {
				if _, err := InUse(dir); err != nil {
					failed++
				}
				select {
				case <-ended:
					if asked {
						fmt.Println("ask-on:", failed)
						return
					}
				default:
				}
			}
		}
	}
}

// process is the other process.
type process struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Scanner
}

func startOther(t *testing.T) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env, c.Stderr = append(os.Environ(), otherEnv+"=1"), os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); c.Wait() })
	return &process{t, in, bufio.NewScanner(out)}
}

func (p *process) want(command, answer string) {
	p.t.Helper()
	if command != "" {
		fmt.Fprintln(p.in, command)
	}
	if !p.out.Scan() {
		p.t.Fatalf("%s: got no answer", command)
	}
	if got := p.out.Text(); got != answer {
		p.t.Errorf("%s: got %q, want %q", command, got, answer)
	}
}

// paths are three ways to name dir: whole, from the working directory, and
// through a symbolic link.
func paths(t *testing.T, dir string) map[string]string {
	t.Helper()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(dir), link); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(dir))
	return map[string]string{"whole": dir, "relative": filepath.Base(dir), "link": filepath.Join(link, filepath.Base(dir))}
}

// TestLockIsKept: whatever this process does to a store that it has open, and
// under whatever name, no other process can open it.
//
// conforms: comms 136
func TestLockIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	other := startOther(t)
	db := mustOpen(t, dir)
	for name, path := range paths(t, dir) {
		if used, err := InUse(path); !used || err != nil {
			t.Errorf("%s: got %v, %v of a store that is open here, want true", name, used, err)
		}
		other.want("open "+dir, "open: true false")
		if again, err := OpenPebble(path); !errors.Is(err, ErrLocked) {
			t.Errorf("%s: opened again: got %v, want ErrLocked", name, err)
			if err == nil {
				again.Close()
			}
		}
		other.want("open "+dir, "open: true false")
		if _, err := Check(path, nil); !errors.Is(err, ErrLocked) {
			t.Errorf("%s: checked: got %v, want ErrLocked", name, err)
		}
		other.want("open "+dir, "open: true false")
	}
	other.want("ask "+dir, "ask: true <nil>")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if used, err := InUse(dir); used || err != nil {
		t.Errorf("got %v, %v of a store that was closed, want false", used, err)
	}
	other.want("ask "+dir, "ask: false <nil>")
	other.want("open "+dir, "open: false true")
	for name, path := range paths(t, dir) {
		if used, err := InUse(path); !used || err != nil {
			t.Errorf("%s: got %v, %v of a store that another process has open, want true", name, used, err)
		}
	}
	other.want("close", "close: <nil>")
	if used, err := InUse(dir); used || err != nil {
		t.Errorf("got %v, %v of a store that the other process closed, want false", used, err)
	}
}

// TestLookingTakesNoLock: a store can be locked at any moment while another
// process keeps asking whether it is, and asking leaves its files as they are.
func TestLookingTakesNoLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	if used, err := InUse(dir); used || err != nil {
		t.Errorf("got %v, %v of a store that is not there, want false", used, err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if used, err := InUse(dir); used || err != nil {
		t.Errorf("got %v, %v of an empty directory, want false", used, err)
	}
	if names, err := os.ReadDir(dir); len(names) != 0 || err != nil {
		t.Errorf("got %v, %v in the directory after asking, want nothing", names, err)
	}
	file := filepath.Join(dir, "LOCK")
	if err := os.WriteFile(file, []byte("as it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	if used, err := InUse(dir); used || err != nil {
		t.Errorf("got %v, %v of a store that nobody has open, want false", used, err)
	}
	if b, err := os.ReadFile(file); string(b) != "as it was" || err != nil {
		t.Errorf("got %q, %v in the file after asking, want it as it was", b, err)
	}
	other := startOther(t)
	other.want("ask-on "+dir, "ask-on: begins")
	for i := range 1000 {
		lock, err := lockDirectory(dir, vfs.Default)
		if err != nil {
			t.Fatalf("lock %d: got %v, want none", i, err)
		}
		if err := lock.close(); err != nil {
			t.Fatal(err)
		}
	}
	other.in.Close()
	other.want("", "ask-on: 0")
}
