package control_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/control"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// exposed is a real node whose API is served over TCP and on a Unix socket.
type exposed struct {
	node      *gamelan.Node
	tcp, unix string // addresses
	http      *http.Client
	token     inspect.Token
	stopping  atomic.Bool
}

func expose(t *testing.T) *exposed {
	t.Helper()
	n, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{"/ip4/127.0.0.1/tcp/0"}, DataDir: t.TempDir()},
		gamelan.WithInbox(gamelan.InboxConfig{}), gamelan.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close(context.Background()) })
	e := &exposed{node: n}
	if e.token, err = inspect.NewToken(rand.Reader); err != nil {
		t.Fatal(err)
	}
	a := control.Actions(n, control.Options{Stopping: e.stopping.Load})
	mutate, err := inspect.Mutations(e.token, a)
	if err != nil {
		t.Fatal(err)
	}
	o := n.Inspection().Options
	o.Messages, o.Verbs = control.Messages(n), a.Verbs
	h := inspect.Join(inspect.Handler(o), mutate)
	over := httptest.NewServer(h)
	t.Cleanup(over.Close)
	e.tcp = over.Listener.Addr().String()
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	e.unix = l.Addr().String()
	local := &http.Server{Handler: h}
	go local.Serve(l)
	t.Cleanup(func() { local.Close() })
	e.http = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return e
}

// refused makes a request over TCP, and expects an error of the API.
func (e *exposed) refused(t *testing.T, what string, r *http.Request, status int, code string) {
	t.Helper()
	res, err := e.http.Do(r)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if len(b) > 8<<10 {
		t.Errorf("%s: the answer has %d bytes", what, len(b))
	}
	var answer struct{ Error *inspect.Error }
	if err := json.Unmarshal(b, &answer); err != nil || answer.Error == nil {
		t.Errorf("%s: got %d %.300s, want an error of the API", what, res.StatusCode, b)
		return
	}
	if res.StatusCode != status || answer.Error.Code != code || answer.Error.Message == "" || answer.Error.Hint == "" {
		t.Errorf("%s: got %d %+v, want %d %s with a message and a hint", what, res.StatusCode, answer.Error, status, code)
	}
}

