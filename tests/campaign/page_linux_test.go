//go:build campaign

package campaign

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/internal/freeport"
)

const envDoor = "GAMELAN_CAMPAIGN_DOOR" // for the attacker: the address of inspect.listen and the file of a reader's token

// pageAt is where a receiver is reached over TCP.
type pageAt struct {
	address string // of inspect.listen
	metrics string // of metrics.listen
	read    string // the file of the reader's token
	file    string // of gamelan token, of the admin

	frozen []pausing // when the receiver stood still; under the pair's mutex
}

// attacked is what the attacker is told, or "".
func (a *pageAt) attacked() string {
	if a == nil {
		return ""
	}
	return a.address + " " + a.read
}

// openPage has the receiver serve its API and its page over TCP, as the control's does, which nobody attacks.
func (p *pair) openPage() {
	ports, err := freeport.Ports(2)
	if err != nil {
		p.t.Fatal(err)
	}
	p.page = &pageAt{
		address: fmt.Sprintf("127.0.0.1:%d", ports[0]), metrics: fmt.Sprintf("127.0.0.1:%d", ports[1]),
		read: filepath.Join(p.dir, inspect.ReadTokenName), file: filepath.Join(filepath.Dir(p.dir), "admin.token"),
	}
	p.args = append(p.args, "--inspect-listen", p.page.address, "--inspect-tls", "--metrics-listen", p.page.metrics)
}

// froze notes when the receiver stood still.
func (p *pair) froze(from time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.page != nil {
		p.page.frozen = append(p.page.frozen, pausing{"freeze", from, time.Now()})
	}
}

// Attacks.

// doorAttack attacks inspect.listen: strangers without a token, from sources of their own, and somebody with the
// token of a reader.
type doorAttack struct {
	door     string
	at, read string
	reader   string // the token

	mu    sync.Mutex
	verbs []inspect.VerbInfo
}

// sources of strangers, and of whoever has the reader's token. The operator has none of them.
var (
	strangers = sources("127.0.1.", max(8, atoi(os.Getenv(envPage))))
	readers   = sources("127.0.3.", 4)
)

func sources(net string, n int) (all []string) {
	for i := range n {
		all = append(all, net+strconv.Itoa(i+1))
	}
	return all
}

