package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// TestParseAddress: a port alone is one of loopback, and what is written in full is what it says.
func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"9464": "127.0.0.1:9464", "0": "127.0.0.1:0", "localhost:9464": "127.0.0.1:9464", "127.0.0.1:1": "127.0.0.1:1", "[::1]:9464": "[::1]:9464",
		"0.0.0.0:9464": "0.0.0.0:9464", "10.0.0.7:9464": "10.0.0.7:9464", "[fe80::1%eth0]:9464": "[fe80::1%eth0]:9464",
	} {
		if got, err := ParseAddress(text); err != nil || got.String() != want {
			t.Errorf("%q: got %v, %v, want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		":9464": "write 9464 for this machine alone, or 0.0.0.0:9464", "": "write a port", "70000": "write a port", "-1": "write a port", "x:1": "x is no IP address",
		"example.org:9464": "example.org is no IP address", "/ip4/127.0.0.1/tcp/9464": "write a port", "1.2.3.4:": "write a port", "1.2.3.4": "write a port", "http://127.0.0.1:1": "write a port",
	} {
		_, err := ParseAddress(text)
		if bad, ok := errors.AsType[*AddressError](err); !ok || bad.Text != text || !strings.Contains(bad.Why, want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
		if s, err := Serve(text, inspect.Options{}, nil); err == nil {
			s.Close(t.Context())
			t.Errorf("%q was served", text)
		}
	}
}

func serve(t *testing.T, o inspect.Options, l *slog.Logger) *Server {
	t.Helper()
	s, err := Serve("0", o, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.Background()) })
	return s
}

// ask sends a request, with a Host of its own if there is one.
func ask(t *testing.T, method, url, host string) (status int, header http.Header, body string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Host = host
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, r.Header, string(b)
}

// TestServe: metrics are at one path, for GET and HEAD, and on loopback for requests to loopback alone.
func TestServe(t *testing.T) {
	s := serve(t, inspect.Options{}, nil)
	at := "http://" + s.Address().String()
	for _, c := range []struct {
		method, path, host string
		status             int
		want               string
	}{
		{"GET", "/metrics", "", 200, `gamelan_health_state{state="ok"} 1`},
		{"GET", "/metrics", "localhost:1", 200, `gamelan_condition{code="offline"} 0`},
		{"HEAD", "/metrics", "", 200, ""},
		{"POST", "/metrics", "", 405, "only GET"},
		{"GET", "/", "", 404, "the metrics are at /metrics"},
		{"GET", "/v1/node", "", 404, "the metrics are at /metrics"},
		{"GET", "/metrics", "evil.example", 403, "is not allowed"},
		{"GET", "/metrics", "169.254.169.254", 403, "is not allowed"},
	} {
		status, _, body := ask(t, c.method, at+c.path, c.host)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s of %q: got %d %.200q, want %d %q", c.method, c.path, c.host, status, body, c.status, c.want)
		}
	}
	q, _ := http.NewRequest(http.MethodGet, at+"/metrics", nil)
	q.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if b, _ := io.ReadAll(r.Body); !strings.HasSuffix(string(b), "# EOF\n") || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/openmetrics-text") {
		t.Errorf("got %s, want OpenMetrics", r.Header.Get("Content-Type"))
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := net.DialTimeout("tcp", s.Address().String(), time.Second); err == nil {
		t.Error("a closed server takes connections")
	}
}

// TestBusyPort: the error of a port that another program has says so, and what to do.
func TestBusyPort(t *testing.T) {
	s := serve(t, inspect.Options{}, nil)
	_, err := Serve(s.Address().String(), inspect.Options{}, nil)
	busy, ok := errors.AsType[*ListenError](err)
	if !ok || busy.Address != s.Address().String() || errors.Unwrap(busy) == nil || !strings.Contains(err.Error(), "take another one") {
		t.Errorf("got %v, want the address and what to do", err)
	}
}

// slow is a node whose metrics take until release is closed.
func slow(release chan struct{}) inspect.Options {
	return inspect.Options{Metrics: func(context.Context) []any {
		<-release
		return nil
	}}
}

// TestTooManyScrapes: more scrapes at a time than MaxScrapes are refused, and served again later.
func TestTooManyScrapes(t *testing.T) {
	release := make(chan struct{})
	h := Handler(slow(release), nil)
	var wg sync.WaitGroup
	codes := make(chan int, MaxScrapes)
	var entered sync.WaitGroup
	entered.Add(MaxScrapes)
	for range MaxScrapes {
		wg.Go(func() {
			w := httptest.NewRecorder()
			entered.Done()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			codes <- w.Code
		})
	}
	entered.Wait()
	refused := func() bool {
		w := httptest.NewRecorder()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil).WithContext(ctx))
		}()
		select {
		case <-done:
			return w.Code == http.StatusServiceUnavailable
		case <-ctx.Done():
			return false
		}
	}
	for !refused() { // until all of the first have begun; one that is not refused has taken the place of one
	}
	close(release)
	wg.Wait()
	for range MaxScrapes {
		if code := <-codes; code != http.StatusOK && code != http.StatusServiceUnavailable {
			t.Errorf("got %d", code)
		}
	}
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil)); w.Code != http.StatusOK {
		t.Errorf("got %d after the others, want 200", w.Code)
	}
}

// TestManyConnections: beyond maxConns connections that do nothing, further ones are closed at once, and those
// that end make room.
func TestManyConnections(t *testing.T) {
	s := serve(t, inspect.Options{}, nil)
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", s.Address().String())
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		return c
	}
	for range maxConns {
		c := dial()
		fmt.Fprint(c, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if n, err := c.Read(make([]byte, 1)); n != 1 {
			t.Fatal(err)
		}
	}
	further := dial()
	further.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := further.Read(make([]byte, 1)); err == nil {
		t.Error("got an answer on one connection too many")
	}
	open[0].Close()
	for end := time.Now().Add(time.Minute); ; {
		c := dial()
		fmt.Fprint(c, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if n, _ := c.Read(make([]byte, 1)); n == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a connection that has ended makes no room")
		}
	}
}

type broken struct {
	N int `metric:"broken" help:"no sentence"`
}

type fine struct {
	N int `metric:"fine" help:"It is fine."`
}

// TestBugInAPart: a part with wrong tags, and one with another's metric, are logged, and all else is served.
func TestBugInAPart(t *testing.T) {
	var log bytes.Buffer
	o := inspect.Options{Metrics: func(context.Context) []any { return []any{broken{1}, fine{2}, fine{3}, errors.New("a part is silent")} }}
	h := Handler(o, slog.New(slog.NewTextHandler(&log, nil)))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body := w.Body.String()
	if w.Code != http.StatusOK || !strings.Contains(body, "gamelan_fine 2\n") || strings.Contains(body, "gamelan_broken") || !strings.Contains(body, "go_goroutines") {
		t.Errorf("got %d %.500q", w.Code, body)
	}
	for _, want := range []string{"gamelan_broken", "the metric gamelan_fine is that of two parts", "a part is silent"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("got the log %q, want %q", log.String(), want)
		}
	}
}
