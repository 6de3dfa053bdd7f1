package client

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// answering is the node's side of an HTTP client.
type answering func(*http.Request) (*http.Response, error)

func (f answering) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestListenerStandsStill stops the process of a listener while it acknowledges. The time for an
// answer is over when it goes on, at each of the two requests: it asks again, instead of giving
// back messages that it has written.
func TestListenerStandsStill(t *testing.T) {
	for _, path := range []string{"/v1", "/v1/messages:ack"} {
		for stops, want := range map[int]bool{0: true, 1: true, 2: false} {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, inspect.TokenName), []byte(strings.Repeat("0f", 32)), 0o600); err != nil {
					t.Fatal(err)
				}
				c, n := New(dir, Options{}), 0
				c.http.Transport = answering(func(r *http.Request) (*http.Response, error) {
					if r.URL.Path == path {
						if n++; n <= stops {
							<-r.Context().Done()
							return nil, r.Context().Err()
						}
					}
					return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}"))}, nil
				})
				if err := c.Acknowledge(context.Background(), 1); (err == nil) != want {
					t.Errorf("%d stops at %s: got %v", stops, path, err)
				}
			})
		}
	}
}
