package gate

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// door is a gate in front of the handlers of package inspect, and what asks there.
type door struct {
	*Gate
	t           *testing.T
	clock       *clock
	admin, read inspect.Token
	stopped     int // how often the node was told to stop
}

func token(t *testing.T) inspect.Token {
	t.Helper()
	k, err := inspect.NewToken(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newDoor(t *testing.T, change func(*Options)) *door {
	d := &door{t: t, clock: newClock(), admin: token(t), read: token(t)}
	inner := token(t)
	sections := new(inspect.Sections)
	sections.Section("secret", func(ctx context.Context) any { return map[string]bool{"withheld": inspect.Withheld(ctx)} })
	mutate, err := inspect.Mutations(inner, inspect.Actions{Shutdown: func() { d.stopped++ }})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Node: inspect.Join(inspect.Handler(inspect.Options{Sections: sections}), mutate), Token: inner, Admin: d.admin, Read: d.read, Now: d.clock.Now,
		Page: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "the page; %d cookies, %q", len(r.Cookies()), r.Header.Get("Authorization"))
		}),
		Hosts: []string{"node.example.org"},
	}
	if change != nil {
		change(&o)
	}
	d.Gate = New(o)
	return d
}

// ask sends a request; each of with is "Header: value", "from ADDRESS" or "tls".
func (d *door) ask(method, path string, with ...string) *httptest.ResponseRecorder {
	d.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:9465"+path, nil)
	for _, x := range with {
		name, value, _ := strings.Cut(x, ": ")
		switch {
		case x == "tls":
			r.TLS = new(tls.ConnectionState)
		case strings.HasPrefix(x, "from "):
			r.RemoteAddr = net.JoinHostPort(strings.TrimPrefix(x, "from "), "4000")
		case name == "Host":
			r.Host = value
		default:
			r.Header.Add(name, value)
		}
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

func bearer(k inspect.Token) string { return "Authorization: Bearer " + k.Reveal() }

func codeOf(w *httptest.ResponseRecorder) string {
	var refused struct{ Error inspect.Error }
	if json.Unmarshal(w.Body.Bytes(), &refused) != nil {
		return ""
	}
	return refused.Error.Code
}

// enter opens a link and returns the cookie, as a header.
func (d *door) enter(s Scope, with ...string) string {
	d.t.Helper()
	path, err := d.Link(s)
	if err != nil {
		d.t.Fatal(err)
	}
	w := d.ask("GET", path, with...)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `content="0;url=/"`) {
		d.t.Fatalf("got %d %s for a link", w.Code, w.Body)
	}
	c := w.Result().Cookies()[0]
	return "Cookie: " + c.Name + "=" + c.Value
}

// TestEveryRequestNeedsAToken: nothing is shown without one, and a reader changes nothing.
func TestEveryRequestNeedsAToken(t *testing.T) {
	d := newDoor(t, nil)
	stranger := token(t)
	for _, x := range []struct {
		method, path string
		with         []string
		status       int
		code         string
	}{
		{"GET", "/v1", nil, 401, "unauthorized"},
		{"GET", "/healthz", nil, 401, "unauthorized"},
		{"GET", "/", nil, 401, "unauthorized"},
		{"GET", "/app.js", nil, 401, "unauthorized"},
		{"GET", "/session", nil, 401, "unauthorized"},
		{"GET", "/v1", []string{bearer(stranger)}, 401, "unauthorized"},
		{"GET", "/v1", []string{bearer(inspect.Token{})}, 401, "unauthorized"},
		{"GET", "/v1", []string{"Authorization: Basic " + d.admin.Reveal()}, 401, "unauthorized"},
		{"GET", "/v1", []string{bearer(d.admin), bearer(d.admin)}, 401, "unauthorized"},
		{"GET", "/v1", []string{bearer(d.read)}, 200, ""},
		{"GET", "/v1", []string{bearer(d.admin)}, 200, ""},
		{"GET", "/healthz", []string{bearer(d.read)}, 200, ""},
		{"POST", "/v1/shutdown", []string{bearer(d.read)}, 403, "forbidden"},
		{"DELETE", "/v1/peers", []string{bearer(d.read)}, 403, "forbidden"},
		{"POST", "/v1/shutdown", []string{bearer(stranger)}, 401, "unauthorized"},
	} {
		w := d.ask(x.method, x.path, x.with...)
		if w.Code != x.status || codeOf(w) != x.code {
			t.Errorf("%s %s %v: got %d %q, want %d %q", x.method, x.path, x.with, w.Code, codeOf(w), x.status, x.code)
		}
		if strings.Contains(w.Body.String(), d.admin.Reveal()) || strings.Contains(w.Body.String(), d.o.Token.Reveal()) {
			t.Errorf("%s %s: got a token in the answer", x.method, x.path)
		}
	}
	if d.stopped != 0 {
		t.Fatal("got a node stopped by a reader or a stranger")
	}
	if w := d.ask("POST", "/v1/shutdown", bearer(d.admin)); w.Code != http.StatusAccepted || d.stopped != 1 {
		t.Errorf("got %d %s for the admin, %d stops", w.Code, w.Body, d.stopped)
	}
	if n := d.Counts(); n.Credential != 10 || n.Scope != 2 {
		t.Errorf("got %+v", n)
	}
	if w := New(Options{Node: http.NotFoundHandler()}); w.who(httptest.NewRequest(http.MethodGet, "/", nil)).scope != Nothing {
		t.Error("got a gate without tokens open")
	}
}

// TestContents: what is in messages and values passes over TLS alone, and to the admin alone.
func TestContents(t *testing.T) {
	d := newDoor(t, nil)
	for _, x := range []struct {
		with     []string
		withheld bool
	}{
		{[]string{bearer(d.admin)}, true},
		{[]string{bearer(d.read), "tls"}, true},
		{[]string{bearer(d.admin), "tls"}, false},
	} {
		if w := d.ask("GET", "/v1/secret", x.with...); strings.Contains(w.Body.String(), "true") != x.withheld {
			t.Errorf("%v: got %s", x.with, w.Body)
		}
		for method, path := range map[string]string{"GET": "/v1/messages", "POST": "/v1/dht/messages"} {
			w := d.ask(method, path, x.with...)
			if refused := w.Code == 403; refused != x.withheld {
				t.Errorf("%v: %s %s: got %d %s", x.with, method, path, w.Code, w.Body)
			}
		}
	}
	own := newDoor(t, func(o *Options) { o.Private = true })
	if w := own.ask("GET", "/v1/secret", bearer(own.admin)); strings.Contains(w.Body.String(), "true") {
		t.Errorf("got %s behind a command of the same user", w.Body)
	}
}

// TestLinks: a link works once, for a minute, and the session is of its scope, and ends.
func TestLinks(t *testing.T) {
	d := newDoor(t, func(o *Options) { o.Names = func() map[string]string { return map[string]string{"00ff": "bob"} } })
	path, _ := d.Link(Read)
	w := d.ask("GET", path)
	set := w.Header().Get("Set-Cookie")
	for _, want := range []string{"gamelan-9465=", "Path=/", "HttpOnly", "SameSite=Strict", "Max-Age=43200"} {
		if !strings.Contains(set, want) {
			t.Errorf("got the cookie %q, want %s in it", set, want)
		}
	}
	if strings.Contains(set, "Secure") || strings.Contains(set, "Domain") {
		t.Errorf("got the cookie %q", set)
	}
	c := w.Result().Cookies()[0]
	reader := "Cookie: " + c.Name + "=" + c.Value
	if w = d.ask("GET", path); w.Code != 401 || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("got %d for a link that was opened before", w.Code)
	}
	if w = d.ask("GET", "/", reader); w.Code != 200 || w.Body.String() != `the page; 0 cookies, ""` {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w = d.ask("POST", "/v1/shutdown", reader); w.Code != 403 || d.stopped != 0 {
		t.Errorf("got %d for a change by a reader", w.Code)
	}
	late, _ := d.Link(Admin)
	d.clock.add(LinkFor)
	if w = d.ask("GET", late); w.Code != 401 {
		t.Errorf("got %d for a link that is a minute old", w.Code)
	}
	if w = d.ask("HEAD", late); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("got %d for HEAD", w.Code)
	}
	for _, path := range []string{"/login", "/login?once=", "/login?once=" + strings.Repeat("0", 64)} {
		if w = d.ask("GET", path); w.Code != 401 {
			t.Errorf("%s: got %d", path, w.Code)
		}
	}
	admin := d.enter(Admin, "tls")
	if w = d.ask("GET", "/session", admin, "tls"); w.Body.String() != `{"scope":"admin","until":"2026-01-02T15:05:05Z","private":true,"names":{"00ff":"bob"}}`+"\n" {
		t.Errorf("got %s", w.Body)
	}
	if w = d.ask("POST", "/v1/shutdown", admin); w.Code != http.StatusAccepted || d.stopped != 1 {
		t.Errorf("got %d %s for a change by an admin's session", w.Code, w.Body)
	}
	if w = d.ask("GET", "/v1", admin, bearer(token(t))); w.Code != 401 {
		t.Errorf("got %d for a wrong token beside a cookie", w.Code)
	}
	d.clock.add(SessionFor - time.Second)
	if w = d.ask("GET", "/", reader); w.Code != 401 {
		t.Errorf("got %d for a session that is over", w.Code)
	}
	if w = d.ask("GET", "/", admin); w.Code != 200 {
		t.Errorf("got %d for one that is not", w.Code)
	}
	if w = d.ask("POST", "/session", admin); w.Code != 200 || !strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("got %d %v for the end of a session", w.Code, w.Header())
	}
	if w = d.ask("GET", "/", admin); w.Code != 401 {
		t.Errorf("got %d for a session that was ended", w.Code)
	}
	if n := d.Counts(); n.Sessions != 0 || n.Links != 0 {
		t.Errorf("got %+v, want nothing left", n)
	}
}

