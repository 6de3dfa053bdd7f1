package gate

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/page"
	"github.com/gamelan-p2p/gamelan/internal/listenat"
)

var quiet = slog.New(slog.DiscardHandler)

// serve serves a gate on loopback.
func serve(t *testing.T, certificate *tls.Certificate, h http.Handler) *Server {
	t.Helper()
	l, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), certificate == nil)
	if err != nil {
		t.Fatal(err)
	}
	var present func() *tls.Certificate
	if certificate != nil {
		present = func() *tls.Certificate { return certificate }
	}
	s := Serve(l, present, h, quiet)
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestPlainBeyondLoopback: without TLS, only this machine reaches the API.
func TestPlainBeyondLoopback(t *testing.T) {
	for _, at := range []string{"0.0.0.0:0", "[::]:0", "192.0.2.7:9465", "[2001:db8::1]:9465", "[::ffff:192.0.2.7]:9465"} {
		if l, err := Listen(netip.MustParseAddrPort(at), true); !errors.Is(err, ErrPlain) {
			t.Errorf("%s: got %v, %v", at, l, err)
		}
	}
	l, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Listen(l.Address(), true)
	if busy, ok := errors.AsType[*ListenError](err); !ok || busy.Address != l.Address().String() {
		t.Errorf("got %v for a port that is in use", err)
	}
}

// TestOwnCertificate: it is made once, is for its owner alone, and a client that knows its fingerprint
// knows the node.
func TestOwnCertificate(t *testing.T) {
	dir := t.TempDir()
	c, err := Own(dir, []string{"node.example.org", "192.0.2.7"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Own(dir, nil, time.Now()); err != nil || Fingerprint(again) != Fingerprint(c) {
		t.Errorf("got %v, another certificate the second time", err)
	}
	if !IsSelfSigned(c) || c.Leaf.VerifyHostname("node.example.org") != nil || c.Leaf.VerifyHostname("192.0.2.7") != nil || c.Leaf.VerifyHostname("localhost") != nil {
		t.Errorf("got a certificate for %v, %v", c.Leaf.DNSNames, c.Leaf.IPAddresses)
	}
	file := filepath.Join(dir, CertificateName)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	d := newDoor(t, nil)
	s := serve(t, &c, d)
	var seen string
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		seen = Fingerprint(tls.Certificate{Certificate: [][]byte{s.PeerCertificates[0].Raw}})
		return nil
	}}}}
	defer client.CloseIdleConnections()
	r, _ := http.NewRequest(http.MethodGet, "https://"+s.Address().String()+"/session", nil)
	r.Header.Set("Authorization", "Bearer "+d.admin.Reveal())
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if string(body) != `{"scope":"admin","private":true}`+"\n" || seen != Fingerprint(c) || res.ProtoMajor != 1 {
		t.Errorf("got %s, HTTP/%d, the fingerprint %s, want %s", body, res.ProtoMajor, seen, Fingerprint(c))
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err = Own(dir, nil, time.Now()); err == nil {
			t.Error("got a certificate whose key others can read")
		}
	}
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	os.Chmod(file, 0o600)
	if _, err = Own(dir, nil, time.Now()); err == nil {
		t.Error("got a certificate of a damaged file")
	}
	_, err = Files(filepath.Join(dir, "none.crt"), file)
	if bad, ok := errors.AsType[*CertificateError](err); !ok || !strings.HasSuffix(bad.Path, "none.crt") || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v for a file that is not there", err)
	}
}

// TestHostOfTheListener: the address at which a request came is a name of the node; the others of the machine
// and of other machines are not.
func TestHostOfTheListener(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs another address of loopback")
	}
	d := newDoor(t, nil)
	r := httptest.NewRequest(http.MethodGet, "http://192.0.2.7:9465/v1", nil)
	for at, want := range map[string]bool{"192.0.2.7:9465": true, "192.0.2.8:9465": false} {
		ctx := contextWithLocal(r, at)
		if got := d.ownHost(ctx); got != want {
			t.Errorf("at %s: got %v", at, got)
		}
	}
	s := serve(t, nil, d)
	res, err := http.Get("http://" + s.Address().String() + "/v1")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized || !res.Close {
		t.Errorf("got %d, kept open: %v", res.StatusCode, !res.Close)
	}
}