func atoi(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

func (a *doorAttack) attacks() []attackKind {
	a.at, a.read, _ = strings.Cut(a.door, " ")
	for range 100 { // the node writes it when it has started
		if b, err := os.ReadFile(a.read); err == nil {
			a.reader = strings.TrimSpace(string(b))
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return []attackKind{
		{"half-open tcp", 20, a.talk(false, nil, 0)},
		{"half a hello of tls", 40, a.talk(false, []byte{22, 3, 1, 2, 0, 1, 0, 1}, 0)},
		{"a hello by bytes", 10, a.talk(false, append([]byte{22, 3, 1, 2, 0, 1, 0, 1, 252}, make([]byte, 500)...), 300*time.Millisecond)},
		{"slow headers", 30, a.talk(true, []byte("GET /v1 HTTP/1.1\r\nHost: localhost\r\n"+strings.Repeat("X: y\r\n", 100)), 300*time.Millisecond)},
		{"slow bodies", 16, a.talk(true, []byte("POST /v1/shutdown HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("x", 1000)), 300*time.Millisecond)},
		{"slow bodies for a link", 16, a.talk(true, []byte("POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("x", 1000)), 300*time.Millisecond)},
		{"huge headers", 2, a.hugeHeaders},
		{"connections without a request", 20, a.talk(true, nil, 0)},
		{"handshakes", 2, a.handshakes},
		{"wrong tokens", 2, a.guesses(func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+guess()) })},
		{"guessed links", 2, a.guesses(func(r *http.Request) { r.URL.Path, r.URL.RawQuery = "/login", "once="+guess() })},
		{"guessed sessions", 2, a.guesses(func(r *http.Request) {
			_, port, _ := net.SplitHostPort(a.at)
			r.AddCookie(&http.Cookie{Name: "gamelan-" + port, Value: guess()})
		})},
		{"foreign pages", 2, a.guesses(a.foreign)},
		{"http/2", 4, a.http2},
		{"plain http", 2, a.talk(false, []byte("GET /v1 HTTP/1.1\r\nHost: localhost\r\n\r\n"), 0)},
		{"junk", 2, a.junk},
		{"a reader's watchers that read an event a second", 500, a.watch(true)},
		{"a reader's watchers that read nothing", 500, a.watch(false)},
		{"a reader's whole trees", 2, a.trees},
		{"a reader's bodies that do not come", 8, a.readersBody},
		{"a reader's acts", 1, a.acts},
	}
}

// guess is a secret that is none.
func guess() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// intruded ends the attacker: it has got what it may not.
func intruded(what string) {
	fmt.Fprintln(os.Stderr, "INTRUDED: "+what)
	os.Exit(1)
}

// connect opens a connection from one of the sources.
func (a *doorAttack) connect(ctx context.Context, from []string, encrypted bool, protocols ...string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from[mrand.IntN(len(from))])}, Timeout: 10 * time.Second}
	c, err := d.DialContext(ctx, "tcp", a.at)
	if err != nil || !encrypted {
		return c, err
	}
	secure := tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if err := secure.Handshake(); err != nil {
		c.Close()
		return nil, err
	}
	_ = c.SetDeadline(time.Time{})
	return secure, nil
}

// talk writes something, all at once or slowly byte by byte, and stays until the node or the time ends it.
func (a *doorAttack) talk(encrypted bool, what []byte, slowly time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := a.connect(ctx, strangers, encrypted)
		if err != nil {
			return err
		}
		defer c.Close()
		defer context.AfterFunc(ctx, func() { c.Close() })()
		if slowly == 0 {
			_, _ = c.Write(what)
		} else {
			head := len(what) * 4 / 5
			_, _ = c.Write(what[:head])
			go func() {
				for _, b := range what[head:] {
					if _, err := c.Write([]byte{b}); err != nil || ctx.Err() != nil {
						return
					}
					pause(ctx, slowly)
				}
			}()
		}
		_, _ = io.Copy(io.Discard, c)
		return nil
	}
}

func (a *doorAttack) hugeHeaders(ctx context.Context) error {
	c, err := a.connect(ctx, strangers, true)
	if err != nil {
		return err
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET /v1 HTTP/1.1\r\nHost: localhost\r\n")
	for i := range 10_000 {
		if _, err := fmt.Fprintf(c, "X-%d: %s\r\n", i, strings.Repeat("y", 1000)); err != nil {
			return nil
		}
	}
	intruded("10 MB of a header are read")
	return nil
}

func (a *doorAttack) handshakes(ctx context.Context) error {
	for range 20 {
		if c, err := a.connect(ctx, strangers, true); err == nil {
			c.Close()
		}
		pause(ctx, 20*time.Millisecond)
	}
	return nil
}

// client makes requests from one of the sources.
func (a *doorAttack) client(from []string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return a.connect(ctx, from, true) },
	}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// guesses makes requests that are changed in a way, and none may be let in.
func (a *doorAttack) guesses(with func(*http.Request)) func(context.Context) error {
	return func(ctx context.Context) error {
		c := a.client(strangers)
		defer c.CloseIdleConnections()
		for i := range 50 {
			method, path := http.MethodGet, []string{"/v1", "/v1/node", "/", "/session", "/healthz"}[i%5]
			if i%3 == 0 {
				method, path = http.MethodPost, "/v1/shutdown"
			}
			r, err := http.NewRequestWithContext(ctx, method, "https://"+a.at+path, nil)
			if err != nil {
				return err
			}
			with(r)
			res, err := c.Do(r)
			if err != nil {
				pause(ctx, 20*time.Millisecond)
				continue
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode < 400 {
				intruded(fmt.Sprintf("%s %s gets %s", method, r.URL.Path, res.Status))
			}
		}
		return nil
	}
}

// foreign makes a request that of a page of another site, and sometimes gives it the reader's token.
func (a *doorAttack) foreign(r *http.Request) {
	switch mrand.IntN(4) {
	case 0:
		r.Host = "evil.example.org"
	case 1:
		r.Header.Set("Origin", "https://evil.example.org")
	case 2:
		r.Header.Set("Origin", "null")
	case 3:
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	if mrand.IntN(2) == 0 {
		r.Header.Set("Authorization", "Bearer "+a.reader)
	}
}

// http2 speaks HTTP/2 to a server that does not: with its offer in TLS, and without asking.
func (a *doorAttack) http2(ctx context.Context) error {
	if c, err := a.connect(ctx, strangers, true, "h2"); err == nil {
		_, _ = c.Write(nil)
		c.Close()
		intruded("the node agrees to HTTP/2")
	}
	c, err := a.connect(ctx, strangers, true)
	if err != nil {
		return err
	}
	defer c.Close()
	frame := func(kind, flags byte, stream uint32, body []byte) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(len(body))<<8|uint32(kind))
		return append(binary.BigEndian.AppendUint32(append(b, flags), stream), body...)
	}
	get := []byte{0x82, 0x87, 0x84, 0x41, 9, 'l', 'o', 'c', 'a', 'l', 'h', 'o', 's', 't'} // GET https / localhost
	var out bytes.Buffer
	out.WriteString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	out.Write(frame(4, 0, 0, nil))
	flood := mrand.IntN(5)
	for i := range uint32(20_000) {
		switch flood {
		case 0:
			out.Write(frame(4, 0, 0, []byte{0, 3, 0, 0, 0, 100}))
		case 1:
			out.Write(frame(6, 0, 0, make([]byte, 8)))
		case 2: // rapid resets
			out.Write(frame(1, 5, 2*i+1, get))
			out.Write(frame(3, 0, 2*i+1, make([]byte, 4)))
		case 3: // many streams
			out.Write(frame(1, 5, 2*i+1, get))
		case 4: // a header without an end
			out.Write(frame(map[bool]byte{true: 1, false: 9}[i == 0], 0, 1, get))
		}
	}
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write(out.Bytes()); err != nil {
		return nil
	}
	_, _ = io.Copy(io.Discard, c)
	return nil
}

func (a *doorAttack) junk(ctx context.Context) error {
	for _, encrypted := range []bool{false, true} {
		c, err := a.connect(ctx, strangers, encrypted)
		if err != nil {
			return err
		}
		b := make([]byte, 20_000)
		_, _ = rand.Read(b)
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = c.Write(b)
		_, _ = io.Copy(io.Discard, c)
		c.Close()
	}
	return nil
}

// request writes a request of the reader on a connection of its own.
func (a *doorAttack) request(ctx context.Context, method, path, more string) (net.Conn, error) {
	c, err := a.connect(ctx, readers, true)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n%s\r\n", method, path, a.at, a.reader, more)
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// watch follows the events, and reads one a second or nothing.
func (a *doorAttack) watch(reads bool) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := a.request(ctx, http.MethodGet, "/v1/events", "Accept: text/event-stream\r\n")
		if err != nil {
			pause(ctx, 10*time.Second) // there is no place
			return err
		}
		defer c.Close()
		defer context.AfterFunc(ctx, func() { c.Close() })()
		r := bufio.NewReader(c)
		for reads {
			line, err := r.ReadString('\n')
			if err != nil {
				pause(ctx, 10*time.Second)
				return nil
			}
			if strings.HasPrefix(line, "data:") {
				pause(ctx, time.Second)
			}
		}
		<-ctx.Done()
		return nil
	}
}

func (a *doorAttack) trees(ctx context.Context) error {
	c := a.client(readers)
	defer c.CloseIdleConnections()
	for ctx.Err() == nil {
		if code, _, err := a.ask(ctx, c, http.MethodGet, "/v1/tree", nil); err != nil || code != http.StatusOK {
			pause(ctx, 200*time.Millisecond)
		}
	}
	return nil
}

// readersBody asks for something with a body that never comes.
func (a *doorAttack) readersBody(ctx context.Context) error {
	c, err := a.request(ctx, http.MethodGet, "/v1/node", "Content-Length: 100000\r\n")
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	_, _ = io.Copy(io.Discard, c)
	return nil
}

// ask makes a request of the reader.
func (a *doorAttack) ask(ctx context.Context, c *http.Client, method, path string, with func(*http.Request)) (code int, body []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, "https://"+a.at+path, nil)
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+a.reader)
	if with != nil {
		with(r)
	}
	res, err := c.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

// acts tries to change the node, and to see messages, with the token of a reader, in every way.
func (a *doorAttack) acts(ctx context.Context) error {
	c := a.client(readers)
	defer c.CloseIdleConnections()
	code, body, err := a.ask(ctx, c, http.MethodGet, "/v1/verbs", nil)
	a.mu.Lock()
	if err == nil && code == http.StatusOK {
		var v struct{ Items []inspect.VerbInfo }
		if json.Unmarshal(body, &v) != nil || len(v.Items) == 0 {
			_ = json.Unmarshal(body, &v.Items)
		}
		a.verbs = v.Items
	}
	paths := []string{"/v1/shutdown", "/v1/messages", "/v1/messages:ack", "/v1/messages:back", "/v1/dht/messages", "/v1/peers", "/v1/peers:import", "/v1/peers/" + guess()[:32] + ":ban", "/session", "/v1/inspect/link?scope=admin"}
	for _, v := range a.verbs {
		paths = append(paths, "/v1/"+url.PathEscape(v.Section)+"/"+url.PathEscape(v.Verb))
	}
	if err == nil && len(a.verbs) < 10 {
		intruded(fmt.Sprintf("the verbs are %d %.200s", code, body))
	}
	a.mu.Unlock()
	for _, path := range paths {
		for _, try := range []string{path, "/" + path, "/v1/." + strings.TrimPrefix(path, "/v1"), strings.Replace(path, "/v1/", "/v1/%2e/", 1), strings.Replace(path, "/v1", "/%76%31", 1)} {
			for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, "post", "GET"} {
				code, body, err := a.ask(ctx, c, method, try, func(r *http.Request) {
					r.Header.Set("X-Http-Method-Override", http.MethodPost)
					r.Header.Set("Gamelan-Withhold", "")
					if method == "GET" {
						r.Header.Set("Connection", "Withhold, Authorization")
					}
				})
				if err != nil {
					pause(ctx, 50*time.Millisecond)
					continue
				}
				if method != http.MethodGet && code < 400 && try != "/session" {
					intruded(fmt.Sprintf("a reader's %s %s gets %d %.200s", method, try, code, body))
				}
				if method == http.MethodGet && code < 300 && (strings.HasSuffix(try, "messages") || strings.Contains(try, "link")) && !bytes.Contains(body, []byte("<!doctype")) {
					intruded(fmt.Sprintf("a reader's GET %s gets %d %.200s", try, code, body))
				}
			}
		}
	}
	return nil
}

