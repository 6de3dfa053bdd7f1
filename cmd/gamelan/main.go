package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
)

func main() { os.Exit(realMain()) }

// realMain runs the command line of this process. The first INT or TERM ends ctx; from
// then on the signals have their usual effect again, so that a second INT stops a command
// that does not end by itself.
func realMain() int {
	settleHome()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], &app{
		in: os.Stdin,
		Output: &render.Output{
			Out: os.Stdout, Err: os.Stderr,
			OutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
			ErrTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		},
	})
}
