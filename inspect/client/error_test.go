package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// withToken returns a directory with a token for the node there.
func withToken(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, inspect.TokenName), []byte(strings.Repeat("0f", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

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
				} else if _, err := io.Copy(io.Discard, r.Body); err != nil {
					return nil, err
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

// TestGoneBeforeTheEnd: of a message that the node has not had whole nothing is in doubt when it goes away, nor of those
// that it was not given.
func TestGoneBeforeTheEnd(t *testing.T) {
	for _, x := range []struct {
		whole bool
		read  string // of the input, which goes on
		begun uint64
	}{
		{true, "a\nb", 0},
		{false, "a\nb\n", 2},
		{false, "", 0},
	} {
		c := New(withToken(t), Options{})
		c.http.Transport = answering(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodGet {
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}"))}, nil
			}
			_, err := io.ReadFull(r.Body, make([]byte, len(x.read)))
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{"))}, err
		})
		rest, open := io.Pipe()
		in := NewInput(io.MultiReader(strings.NewReader(x.read), rest), x.whole)
		err := c.SendAll(t.Context(), Sending{Peer: "00"}, in, func(models.Sent, bool) error { return nil })
		open.Close()
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeGone || e.Begun != (x.begun > 0) || in.Begun() != x.begun {
			t.Errorf("%q, whole %v: got %+v, and %d begun, want %d", x.read, x.whole, err, in.Begun(), x.begun)
		}
	}
}

// TestInterrupted: a context that ends while messages are under way is told apart from a node that
// ends.
func TestInterrupted(t *testing.T) {
	dir := withToken(t)
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

// TestInterruptedBefore: what is known of a request follows from how far it has come.
func TestInterruptedBefore(t *testing.T) {
	dir := withToken(t)
	send := func(text string, whole bool) func(context.Context, *Client) error {
		return func(ctx context.Context, c *Client) error {
			return c.SendAll(ctx, Sending{Peer: "00"}, NewInput(strings.NewReader(text), whole), func(models.Sent, bool) error { return nil })
		}
	}
	dial := func(ctx context.Context, c *Client) error {
		_, err := c.Dial(ctx, "00")
		return err
	}
	for _, x := range []struct {
		name         string
		method       string // of the request at which the context ends
		do           func(context.Context, *Client) error
		begun, asked bool
	}{
		{"dial, not asked", http.MethodGet, dial, false, false},
		{"dial", http.MethodPost, dial, false, true},
		{"send, not asked", http.MethodGet, send("a\n", false), false, false},
		{"send", http.MethodPost, send("a\n", false), true, false},
		{"send in all", http.MethodPost, send("a", true), true, false},
		{"send nothing", http.MethodPost, send("", false), false, false},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		c := New(dir, Options{})
		c.http.Transport = answering(func(r *http.Request) (*http.Response, error) {
			if r.Body != nil {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			if r.Method == x.method {
				cancel()
				return nil, ctx.Err()
			}
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}"))}, nil
		})
		err := x.do(ctx, c)
		e, _ := err.(*Error) //nolint:errorlint // the client does not wrap it
		if CodeOf(err) != CodeInterrupted || !errors.Is(err, context.Canceled) || e.Begun != x.begun || e.Asked != x.asked {
			t.Errorf("%s: got %+v", x.name, e)
		}
	}
}

// TestFollowNeverEndsInOrder: an orderly stop of the node ends the stream, and is no success.
func TestFollowNeverEndsInOrder(t *testing.T) {
	c := New(t.TempDir(), Options{})
	c.http.Transport = answering(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("data: {\"id\":\"1\"}\n\n"))}, nil
	})
	n := 0
	err := c.Follow(t.Context(), inspect.EventQuery{}, func(*models.Event) error { n++; return nil })
	if n != 1 || CodeOf(err) != CodeGone || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %d events, and %v, want %s", n, err, CodeGone)
	}
}