// The honest.

// visits are what an operator does with the receiver from another machine.
type visits struct {
	p *pair

	mu        sync.Mutex
	commands  []visit
	follows   []visit // of requests that follow events: until they ended
	events    atomic.Uint64
	following time.Duration
	stream    time.Time // since when a stream is open; zero: none is
	began     time.Time
}

type visit struct {
	at   time.Time
	took time.Duration
	err  string // "": it went well
}

// visit begins to ask the receiver for its status from elsewhere, to follow its events, and to measure it.
func (p *pair) visit(ctx context.Context) *visits {
	v := &visits{p: p, began: time.Now()}
	write := exec.Command(p.bin, "token", "--data-dir", p.dir, "--output", p.page.file)
	if out, err := write.CombinedOutput(); err != nil {
		p.t.Fatalf("gamelan token: %v\n%s", err, out)
	}
	p.sending.Go(func() {
		for ctx.Err() == nil {
			v.command(ctx)
			pause(ctx, 3*time.Second)
		}
	})
	p.sending.Go(func() {
		for ctx.Err() == nil {
			v.follow(ctx)
			pause(ctx, time.Second)
		}
	})
	p.sending.Go(func() {
		for ctx.Err() == nil {
			v.measure(ctx)
			pause(ctx, 15*time.Second)
		}
	})
	return v
}

