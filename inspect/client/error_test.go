package client

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// TestErrors: each way of having no answer has its code.
func TestErrors(t *testing.T) {
	const sent = `{"n":1,"peer":"00","outcome":"confirmed","ms":1}` + "\n"
	for _, x := range []struct {
		name         string
		token        string // content of its file; "": none
		status       int
		answer, code string
		outcomes     int
		begun        bool
	}{
		{"all", strings.Repeat("0f", 32), 200, sent + "\n" + sent, "", 2, false},
		{"refused", strings.Repeat("0f", 32), 404, `{"error":{"code":"unknown_peer","message":"no"}}`, inspect.CodeUnknownPeer, 0, false},
		{"no form", strings.Repeat("0f", 32), 502, "Bad Gateway", CodeForeign, 0, false},
		{"broken off", strings.Repeat("0f", 32), 200, sent + `{"n":2,`, CodeGone, 1, true},
		{"no token", "", 200, sent, CodeNotRunning, 0, false}, // nobody serves the socket
		{"damaged token", "0f", 200, sent, CodeToken, 0, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := t.TempDir()
			if x.token != "" {
				if err := os.WriteFile(filepath.Join(dir, inspect.TokenName), []byte(x.token), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c := New(dir, Options{})
			c.http.Transport = answering(func(r *http.Request) (*http.Response, error) {
				answer := x.answer
				status := x.status
				if r.Method == http.MethodGet {
					answer, status = "{}", http.StatusOK
				}
				return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(answer))}, nil
			})
			n := 0
			err := c.SendAll(context.Background(), Sending{Peer: "00"}, NewInput(strings.NewReader("a\nb\n"), false), func(models.Sent, bool) error {
				n++
				return nil
			})
			e, _ := err.(*Error) //nolint:errorlint // the client does not wrap it
			if CodeOf(err) != x.code || n != x.outcomes || x.begun && !e.Begun {
				t.Errorf("got %v after %d outcomes, want %q after %d", err, n, x.code, x.outcomes)
			}
		})
	}
}

// TestInterrupted: a context that ends while messages are under way is told apart from a node that
// ends.
func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, inspect.TokenName), []byte(strings.Repeat("0f", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := New(dir, Options{})
	c.http.Transport = answering(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost {
			cancel()
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"n":`))}, nil
		}
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}"))}, nil
	})
	if _, err := c.Send(ctx, Sending{Peer: "00"}, []byte("a")); CodeOf(err) != CodeInterrupted {
		t.Errorf("got %v, want %s", err, CodeInterrupted)
	}
}
