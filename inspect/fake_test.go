package inspect

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"testing"
	"time"
)

const (
	nodeA = "9c01d2e4a1b2c3d4e5f6a7b8c9"
	nodeB = "9c01d2e4a1b2c3d4ffffffffff" // shares the printed part with nodeA
	nodeC = "0011223344556677889900aabb"
)

// fakeSource is a tree that does not change. Actors named in silent do not
// answer until they are asked no more.
type fakeSource struct {
	actors []Actor
	detail map[string]Detail
	silent map[string]bool
}

func (f *fakeSource) Actors() []Actor { return append([]Actor(nil), f.actors...) }

func (f *fakeSource) Ask(ctx context.Context, path string) (Detail, error) {
	if f.silent[path] {
		<-ctx.Done()
		return Detail{}, ctx.Err()
	}
	return f.detail[path], nil
}

var t0 = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func newActor(id, kind string, change ...func(*Actor)) Actor {
	a := Actor{ID: id, Name: path.Base(id), Kind: kind, State: Running, Incarnation: 1, StartedAt: t0}
	if n := len(id) - len(a.Name); n > 0 {
		a.Parent = id[:n-1]
	}
	for _, c := range change {
		c(&a)
	}
	return a
}

func testSource() *fakeSource {
	const n = "gamelan-7f3a91c2/node"
	return &fakeSource{
		actors: []Actor{
			newActor(n, "group"),
			newActor(n+"/peers", "peers", func(a *Actor) { a.Processed, a.Rate = 1234567, new(99.6) }),
			newActor(n+"/conns", "conns", func(a *Actor) { a.Mailbox.Depth = 3 }),
			newActor(n+"/conns/"+nodeA+"-17", "conn", func(a *Actor) { a.State, a.Restarts = Busy, 0 }),
			newActor(n+"/conns/"+nodeC+"-18", "conn", func(a *Actor) {
				a.State, a.Current = Stuck, &Current{MessageType: "actors.Received", AgeMS: 12345}
				a.Mailbox.Depth = 40
			}),
			newActor(n+"/extensions", "extensions"),
			newActor(n+"/extensions/handler", "handler", func(a *Actor) {
				a.State, a.Restarts, a.Contained, a.Missed = BackingOff, 2, 7, 3
				a.NextRestartAt = t0.Add(4 * time.Second)
				a.LastFailure = &LastFailure{At: t0, Reason: "boom\x1b[2J", StackID: "00c0ffee00c0ffee"}
				a.stack = []byte("goroutine 1 [running]:\nmain.f()\n\t/src/f.go:3 +0x1\n")
			}),
		},
		detail: map[string]Detail{
			n + "/peers":                  {Line: "3 peers, 0 banned", Value: map[string]int{"peers": 3}},
			n + "/conns/" + nodeA + "-17": {Line: "outbound, agent \"x\x1b]0;owned\a\u202e\""},
		},
		silent: map[string]bool{n + "/extensions": true},
	}
}

// onUnix serves h on a Unix socket and returns a client for it; any URL with
// the host "node" reaches h.
func onUnix(t *testing.T, h http.Handler) *http.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
	s.Start()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(func() { tr.CloseIdleConnections(); s.Close() })
	return &http.Client{Transport: tr}
}

// get asks h for target as from loopback and returns status and body.
func get(t *testing.T, h http.Handler, target string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://localhost"+target, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	b, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(b)
}

// getJSON is get for an answer that must be a success, decoded into a T.
func getJSON[T any](t *testing.T, h http.Handler, target string) T {
	t.Helper()
	code, body := get(t, h, target)
	var v T
	if err := json.Unmarshal([]byte(body), &v); code != http.StatusOK || err != nil {
		t.Fatalf("GET %s: got %d %s (%v), want 200 and JSON", target, code, body, err)
	}
	return v
}
