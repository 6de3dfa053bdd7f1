package daemon

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
)

// SignalsHelp says what signals do to a node.
const SignalsHelp = "TERM and INT finish what was accepted and end, a second one, 100 ms later or more, ends at once and leaves messages that are under way in doubt; HUP reads the settings again; " +
	"QUIT writes the stacks of all goroutines to standard error and goes on (ABRT does so and ends)."

// Signals are HUP and QUIT, and every TERM and INT after the first, which ends the
// context of the command. A HUP that comes before the node is up is remembered.
type Signals struct {
	out    *render.Output
	ending time.Time // when the first TERM or INT came
	reload chan struct{}
	caught chan os.Signal
	done   sync.WaitGroup
}

// sameTerm is how soon after the first TERM or INT another one is the same: a
// service manager and a shell may both send it.
const sameTerm = 100 * time.Millisecond

// CatchSignals catches signals until Stop. Stacks are written to standard error.
func CatchSignals(out *render.Output) *Signals {
	s := &Signals{out: out, reload: make(chan struct{}, 1), caught: make(chan os.Signal, 8)}
	signal.Notify(s.caught, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGTERM, os.Interrupt)
	s.done.Go(func() {
		for sig := range s.caught {
			s.handle(sig, time.Now())
		}
	})
	return s
}

func (s *Signals) handle(sig os.Signal, now time.Time) {
	switch sig {
	case syscall.SIGQUIT:
		writeStacks(s.out.Err)
	case syscall.SIGHUP:
		select {
		case s.reload <- struct{}{}:
		default: // one is asked for already
		}
	default:
		if s.ending.IsZero() {
			s.ending = now
		} else if now.Sub(s.ending) >= sameTerm {
			s.out.Note("Ended at once: messages that were under way are in doubt, and what the disk has not stored yet may be lost.")
			os.Exit(failure.ExitFailed)
		}
	}
}

// Stop lets HUP and QUIT have their usual effects again.
func (s *Signals) Stop() {
	signal.Stop(s.caught)
	close(s.caught)
	s.done.Wait()
}

// writeStacks writes the stacks of all goroutines as a crash would.
func writeStacks(w io.Writer) {
	fmt.Fprintln(w, "Stacks of all goroutines:")
	_ = pprof.Lookup("goroutine").WriteTo(w, 2) // nobody is left to tell
	fmt.Fprintln(w, "End of stacks.")
}
