// Run starts a private Tor network on this machine, runs one command, and ends the network. The
// command finds the first client in the variables TOR_CONTROL (host:port), TOR_SOCKS and
// TOR_COOKIE (a file), and the second one in those with 2 at their ends.
//
//	go run github.com/gamelan-p2p/gamelan/tests/onion/tornet/run go run ./examples/tor
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/gamelan-p2p/gamelan/tests/onion/tornet"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, command []string) error {
	if len(command) == 0 {
		return fmt.Errorf("run: no command; give one, such as: sh")
	}
	dir, err := os.MkdirTemp("", "tornet")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	limited, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	n, err := tornet.Start(limited, dir, tornet.Options{Log: os.Stderr})
	if err != nil {
		return err
	}
	defer n.Stop()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = os.Environ()
	for i, c := range n.Clients {
		suffix := ""
		if i > 0 {
			suffix = fmt.Sprint(i + 1)
		}
		cmd.Env = append(cmd.Env, "TOR_CONTROL"+suffix+"="+c.Control, "TOR_SOCKS"+suffix+"="+c.Socks, "TOR_COOKIE"+suffix+"="+c.Cookie)
	}
	return cmd.Run()
}
