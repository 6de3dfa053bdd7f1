package peers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// process is a node in a process of its own.
type process struct {
	key  string // public key, hex
	addr string // multiaddr

	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
	tmp string

	mu   sync.Mutex // one command at a time
	last uint64
}

// answer is a line that a node writes.
type answer struct {
	ID       uint64
	Event    string
	Identity struct{ Key, Listening string }
	OK       json.RawMessage
	Error    string
}

// start starts a node of a kind, with arguments besides those it has anyway.
func (k Kind) start(ctx context.Context, with ...string) (p *process, err error) {
	p = &process{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start a node of %s: %w", k, err), p.close())
		}
	}()
	if p.tmp, err = os.MkdirTemp("", "gamelan-bench"); err != nil {
		return p, err
	}
	program, args, env, err := k.program()
	if err != nil {
		return p, err
	}
	cmd := exec.CommandContext(ctx, program, append(args, with...)...)
	cmd.Env = append(append(os.Environ(), "TMPDIR="+p.tmp), env...)
	cmd.Stderr = os.Stderr
	if p.in, err = cmd.StdinPipe(); err != nil {
		return p, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return p, err
	}
	p.out = bufio.NewScanner(out)
	p.out.Buffer(nil, 1<<20)
	if err := cmd.Start(); err != nil {
		return p, err
	}
	p.cmd = cmd
	for {
		a, err := p.read()
		if err != nil {
			return p, err
		}
		if a.Event == "started" {
			p.key, p.addr = a.Identity.Key, a.Identity.Listening
			return p, nil
		}
	}
}

func (p *process) read() (a answer, err error) {
	if !p.out.Scan() {
		return a, errors.Join(errors.New("the node has ended"), p.out.Err())
	}
	return a, json.Unmarshal(p.out.Bytes(), &a)
}

type args map[string]any

// ask gives a command and reads its answer into result, unless that is nil.
func (p *process) ask(cmd string, a args, result any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a == nil {
		a = args{}
	}
	p.last++
	a["id"], a["cmd"] = p.last, cmd
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("%s: %w", cmd, err)
	}
	for {
		a, err := p.read()
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", cmd, err)
		case a.ID != p.last || a.Event != "":
		case a.Error != "":
			return fmt.Errorf("%s: %s", cmd, a.Error)
		case result == nil:
			return nil
		default:
			return json.Unmarshal(a.OK, result)
		}
	}
}

// meet tells p about another node and dials it.
func (p *process) meet(other *process) error {
	if err := p.ask("add_peer", args{"peer": other.key, "address": other.addr}, nil); err != nil {
		return err
	}
	return p.ask("dial", args{"peer": other.key}, nil)
}

// cpu is the user and system time of the process so far.
func (p *process) cpu() (time.Duration, error) {
	var u struct {
		CPU int64 `json:"cpu_us"`
	}
	err := p.ask("usage", nil, &u)
	return time.Duration(u.CPU) * time.Microsecond, err
}

// close ends the process at once: one of 6.2.0 with hundreds of connections
// takes its time otherwise.
func (p *process) close() error {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait() // says that it was killed
	}
	if p.tmp == "" {
		return nil
	}
	return os.RemoveAll(p.tmp)
}

// cpuOf is the CPU of several processes together.
func cpuOf(all ...*process) (sum time.Duration, err error) {
	for _, p := range all {
		d, err := p.cpu()
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}