func (v *visits) command(ctx context.Context) {
	within, done := context.WithTimeout(ctx, time.Minute)
	defer done()
	cmd := exec.CommandContext(within, v.p.bin, "status", "--node", "https://"+v.p.page.address, "--token-file", v.p.page.file)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	from := time.Now()
	err := cmd.Run()
	if ctx.Err() != nil {
		return
	}
	one := visit{at: from, took: time.Since(from)}
	if err != nil {
		one.err = strings.TrimSpace(errs.String()) + " (" + err.Error() + ")"
	}
	v.mu.Lock()
	v.commands = append(v.commands, one)
	v.mu.Unlock()
}

// follow follows the events from another source than the command's.
func (v *visits) follow(ctx context.Context) {
	from := time.Now()
	end := func(err error) {
		if ctx.Err() == nil {
			v.mu.Lock()
			v.follows = append(v.follows, visit{from, time.Since(from), err.Error()})
			v.mu.Unlock()
		}
	}
	b, err := os.ReadFile(filepath.Join(v.p.dir, inspect.TokenName))
	if err != nil {
		end(err)
		return
	}
	a := &doorAttack{at: v.p.page.address, reader: strings.TrimSpace(string(b))}
	c := a.client([]string{"127.0.2.1"})
	defer c.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+a.at+"/v1/events", nil)
	if err != nil {
		end(err)
		return
	}
	r.Header.Set("Authorization", "Bearer "+a.reader)
	r.Header.Set("Accept", "text/event-stream")
	res, err := c.Do(r)
	if err != nil {
		end(err)
		return
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(res.Body, 300))
		end(errors.New(res.Status + " " + string(body)))
		return
	}
	began := time.Now()
	v.mu.Lock()
	v.stream = began
	v.mu.Unlock()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "data:") {
			v.events.Add(1)
		}
	}
	v.mu.Lock()
	v.following, v.stream = v.following+time.Since(began), time.Time{}
	v.mu.Unlock()
	end(fmt.Errorf("the stream ended: %w", errors.Join(lines.Err(), io.EOF)))
}