// TestLinksAndSessionsAreBounded: the oldest make way.
func TestLinksAndSessionsAreBounded(t *testing.T) {
	d := newDoor(t, nil)
	first, _ := d.Link(Admin)
	for range MaxLinks {
		if _, err := d.Link(Admin); err != nil {
			t.Fatal(err)
		}
	}
	if w := d.ask("GET", first); w.Code != 401 || d.Counts().Links != MaxLinks {
		t.Errorf("got %d, %+v", w.Code, d.Counts())
	}
	oldest := d.enter(Read)
	for range MaxSessions {
		d.enter(Read)
	}
	if w := d.ask("GET", "/", oldest); w.Code != 401 || d.Counts().Sessions != MaxSessions {
		t.Errorf("got %d, %+v", w.Code, d.Counts())
	}
}

// TestForeignPages: a page of another site gets nothing through a browser that has a session.
func TestForeignPages(t *testing.T) {
	d := newDoor(t, nil)
	admin := d.enter(Admin)
	for _, x := range []struct {
		method, path string
		with         []string
		status       int
	}{
		{"GET", "/v1", []string{"Host: attacker.example"}, 403},
		{"GET", "/v1", []string{"Host: attacker.example:9465"}, 403},
		{"GET", "/v1", []string{"Host: 192.0.2.7:9465"}, 403},
		{"GET", "/v1", []string{"Host: "}, 403},
		{"GET", "/v1", []string{"Host: localhost.attacker.example:9465"}, 403},
		{"GET", "/v1", []string{"Origin: http://attacker.example"}, 403},
		{"GET", "/v1", []string{"Origin: null"}, 403},
		{"GET", "/v1", []string{"Origin: http://127.0.0.1:3000"}, 403}, // another program of this machine
		{"GET", "/v1", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"GET", "/v1", []string{"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors"}, 403},
		{"GET", "/v1", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, 403},
		{"GET", "/", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, 403},
		{"POST", "/v1/shutdown", []string{"Origin: http://attacker.example"}, 403},
		{"POST", "/v1/shutdown", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"POST", "/v1/shutdown", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, 403},
		{"GET", "/", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, 200},
		{"GET", "/v1", []string{"Sec-Fetch-Site: same-origin", "Origin: http://127.0.0.1:9465"}, 200},
		{"GET", "/v1", []string{"Sec-Fetch-Site: none"}, 200},
	} {
		if w := d.ask(x.method, x.path, append(x.with, admin)...); w.Code != x.status {
			t.Errorf("%s %s %v: got %d %s, want %d", x.method, x.path, x.with, w.Code, w.Body, x.status)
		}
	}
	if d.stopped != 0 {
		t.Error("got a node stopped by a page of another site")
	}
	if w := d.ask("POST", "/v1/shutdown", admin, "Origin: http://127.0.0.1:9465"); w.Code != http.StatusAccepted {
		t.Errorf("got %d %s for the node's own page", w.Code, w.Body)
	}
	for _, host := range []string{"localhost:9465", "127.0.0.1:1", "[::1]:9465", "Node.Example.org", "node.example.org:443"} {
		if w := d.ask("GET", "/v1", bearer(d.read), "Host: "+host); w.Code != 200 {
			t.Errorf("%s: got %d", host, w.Code)
		}
	}
}

