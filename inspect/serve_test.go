package inspect_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// TestSocketComesBack: a server whose socket is removed makes another one, a request that runs
// meanwhile ends as it would have, and nothing is left after Close.
func TestSocketComesBack(t *testing.T) {
	dir := t.TempDir()
	began, release := make(chan struct{}), make(chan struct{})
	s, err := inspect.Serve(dir, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(began)
			<-release
		}
		fmt.Fprint(w, "here")
	}), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, inspect.SocketName)
	slow := make(chan error, 1)
	go func() { slow <- get(t.Context(), socket, "/slow") }()
	<-began
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	for get(t.Context(), socket, "/") != nil {
		if t.Context().Err() != nil {
			t.Fatal("the socket did not come back")
		}
		time.Sleep(10 * time.Millisecond)
	}
	close(release)
	if err := <-slow; err != nil {
		t.Errorf("the request that ran got %v", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v, want an empty directory", left, err)
	}
}

func get(ctx context.Context, socket, path string) error {
	c := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://node"+path, nil)
	if err != nil {
		return err
	}
	res, err := c.Do(r)
	if err != nil {
		return err
	}
	return res.Body.Close()
}