// TestConnections: one source has so many connections and no more, and others have theirs.
func TestConnections(t *testing.T) {
	d := newDoor(t, nil)
	s := serve(t, nil, d)
	for range MaxConnsSource {
		c, err := net.Dial("tcp", s.Address().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got := statusOf(t, c, "Authorization: Bearer "+d.admin.Reveal()+"\r\n"); got != 200 {
			t.Fatalf("got %d", got)
		}
	}
	c, err := net.Dial("tcp", s.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("got an answer on one connection too many")
	}
	if runtime.GOOS == "linux" {
		if got := statusOf(t, dialFrom(t, s, 2), ""); got != 401 {
			t.Errorf("got %d for another source", got)
		}
	}
	if n, refused := s.Open(); n < MaxConnsSource || refused != 1 {
		t.Errorf("got %d open, %d refused", n, refused)
	}
}

// dialFrom connects from 127.0.0.x.
func dialFrom(t *testing.T, s *Server, x byte) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, x)}}
	c, err := d.Dial("tcp", s.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestStrangersHoldAllPlaces: somebody with a token gets in all the same, and so does the admin when readers
// have all that is theirs.
func TestStrangersHoldAllPlaces(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs other addresses of loopback")
	}
	d := newDoor(t, nil)
	own, err := Own(t.TempDir(), nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, certificate := range map[string]*tls.Certificate{"plain": nil, "tls": &own} {
		s := serve(t, certificate, d)
		for i := range MaxConns {
			dialFrom(t, s, byte(2+i%4))
		}
		for i := range MaxConns - 8 { // four strangers of as many sources have their grace
			token, want := d.read, 200
			if i >= MaxConns*3/4 {
				token, want = d.admin, 200
				if i == MaxConns*3/4 {
					token, want = d.read, 503
				}
			}
			c := dialFrom(t, s, byte(100+i%8))
			if certificate != nil {
				c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
			}
			if got := statusOf(t, c, "Authorization: Bearer "+token.Reveal()+"\r\n"); got != want {
				t.Fatalf("%s: got %d for visitor %d, want %d", name, got, i, want)
			}
		}
	}
}

// TestFollowersOfReaders: they are half of those that the node lets, so that the admin has a place.
func TestFollowersOfReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, func(o *Options) {
			o.Node = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		})
		ctx, end := context.WithCancel(t.Context())
		follow := func(k inspect.Token, accept string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/v1/events", nil)
			r.Header.Set("Authorization", "Bearer "+k.Reveal())
			r.Header.Set("Accept", accept)
			w := httptest.NewRecorder()
			go d.ServeHTTP(w, r)
			synctest.Wait()
			return w
		}
		for i := range MaxFollowers + 1 {
			if busy := strings.Contains(follow(d.read, "text/event-stream").Body.String(), inspect.CodeBusy); busy != (i == MaxFollowers) {
				t.Errorf("follower %d: busy %v", i, busy)
			}
		}
		for k, accept := range map[inspect.Token]string{d.admin: "text/event-stream", d.read: "application/json"} {
			if w := follow(k, accept); w.Body.Len() > 0 {
				t.Errorf("got %s", w.Body)
			}
		}
		end()
		synctest.Wait()
		ctx, end = context.WithCancel(t.Context())
		if w := follow(d.read, "text/event-stream"); w.Body.Len() > 0 {
			t.Errorf("got %s after all have ended", w.Body)
		}
		end()
		synctest.Wait()
	})
}

func contextWithLocal(r *http.Request, at string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(at))))
}

