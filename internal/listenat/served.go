package listenat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Served is an HTTP server that runs until Close.
type Served struct {
	http *http.Server
	done chan struct{} // closed when it has ended
	err  error         // set before that
}

// Serve begins to serve at a listener.
func Serve(s *http.Server, l net.Listener) *Served {
	r := &Served{http: s, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = s.Serve(l)
	}()
	return r
}

// Close ends the server. It waits until ctx ends for requests under way; streams do not end by themselves. The
// error is why the server had ended before. Close may be called again.
func (r *Served) Close(ctx context.Context) error {
	if r.http.Shutdown(ctx) != nil {
		r.http.Close()
	}
	if <-r.done; !errors.Is(r.err, http.ErrServerClosed) {
		return r.err
	}
	return nil
}

// ErrorsEvery is the shortest time between two errors that [Errors] says.
const ErrorsEvery = time.Minute

// Errors is where a server writes its errors, many of which strangers cause: it says the first, and then once in
// [ErrorsEvery] the last one with the number of further ones. Make it with the field Say.
type Errors struct {
	Say func(what string, n int)

	mu   sync.Mutex
	said time.Time
	n    int
}

// Write takes an error of a [log.Logger].
func (e *Errors) Write(b []byte) (int, error) {
	e.take(string(b))
	return len(b), nil
}

// Println takes an error as that of a [log.Logger] does.
func (e *Errors) Println(v ...any) { e.take(fmt.Sprintln(v...)) }

func (e *Errors) take(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now := time.Now(); e.said.IsZero() || now.Sub(e.said) >= ErrorsEvery {
		e.Say(strings.TrimSpace(what), e.n+1)
		e.said, e.n = now, 0
		return
	}
	e.n++
}
