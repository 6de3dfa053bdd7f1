package tornet

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stopLimit is the time that Tor has to end after SIGTERM; it takes half a second.
const stopLimit = 10 * time.Second

// process is one Tor. It is not safe for concurrent use.
type process struct {
	name   string
	dir    string
	tor    string // the program
	orPort int    // of authorities and relays

	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has ended
}

func (p *process) path(names ...string) string {
	return filepath.Join(append([]string{p.dir}, names...)...)
}

// arguments name the settings, and nothing of the system's.
func (p *process) arguments() []string {
	return []string{"-f", p.path("torrc"), "--defaults-torrc", p.path("none")}
}

func environment() []string { return append(os.Environ(), "MALLOC_ARENA_MAX=2", "LC_ALL=C") }

// start begins a process; it does nothing when one runs.
func (p *process) start() error {
	if p.runs() {
		return nil
	}
	out, err := os.OpenFile(p.path("output"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(p.tor, p.arguments()...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.dir, environment(), out, out
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("tornet: %s: %w", p.name, err)
	}
	ended := make(chan struct{})
	p.cmd, p.ended = cmd, ended
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	return nil
}

// runs reports whether the process has not ended.
func (p *process) runs() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// signal sends a signal, if there is a process.
func (p *process) signal(s os.Signal) {
	if p.runs() {
		_ = p.cmd.Process.Signal(s) // if it has just ended, that is what was wanted
	}
}

// stop ends the process in order, and by force when it does not end in time.
func (p *process) stop() {
	p.signal(syscall.SIGTERM)
	p.wait(stopLimit)
}

// kill ends the process without a chance to tell anybody.
func (p *process) kill() { p.wait(0) }

func (p *process) wait(limit time.Duration) {
	if p.cmd == nil {
		return
	}
	select {
	case <-p.ended:
		return
	case <-time.After(limit):
	}
	p.signal(os.Kill)
	<-p.ended
}

// lastWords returns the end of what Tor wrote, for an error.
func (p *process) lastWords() string {
	for _, name := range []string{"log", "output"} {
		b, err := os.ReadFile(p.path(name))
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		if err == nil && lines[0] != "" {
			return strings.Join(lines[max(0, len(lines)-5):], "\n")
		}
	}
	return "no log"
}