func statusOf(t *testing.T, c net.Conn, header string) int {
	t.Helper()
	if _, err := fmt.Fprintf(c, "GET /v1 HTTP/1.1\r\nHost: localhost\r\n%s\r\n", header); err != nil {
		t.Error(err)
		return 0
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

// pipes is a listener for connections in memory.
type pipes struct{ calls chan net.Conn }

func (p *pipes) Accept() (net.Conn, error) {
	c, ok := <-p.calls
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p *pipes) Close() error   { close(p.calls); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9465} }

func (p *pipes) dial() net.Conn {
	a, b := net.Pipe()
	p.calls <- b
	return a
}

// TestSlowHeaders: who takes long for the header of a request, or for the handshake of TLS, or asks nothing, is
// cut off; a header that is too long is refused; a stream lasts.
func TestSlowHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream := make(chan struct{})
		d := newDoor(t, func(o *Options) {
			o.Node = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v1/events" {
					w.(http.Flusher).Flush()
					<-stream
					io.WriteString(w, "late")
				}
			})
			o.Now = time.Now
		})
		p := &pipes{make(chan net.Conn)}
		l := &Listener{listenat.Limit(p, MaxConns, MaxConnsSource), netip.AddrPort{}}
		s := Serve(l, nil, d, quiet)
		ends := func(c net.Conn) time.Duration {
			begun := time.Now()
			io.Copy(io.Discard, c)
			return time.Since(begun)
		}
		slow := p.dial()
		go func() {
			for { // one byte a second
				if _, err := slow.Write([]byte("G")); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		if took := ends(slow); took > HeaderTimeout+time.Second {
			t.Errorf("a slow header was cut after %s", took)
		}
		if took := ends(p.dial()); took > HeaderTimeout {
			t.Errorf("a silent connection was cut after %s", took)
		}
		for _, request := range []string{
			"POST /v1/shutdown HTTP/1.1\r\n", "POST /login HTTP/1.1\r\n", "GET /v1 HTTP/1.1\r\nAuthorization: Bearer " + d.read.Reveal() + "\r\n",
		} {
			lazy := p.dial()
			go fmt.Fprint(lazy, request+"Host: localhost\r\nContent-Length: 100\r\n\r\n")
			if took := ends(lazy); took > 5*time.Second {
				t.Errorf("%q, whose body does not come, was cut after %s", request, took)
			}
		}
		long := p.dial()
		go fmt.Fprintf(long, "GET / HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n", strings.Repeat("x", 2*MaxHeader))
		res, err := http.ReadResponse(bufio.NewReader(long), nil)
		if err != nil || res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("got %v, %v for a long header", res, err)
		}
		long.Close()
		kept := p.dial()
		if got := statusOf(t, kept, "Authorization: Bearer "+d.read.Reveal()+"\r\n"); got != 200 {
			t.Errorf("got %d", got)
		}
		if took := ends(kept); took > IdleTimeout {
			t.Errorf("an idle connection was cut after %s", took)
		}
		following := p.dial()
		go fmt.Fprintf(following, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", d.read.Reveal())
		res, err = http.ReadResponse(bufio.NewReader(following), nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		close(stream)
		if b, err := io.ReadAll(res.Body); err != nil || string(b) != "late" {
			t.Errorf("got %q, %v of a stream after an hour", b, err)
		}
		following.Close()
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestStreamEndsWithItsSession: a browser that follows the events is cut off when its session is over.
func TestStreamEndsWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lasted time.Duration
		d := newDoor(t, func(o *Options) {
			o.Now = time.Now
			o.Node = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				begun := time.Now()
				<-r.Context().Done()
				lasted = time.Since(begun)
			})
		})
		session := d.enter(Read)
		time.Sleep(time.Hour)
		if d.ask("GET", "/v1/events", session); lasted != SessionFor-time.Hour {
			t.Errorf("got %s, want %s", lasted, SessionFor-time.Hour)
		}
	})
}