// TestHeaders: every answer has the headers that keep browsers from doing more with it.
func TestHeaders(t *testing.T) {
	d := newDoor(t, nil)
	link, _ := d.Link(Read)
	for _, with := range [][]string{{"/", bearer(d.read)}, {"/v1", bearer(d.read)}, {"/v1"}, {"/", "Accept: text/html"}, {link}, {"/v1", "Host: attacker.example"}} {
		h := d.ask("GET", with[0], with[1:]...).Header()
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := h[name]; len(got) != 1 || got[0] != want {
				t.Errorf("%v: got %s: %q, want %q", with, name, got, want)
			}
		}
		if h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%v: got another site let in", with)
		}
	}
}

// TestWrongTokensOfOneSource: a source with too many wrong tokens is told to wait; others, and right tokens,
// are answered as before, and what is remembered is bounded.
func TestWrongTokensOfOneSource(t *testing.T) {
	var told []uint64
	d := newDoor(t, func(o *Options) { o.Refused = func(_ netip.Prefix, _ string, n uint64) { told = append(told, n) } })
	wrong := bearer(token(t))
	answers := map[int]int{}
	var last *httptest.ResponseRecorder
	for range 1000 {
		last = d.ask("GET", "/v1", wrong, "from 192.0.2.1")
		answers[last.Code]++
	}
	if answers[401] != FailureBurst || answers[429] != 1000-FailureBurst || codeOf(last) != "too_many_requests" || last.Header().Get("Retry-After") != "3" {
		t.Errorf("got %v, the last %s, %v", answers, last.Body, last.Header())
	}
	if w := d.ask("GET", "/v1", wrong, "from 192.0.2.2"); w.Code != 401 {
		t.Errorf("got %d for another source", w.Code)
	}
	if w := d.ask("GET", "/v1", bearer(d.read), "from 192.0.2.1"); w.Code != 200 {
		t.Errorf("got %d for a right token of that source", w.Code)
	}
	d.clock.add(FailureEvery)
	if w := d.ask("GET", "/login?once=x", "from 192.0.2.1"); w.Code != 401 {
		t.Errorf("got %d after the wait", w.Code)
	}
	if w := d.ask("GET", "/v1", "Cookie: gamelan-9465=x", "from 192.0.2.1"); w.Code != 429 {
		t.Errorf("got %d for one more", w.Code)
	}
	if len(told) != 1 || told[0] != 1 {
		t.Errorf("got %v told within a minute", told)
	}
	d.clock.add(tellEvery)
	d.ask("GET", "/v1", wrong, "from 192.0.2.2")
	if len(told) != 2 || told[1] != 1003 {
		t.Errorf("got %v told", told)
	}
	for i := range 2 * MaxSources {
		d.ask("GET", "/v1", wrong, fmt.Sprintf("from 10.1.%d.%d", i/256, i%256))
	}
	if n := d.failures.full.Len(); n != MaxSources {
		t.Errorf("got %d sources remembered, want %d", n, MaxSources)
	}
	for i := range 30 { // addresses of one network of IPv6 are one source
		answers[d.ask("GET", "/v1", wrong, fmt.Sprintf("from 2001:db8::%x", i+1)).Code]++
	}
	if answers[401] != 2*FailureBurst {
		t.Errorf("got %v", answers)
	}
}

// TestRefusedPage: a browser gets a page with what to do, and nothing of the request in it.
func TestRefusedPage(t *testing.T) {
	d := newDoor(t, func(o *Options) { o.Ask = "with <this>" })
	w := d.ask("GET", "/<script>alert(1)</script>", "Accept: text/html,*/*")
	if w.Code != 401 || !strings.Contains(w.Body.String(), "with &lt;this&gt;") || strings.Contains(w.Body.String(), "script") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w = d.ask("GET", "/", "Accept: text/html", "Host: attacker.example"); w.Code != 403 || !strings.HasPrefix(w.Body.String(), "<!doctype html>") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

// TestNoRandomness: without randomness there is no link and no session.
func TestNoRandomness(t *testing.T) {
	d := newDoor(t, func(o *Options) { o.Random = io.LimitReader(rand.Reader, secretSize) })
	path, err := d.Link(Admin)
	if err != nil {
		t.Fatal(err)
	}
	if w := d.ask("GET", path); w.Code != http.StatusInternalServerError || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	if path, err = d.Link(Admin); err == nil {
		t.Errorf("got the link %s", path)
	}
}