// TestBadRequests: whatever is wrong with a request, the answer is an error of the API with the right status.
func TestBadRequests(t *testing.T) {
	e := expose(t)
	var (
		noToken = map[string]string{"Authorization": ""}
		long    = strings.Repeat("é", 100<<10)
	)
	for _, c := range []struct {
		what, method, path, body string
		head                     map[string]string
		status                   int
		code                     string
	}{
		{"nothing there", "GET", "/", "", nil, 404, inspect.CodeNotFound},
		{"an unknown path", "GET", "/v1/nothing", "", nil, 404, inspect.CodeNotFound},
		{"another version", "GET", "/v2/node", "", nil, 404, inspect.CodeNotFound},
		{"out of the tree", "GET", "/v1/peers/..%2f..%2fetc%2fpasswd", "", nil, 404, inspect.CodeNotFound},
		{"control characters", "GET", "/v1/%1b%5b2J%00", "", nil, 404, inspect.CodeNotFound},
		{"a long path", "GET", "/v1/" + strings.Repeat("%C3%A9", 100<<10), "", nil, 404, inspect.CodeNotFound},
		{"an unknown actor", "GET", "/v1/actors/node/nobody", "", nil, 404, inspect.CodeNotFound},
		{"stacks of nobody", "GET", "/v1/actors/nobody/stacks", "", nil, 404, inspect.CodeNotFound},
		{"an unknown section", "GET", "/v1/sections/none", "", nil, 404, inspect.CodeNotFound},
		{"an unknown peer", "GET", "/v1/peers/00112233", "", nil, 404, inspect.CodeNotFound},

		{"an unknown parameter", "GET", "/v1/node?x=1", "", nil, 400, inspect.CodeBadQuery},
		{"a query that cannot be read", "GET", "/v1/peers?limit=%zz", "", nil, 400, inspect.CodeBadQuery},
		{"semicolons", "GET", "/v1/peers?limit=1;offset=2", "", nil, 400, inspect.CodeBadQuery},
		{"no number", "GET", "/v1/peers?limit=many", "", nil, 400, inspect.CodeBadQuery},
		{"a limit of nothing", "GET", "/v1/peers?limit=0", "", nil, 400, inspect.CodeBadQuery},
		{"a limit beyond integers", "GET", "/v1/peers?limit=99999999999999999999", "", nil, 400, inspect.CodeBadQuery},
		{"a negative offset", "GET", "/v1/events?limit=-1", "", nil, 400, inspect.CodeBadQuery},
		{"a long value", "GET", "/v1/actors?sort=" + strings.Repeat("x", 200<<10), "", nil, 400, inspect.CodeBadQuery},
		{"no such order", "GET", "/v1/actors?sort=size", "", nil, 400, inspect.CodeBadQuery},
		{"no such time", "GET", "/v1/events?to=13:00", "", nil, 400, inspect.CodeBadQuery},
		{"no such event", "GET", "/v1/events?since=1.x", "", nil, 400, inspect.CodeBadQuery},
		{"pages of no list", "GET", "/v1/dht?limit=1", "", nil, 400, inspect.CodeBadQuery},

		{"a foreign host", "GET", "/v1/node", "", map[string]string{"Host": "evil.example"}, 403, inspect.CodeForbidden},
		{"a foreign host that looks right", "GET", "/v1/node", "", map[string]string{"Host": "localhost.evil.example"}, 403, inspect.CodeForbidden},
		{"a foreign origin", "GET", "/v1/node", "", map[string]string{"Origin": "https://evil.example"}, 403, inspect.CodeForbidden},
		{"no origin at all", "GET", "/v1/events", "", map[string]string{"Origin": "null"}, 403, inspect.CodeForbidden},
		{"a foreign origin that acts", "POST", "/v1/network/join", "", map[string]string{"Origin": "https://evil.example"}, 403, inspect.CodeForbidden},
		{"another site that acts", "POST", "/v1/network/join", "", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403, inspect.CodeForbidden},
		{"messages over TCP", "GET", "/v1/messages", "", nil, 403, inspect.CodeForbidden},
		{"secrets over TCP", "POST", "/v1/kad/put", "{}", nil, 403, inspect.CodeForbidden},

		{"no token", "POST", "/v1/network/join", "", noToken, 401, inspect.CodeUnauthorized},
		{"half a token", "POST", "/v1/network/join", "", map[string]string{"Authorization": "Bearer 00"}, 401, inspect.CodeUnauthorized},
		{"another token", "POST", "/v1/network/join", "", map[string]string{"Authorization": "Bearer " + strings.Repeat("0", 64)}, 401, inspect.CodeUnauthorized},
		{"another scheme", "POST", "/v1/network/join", "", map[string]string{"Authorization": "Basic " + e.token.Reveal()}, 401, inspect.CodeUnauthorized},
		{"an unknown path without a token", "POST", "/v1/nothing", "", noToken, 401, inspect.CodeUnauthorized},

		{"another method", "DELETE", "/v1/peers", "", nil, 405, inspect.CodeBadMethod},
		{"a method of nobody", "BREW", "/v1/shutdown", "", nil, 405, inspect.CodeBadMethod},
		{"nothing to do", "POST", "/v1/nothing", "", nil, 404, inspect.CodeNotFound},
		{"an unknown verb", "POST", "/v1/network/explode", "", nil, 404, inspect.CodeNotFound},
		{"an unknown verb of peers", "POST", "/v1/peers/00112233:hug", "", nil, 404, inspect.CodeNotFound},
		{"a verb of no peer", "POST", "/v1/peers/:ban", "", nil, 404, inspect.CodeNotFound},
		{"a peer that nobody knows", "POST", "/v1/peers/00112233:dial", "", nil, 404, inspect.CodeUnknownPeer},
		{"a message to nobody", "POST", "/v1/messages", "x", nil, 400, inspect.CodeBadQuery},
		{"a strange body", "POST", "/v1/messages?peer=00112233", "x", map[string]string{"Content-Type": "image/png"}, 400, inspect.CodeBadQuery},
		{"a duration of nothing", "POST", "/v1/messages?peer=00112233&timeout=0s", "x", nil, 400, inspect.CodeBadQuery},
		{"no list of messages", "POST", "/v1/messages:ack", "{", nil, 400, inspect.CodeBadQuery},
		{"more than a list of messages", "POST", "/v1/messages:ack", `{"seqs":[` + strings.Repeat("1,", 600<<10) + `1]}`, nil, 400, inspect.CodeBadQuery},
		{"no listener", "POST", "/v1/messages:back", `{"name":"` + long + `"}`, nil, 400, inspect.CodeBadQuery},
		{"a long seed", "POST", "/v1/peers", long, nil, 400, inspect.CodeBadQuery},
		{"no seed", "POST", "/v1/peers", "bob", nil, 409, inspect.CodeFailed},
		{"no peers", "POST", "/v1/peers:import", "[]", nil, 400, inspect.CodeBadQuery},
		{"a parameter of no shutdown", "POST", "/v1/shutdown?now=1", "", nil, 400, inspect.CodeBadQuery},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+e.tcp+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+e.token.Reveal())
		for name, value := range c.head {
			r.Header.Set(name, value)
		}
		if host := r.Header.Get("Host"); host != "" {
			r.Host = host
		}
		e.refused(t, c.what, r, c.status, c.code)
	}

	// A node that stops does nothing new, and shows what it is doing.
	e.stopping.Store(true)
	for path, status := range map[string]int{"/v1/network/join": 503, "/v1/messages:ack": 400, "/v1/shutdown": 503, "/v1/nothing": 503} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+e.tcp+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+e.token.Reveal())
		code := inspect.CodeStopping
		if status == 400 {
			code = inspect.CodeBadQuery
		}
		e.refused(t, "stopping: "+path, r, status, code)
	}
	if b := e.answer(t, "/v1/node"); !bytes.Contains(b, []byte(`"node_id"`)) {
		t.Errorf("stopping: got %s", b)
	}
	if err := e.node.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v1", "/v1/actors", "/v1/tree", "/v1/peers", "/v1/events", "/v1/node", "/healthz", "/v1/dht", "/v1/kad", "/v1/inbox"} {
		if b := e.answer(t, path); !json.Valid(b) { // whatever it says, it is an answer
			t.Errorf("after the end: %s: got %.300s", path, b)
		}
	}
}