// TestThrough: a command hands requests on without what a browser says, and answers with its own headers.
func TestThrough(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Content-Security-Policy", "none")
		fmt.Fprint(w, r.Host, " ", r.URL.Path, r.Header)
	}))
	base, _ := url.Parse(node.URL)
	d := newDoor(t, func(o *Options) {
		o.Node = Through(base, http.DefaultTransport, func(err error) *inspect.Error {
			return &inspect.Error{Code: inspect.CodeStopping, Message: "gone", Hint: "wait"}
		})
		o.Private = true
	})
	session := d.enter(Admin)
	w := d.ask("GET", "/v1/tree", session, "Origin: http://127.0.0.1:9465", "Sec-Fetch-Site: same-origin", "Accept: text/event-stream", "Referer: x", "X-Forwarded-For: y")
	want := base.Host + " /v1/tree" + fmt.Sprint(http.Header{"Accept": {"text/event-stream"}, "Authorization": {"Bearer " + d.o.Token.Reveal()}, "Accept-Encoding": {"gzip"}})
	if w.Body.String() != want {
		t.Errorf("got %s, want %s", w.Body, want)
	}
	if h := w.Header(); h.Get("Set-Cookie") != "" || h["Content-Security-Policy"][0] != page.Policy || len(h["Content-Security-Policy"]) != 1 {
		t.Errorf("got %v", h)
	}
	node.Close()
	if w = d.ask("GET", "/v1/tree", session); w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "gone") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

// TestProxy: what a command serves of a node is for who has the link: nobody else gets in, a reader changes nothing,
// and the node hears the command's token.
func TestProxy(t *testing.T) {
	var heard []string
	node := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		heard = append(heard, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization")+r.Header.Get(inspect.WithholdHeader))
	}))
	defer node.Close()
	own := token(t)
	p, err := ServeProxy(0, node.URL, http.DefaultTransport, own, func() map[string]string { return map[string]string{"00": "zoe"} }, func(err error) *inspect.Error {
		return &inspect.Error{Code: inspect.CodeStopping, Message: err.Error()}
	}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	if !p.Address().Addr().IsLoopback() {
		t.Fatalf("got %s", p.Address())
	}
	ask := func(method, target string, c *http.Cookie, header ...string) (int, []*http.Cookie) {
		t.Helper()
		r, err := http.NewRequest(method, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c != nil {
			r.AddCookie(c)
		}
		if len(header) == 2 {
			r.Header.Set(header[0], header[1])
		}
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode, res.Cookies()
	}
	at := "http://" + p.Address().String()
	for _, header := range [][]string{nil, {"Authorization", "Bearer " + own.Reveal()}} { // its token is for the node alone
		if code, _ := ask("GET", at+"/v1/tree", nil, header...); code != 401 {
			t.Errorf("%v: got %d without a link", header, code)
		}
	}
	sessions := map[Scope]*http.Cookie{}
	for _, s := range []Scope{Read, Admin} {
		link, err := p.Link(s)
		if err != nil || !strings.HasPrefix(link, at+Login) {
			t.Fatalf("got %s, %v", link, err)
		}
		code, cookies := ask("GET", link, nil)
		if code != 200 || len(cookies) != 1 {
			t.Fatalf("got %d, %v", code, cookies)
		}
		sessions[s] = cookies[0]
	}
	for _, x := range []struct {
		scope        Scope
		method, path string
		want         int
	}{
		{Read, "GET", "/", 200},
		{Read, "GET", "/v1/tree", 200},
		{Read, "POST", "/v1/shutdown", 403},
		{Read, "GET", "/v1/messages", 403},
		{Admin, "GET", "/v1/messages", 200},
		{Admin, "POST", "/v1/log/level", 200},
	} {
		if code, _ := ask(x.method, at+x.path, sessions[x.scope]); code != x.want {
			t.Errorf("%s: %s %s: got %d, want %d", x.scope, x.method, x.path, code, x.want)
		}
	}
	for scope, want := range map[Scope]string{Read: `"names":{"00":"zoe"}`, Nothing: `unauthorized`} {
		r, err := http.NewRequest(http.MethodGet, at+sessionPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c := sessions[scope]; c != nil {
			r.AddCookie(c)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !strings.Contains(string(body), want) || scope == Nothing && strings.Contains(string(body), "zoe") {
			t.Errorf("%s: got the session %s, %v, want %s", scope, body, err, want)
		}
	}
	with := "Bearer " + own.Reveal()
	if want := []string{"GET /v1/tree " + with + "1", "GET /v1/messages " + with, "POST /v1/log/level " + with}; !slices.Equal(heard, want) {
		t.Errorf("got %q, want %q", heard, want)
	}
}
