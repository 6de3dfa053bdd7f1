package daemon

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/pprof"
	"sync"
	"syscall"
)

// SignalsHelp says what signals do to a node.
const SignalsHelp = "TERM and INT finish what was accepted and end, a second one ends at once; HUP reads the settings again; " +
	"QUIT writes the stacks of all goroutines to standard error and goes on (ABRT does so and ends)."

// Signals are HUP and QUIT; TERM and INT end the context of the command. A HUP that comes
// before the node is up is remembered.
type Signals struct {
	reload chan struct{}
	caught chan os.Signal
	done   sync.WaitGroup
}

// CatchSignals catches HUP and QUIT until Stop. Stacks are written to w.
func CatchSignals(w io.Writer) *Signals {
	s := &Signals{reload: make(chan struct{}, 1), caught: make(chan os.Signal, 8)}
	signal.Notify(s.caught, syscall.SIGHUP, syscall.SIGQUIT)
	s.done.Go(func() {
		for sig := range s.caught {
			if sig == syscall.SIGQUIT {
				writeStacks(w)
				continue
			}
			select {
			case s.reload <- struct{}{}:
			default: // one is asked for already
			}
		}
	})
	return s
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
