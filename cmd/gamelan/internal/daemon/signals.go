package daemon

import (
	"bytes"
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

// SignalsHelp describes the effect of signals on a node.
const SignalsHelp = "Signals: TERM and INT finish accepted messages and end the node; a second one, at least 100 ms later, ends it at once and leaves messages under way in doubt. HUP reads the settings again, and looks at the addresses of the machine. " +
	"QUIT writes the stacks of all goroutines to standard error, and the node goes on; ABRT writes them and ends it."

// Signals handles HUP and QUIT, and every TERM and INT after the first one, which ends the
// context of the command. A HUP before the node has started is remembered.
type Signals struct {
	out    *render.Output
	log    *Queue    // standard error
	ending time.Time // time of the first TERM or INT
	reload chan struct{}
	caught chan os.Signal
	done   sync.WaitGroup
}

// sameTerm is the time after the first TERM or INT in which another one counts as the same:
// a service manager and a shell may both send it.
const sameTerm = 100 * time.Millisecond

// lastWords is how long a node that ends at once waits for the reader of standard error.
const lastWords = 100 * time.Millisecond

// CatchSignals catches signals until Stop. Stacks are written to log, which must be where out
// writes its errors, so that no signal waits for the reader of standard error.
func CatchSignals(out *render.Output, log *Queue) *Signals {
	ignoreOutputSignals()
	s := &Signals{out: out, log: log, reload: make(chan struct{}, 1), caught: make(chan os.Signal, 8)}
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
		writeStacks(s.log)
	case syscall.SIGHUP:
		select {
		case s.reload <- struct{}{}:
		default: // a reload is pending already
		}
	default:
		if s.ending.IsZero() {
			s.ending = now
		} else if now.Sub(s.ending) >= sameTerm {
			s.out.Note("Ended at once: messages under way are in doubt, and data that was not written to the disk yet may be lost.")
			s.log.Flush(lastWords)
			os.Exit(failure.ExitFailed)
		}
	}
}

// Stop lets HUP and QUIT have their usual effects again.
func (s *Signals) Stop() {
	signal.Stop(s.caught)
	close(s.caught)
	s.done.Wait()
	heedOutputSignals()
}

// writeStacks writes the stacks of all goroutines as a crash would.
func writeStacks(w io.Writer) {
	var b bytes.Buffer
	fmt.Fprintln(&b, "Stacks of all goroutines:")
	_ = pprof.Lookup("goroutine").WriteTo(&b, 2) // a buffer fails no write
	fmt.Fprintln(&b, "End of stacks.")
	_, _ = w.Write(b.Bytes()) // one text of a [Queue]; an error could only be reported to w itself
}
