package product

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// otherProcess is this program again, doing something else, told by a variable.
type otherProcess struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader

	ready string // the line that it said so with
}

// elsewhere is before the command of a process that stands for other machines: it has only the
// processors' time that this process leaves.
func elsewhere() []string {
	if nice, err := exec.LookPath("nice"); err == nil {
		return []string{nice, "-n", "19"}
	}
	return nil
}

// startOther starts it and returns when it says, with a line, that it is ready.
func startOther(ctx context.Context, variable string, before ...string) (*otherProcess, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := append(before, program)
	p := &otherProcess{cmd: exec.CommandContext(ctx, command[0], command[1:]...)}
	p.cmd.Env = append(os.Environ(), variable)
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if p.ready, err = p.out.ReadString('\n'); err != nil {
		return nil, errors.Join(fmt.Errorf("the other process did not get ready: %w", err), p.stop())
	}
	p.ready = strings.TrimSpace(p.ready)
	return p, nil
}

func (p *otherProcess) begin() error {
	_, err := p.in.Write([]byte{'\n'})
	return err
}

// stop ends the process, which ends with its standard input.
func (p *otherProcess) stop() error {
	p.in.Close()
	return p.cmd.Wait()
}

// last tells the process to end and returns what it says then, in one line.
func (p *otherProcess) last() (string, error) {
	p.in.Close()
	said, err := p.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("the other process said nothing at its end: %w", err)
	}
	return strings.TrimSpace(said), nil
}