// answer returns the answer to a GET over TCP.
func (e *exposed) answer(t *testing.T, path string) []byte {
	t.Helper()
	res, err := e.http.Get("http://" + e.tcp + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestHugeLimits: a page has at most 1,000 entries, whatever is asked for, and the answer says so.
func TestHugeLimits(t *testing.T) {
	e := expose(t)
	for _, path := range []string{"/v1", "/v1/actors", "/v1/peers", "/v1/connections", "/v1/ledger", "/v1/failures", "/v1/deadletters", "/v1/verbs", "/v1/events", "/v1/sections", "/v1/kad-peers", "/v1/sections/peers"} {
		var list struct {
			Items []json.RawMessage
			Note  string
		}
		b := e.answer(t, path+"?limit=2000000000")
		if err := json.Unmarshal(b, &list); err != nil || list.Items == nil || len(list.Items) > inspect.MaxLimit || !strings.Contains(list.Note, "1000") {
			t.Errorf("%s: got %v, %d entries, and the note %q", path, err, len(list.Items), list.Note)
		}
		if path == "/v1/events" {
			continue
		}
		b = e.answer(t, path+"?offset=2000000000")
		if err := json.Unmarshal(b, &list); err != nil || len(list.Items) != 0 {
			t.Errorf("%s: beyond the end: got %s", path, b)
		}
	}
}

// heap returns the bytes that are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// TestManyWatchers: of 1,000 clients that watch and read nothing, 32 are served, and the others are told so. While 20,000 events happen
// and 200 pages are not read, the memory of the node stays.
func TestManyWatchers(t *testing.T) {
	e := expose(t)
	before := heap()
	const watchers, most, room = 1000, 32, 128 << 20 // with the clients, which are of this process
	conns := make([]net.Conn, watchers)
	var served, busy atomic.Int32
	var wg sync.WaitGroup
	for i := range watchers {
		wg.Go(func() {
			conn, err := net.Dial("unix", e.unix)
			if err != nil {
				t.Error(err)
				return
			}
			conns[i] = conn
			fmt.Fprint(conn, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
			line, err := bufio.NewReaderSize(conn, 16).ReadString('\n')
			switch {
			case err != nil:
				t.Error(err)
			case strings.Contains(line, " 200 "):
				served.Add(1)
			case strings.Contains(line, " 503 "):
				busy.Add(1)
			default:
				t.Errorf("got %q", line)
			}
		})
	}
	wg.Wait()
	if served.Load() != most || busy.Load() != watchers-most {
		t.Errorf("got %d served and %d refused, want %d and the others", served.Load(), busy.Load(), most)
	}
	// Readers of long answers that take nothing of them.
	for range 200 {
		conn, err := net.Dial("unix", e.unix)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, strings.Repeat("GET /v1/actors?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n", 20))
	}
	for i := range 20_000 {
		e.node.Inspection().Acted(fmt.Sprintf("test.%d %s", i, strings.Repeat("x", 900)))
	}
	for { // until the last has been taken
		all, err := e.node.Inspection().Recorded(inspect.EventQuery{Types: []string{models.AdminActed, models.EventsUntold}, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(all.Events) > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if grown := heap() - before; grown > room {
		t.Errorf("the memory has grown by %d MiB, want at most %d", grown>>20, room>>20)
	} else {
		t.Logf("the memory has grown by %d MiB", grown>>20)
	}
	for _, conn := range conns {
		if conn != nil {
			conn.Close()
		}
	}
	for limit := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) { // those that have gone make room
		conn, err := net.Dial("unix", e.unix)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
		line, err := bufio.NewReader(conn).ReadString('\n')
		conn.Close()
		if err == nil && strings.Contains(line, " 200 ") {
			break
		}
		if time.Now().After(limit) {
			t.Fatal("no place becomes free")
		}
	}
}