// measure logs how large the receiver is, and what it has refused.
func (v *visits) measure(ctx context.Context) {
	v.p.mu.Lock()
	n := v.p.receiver
	v.p.mu.Unlock()
	files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.cmd.Process.Pid))
	goroutines := "?"
	within, done := context.WithTimeout(ctx, 5*time.Second)
	defer done()
	if r, err := http.NewRequestWithContext(within, http.MethodGet, "http://"+v.p.page.metrics+"/metrics", nil); err == nil {
		if res, err := http.DefaultClient.Do(r); err == nil {
			for lines := bufio.NewScanner(res.Body); lines.Scan(); {
				if text, ok := strings.CutPrefix(lines.Text(), "go_goroutines "); ok {
					goroutines = text
				}
			}
			res.Body.Close()
		}
	}
	var at json.RawMessage
	_ = v.p.ask(&at, "show", "inspect")
	v.mu.Lock()
	failed := 0
	for _, c := range v.commands {
		if c.err != "" {
			failed++
		}
	}
	asked := len(v.commands)
	v.mu.Unlock()
	v.p.t.Logf("%v %s page: %d MiB, %d files, %s goroutines; %d commands, %d failed; %d events; %s", time.Since(v.began).Round(time.Second), v.p.name,
		v.p.resident()>>20, len(files), goroutines, asked, failed, v.events.Load(), compactJSON(at))
}

func compactJSON(b []byte) string {
	var out bytes.Buffer
	if json.Compact(&out, b) != nil {
		return ""
	}
	return out.String()
}

// say logs how the operator fared. A command may fail while the receiver is down or stands still, and not else.
func (v *visits) say() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.stream.IsZero() {
		v.following += time.Since(v.stream)
	}
	v.p.mu.Lock()
	pauses := slices.Clone(v.p.page.frozen)
	for _, e := range v.p.pauses {
		if e.what != "listener" {
			pauses = append(pauses, e)
		}
	}
	v.p.mu.Unlock()
	down := func(one visit) bool {
		return slices.ContainsFunc(pauses, func(e pausing) bool { return !e.to.Before(one.at) && !e.from.After(one.at.Add(one.took)) })
	}
	port := regexp.MustCompile(`(127\.0\.\d\.\d):\d+->`)
	sum := func(what string, all []visit) {
		var took []time.Duration
		words, excused := make(map[string]int), make(map[string]int)
		for _, one := range all {
			one.err = port.ReplaceAllString(one.err, "$1->")
			switch {
			case one.err == "":
				if !down(one) {
					took = append(took, one.took)
				}
			case down(one):
				excused[one.err]++
			default:
				words[one.err]++
			}
		}
		slices.Sort(took)
		if len(took) > 0 {
			v.p.t.Logf("%s: %s: %d in all, %d went well while the receiver ran: p50 %v, p95 %v, most %v", v.p.name, what, len(all), len(took), took[len(took)/2], took[len(took)*95/100], took[len(took)-1])
		} else {
			v.p.t.Logf("%s: %s: %d in all", v.p.name, what, len(all))
		}
		for text, n := range excused {
			v.p.t.Logf("%s: %s: failed %d times while the receiver was down: %.400s", v.p.name, what, n, text)
		}
		for text, n := range words {
			v.p.t.Logf("%s: %s: FAILED %d times while the receiver ran: %.400s", v.p.name, what, n, text)
		}
	}
	sum("commands of the operator", v.commands)
	sum("streams of the operator", v.follows)
	v.p.t.Logf("%s: %d events came to the operator, who followed for %v of %v", v.p.name, v.events.Load(), v.following.Round(time.Second), time.Since(v.began).Round(time.Second))
}
