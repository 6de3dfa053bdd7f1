package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

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
	out := render.On(os.Stdout, os.Stderr)
	defer out.Flush()
	return run(ctx, os.Args[1:], &app{in: os.Stdin, Output: out})
}
