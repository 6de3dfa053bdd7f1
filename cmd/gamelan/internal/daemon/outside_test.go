package daemon

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/gate"
)

// openNode is a daemon whose API is served over TCP.
type openNode struct {
	t      *testing.T
	dir    nodedir.Dir
	local  *client.Client
	access models.Access
	stop   func() error
	asks   chan<- struct{} // for a reload
	notes  chan string     // what the node tells its operator
}

// reload has the node read its settings again, and waits until it says something.
func (n *openNode) reload(says string) {
	n.t.Helper()
	n.asks <- struct{}{}
	for text := range n.notes {
		if strings.Contains(text, says) {
			return
		}
	}
}

// startOpen runs a daemon in dir with inspect.listen and further settings.
func startOpen(t *testing.T, dir string, more map[string][]string) *openNode {
	t.Helper()
	flags := map[string][]string{"data_dir": {dir}, "node.listen": {"/ip4/127.0.0.1/tcp/0"}, "inspect.listen": {"0"}, "daemon.drain": {"2s"}}
	maps.Copy(flags, more)
	load := func() *daemonconfig.Loaded { return daemonconfig.Load(daemonconfig.Sources{Flags: flags}) }
	loaded := load()
	if len(loaded.Problems) > 0 {
		t.Fatal(loaded.Problems)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended, ready := make(chan error, 1), make(chan struct{}, 1)
	asks, notes := make(chan struct{}), make(chan string, 1000)
	go func() {
		ended <- Run(ctx, Options{
			Dir: nodedir.Dir{Path: dir}, Output: &render.Output{Out: writerFunc(func(b []byte) (int, error) {
				select {
				case ready <- struct{}{}:
				default:
				}
				return len(b), nil
			}), Err: writerFunc(func(b []byte) (int, error) {
				select {
				case notes <- string(b):
				default:
				}
				return len(b), nil
			})},
			Loaded: loaded, Load: load, Signals: &Signals{reload: asks},
		})
	}()
	n := &openNode{t: t, dir: nodedir.Dir{Path: dir}, local: client.New(dir, client.Options{}), asks: asks, notes: notes}
	stopped := false
	n.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := n.stop(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		stopped = true
		t.Fatal(err)
	}
	if err := n.local.Section(t.Context(), "inspect", &n.access); err != nil {
		t.Fatal(err)
	}
	return n
}

// dataDir returns a directory whose socket has a short path.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "open") //nolint:usetesting // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "d")
}

// token reads a token of the node.
func (n *openNode) token(file string) inspect.Token {
	n.t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		n.t.Fatal(err)
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		n.t.Errorf("%s has the mode %o", file, info.Mode().Perm())
	}
	k, err := inspect.ParseToken(string(b))
	if err != nil {
		n.t.Fatal(err)
	}
	return k
}

// remote returns a client over TCP.
func (n *openNode) remote(k inspect.Token) *client.Client {
	n.t.Helper()
	c, err := client.NewRemote(client.Remote{URL: n.access.URL, Token: k, Fingerprint: n.access.Fingerprint}, client.Options{})
	if err != nil {
		n.t.Fatal(err)
	}
	t, _ := c.Transport()
	n.t.Cleanup(t.(*http.Transport).CloseIdleConnections)
	return c
}

// TestOutsideOverTLS: over TLS, the admin's token does what the socket does, a reader's only looks, and nothing
// is said without one. Tokens and certificate are those of the next start.
func TestOutsideOverTLS(t *testing.T) {
	dir := dataDir(t)
	n := startOpen(t, dir, map[string][]string{"inspect.listen": {"127.0.0.1:0"}, "inspect.tls": {"true"}})
	if !n.access.TLS || !strings.HasPrefix(n.access.URL, "https://127.0.0.1:") || !strings.HasPrefix(n.access.Fingerprint, "sha256:") {
		t.Fatalf("got %+v", n.access)
	}
	adminToken, readToken := n.token(n.dir.TokenFile()), n.token(n.dir.ReadTokenFile())
	admin, reader, ctx := n.remote(adminToken), n.remote(readToken), t.Context()
	own, err := n.local.Node(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*client.Client{"admin": admin, "reader": reader} {
		if v, err := c.Node(ctx); err != nil || v.NodeID != own.NodeID {
			t.Errorf("%s: got %v, %v", name, v.NodeID, err)
		}
		if _, err := c.Health(ctx); err != nil {
			t.Errorf("%s: got %v for the health", name, err)
		}
		followed, end := context.WithCancel(ctx)
		events := 0
		err := c.Follow(followed, inspect.EventQuery{Limit: 1}, func(*models.Event) error { events++; end(); return nil })
		if end(); events == 0 || err != nil && !errors.Is(err, context.Canceled) { // the node may see the end first, and end the answer in order
			t.Errorf("%s: got %d events, %v", name, events, err)
		}
	}
	if err := reader.Do(ctx, "log", "level", url.Values{"level": {"info"}}, nil, nil); client.CodeOf(err) != inspect.CodeForbidden {
		t.Errorf("got %v for a change by a reader", err)
	}
	if err := admin.Do(ctx, "log", "level", url.Values{"level": {"info"}}, nil, nil); err != nil {
		t.Errorf("got %v for a change by the admin", err)
	}
	if _, err := reader.Hear(ctx, inspect.Listening{}); client.CodeOf(err) != inspect.CodeForbidden {
		t.Errorf("got %v for a reader who listens", err)
	}
	h, err := admin.Hear(ctx, inspect.Listening{})
	if err != nil {
		t.Errorf("got %v for an admin who listens over TLS", err)
	} else {
		h.Close()
	}
	other, _ := inspect.NewToken(strings.NewReader(strings.Repeat("x", 32)))
	if _, err := n.remote(other).Node(ctx); client.CodeOf(err) != inspect.CodeUnauthorized {
		t.Errorf("got %v for a wrong token", err)
	}
	if err := admin.Do(ctx, "inspect", "link", url.Values{"scope": {"admin"}}, nil, nil); client.CodeOf(err) != inspect.CodeForbidden {
		t.Errorf("got %v for a link made from elsewhere", err)
	}
	wrong := n.access.Fingerprint[:len(n.access.Fingerprint)-1] + map[bool]string{true: "1", false: "0"}[strings.HasSuffix(n.access.Fingerprint, "0")]
	for fingerprint, want := range map[string]string{wrong: client.CodeCertificate, "": client.CodeCertificate} {
		c, err := client.NewRemote(client.Remote{URL: n.access.URL, Token: adminToken, Fingerprint: fingerprint}, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = c.Node(ctx); client.CodeOf(err) != want {
			t.Errorf("fingerprint %q: got %v", fingerprint, err)
		}
	}
	plain, err := client.NewRemote(client.Remote{URL: strings.Replace(n.access.URL, "https", "http", 1), Token: adminToken}, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Node(ctx); !errors.Is(err, client.ErrScheme) || client.CodeOf(err) != client.CodeForeign {
		t.Errorf("got %v of a node with TLS that is asked without", err)
	}
	var v models.Access
	if err := reader.Section(ctx, "inspect", &v); err != nil || v.Refused.Credential != 1 || v.Refused.Scope != 3 || v.Connections == 0 {
		t.Errorf("got %+v, %v", v, err)
	}
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Node(ctx); client.CodeOf(err) != client.CodeNotRunning {
		t.Errorf("got %v of a node that has ended", err)
	}
	again := startOpen(t, dir, map[string][]string{"inspect.listen": {"127.0.0.1:0"}, "inspect.tls": {"true"}})
	if again.access.Fingerprint != n.access.Fingerprint || !again.token(n.dir.TokenFile()).Equal(adminToken) || !again.token(n.dir.ReadTokenFile()).Equal(readToken) {
		t.Error("got other secrets at the second start")
	}
	if err := again.remote(adminToken).Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// TestOutsidePlain: without TLS, messages are not shown, and foreign hosts and origins are refused. A link opens a
// session, once.
func TestOutsidePlain(t *testing.T) {
	n := startOpen(t, dataDir(t), nil)
	admin, ctx := n.remote(n.token(n.dir.TokenFile())), t.Context()
	if _, err := admin.Hear(ctx, inspect.Listening{}); client.CodeOf(err) != inspect.CodeForbidden {
		t.Errorf("got %v", err)
	}
	secure, err := client.NewRemote(client.Remote{URL: strings.Replace(n.access.URL, "http", "https", 1), Token: n.token(n.dir.TokenFile())}, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secure.Node(ctx); !errors.Is(err, client.ErrScheme) || client.CodeOf(err) != client.CodeForeign {
		t.Errorf("got %v of a node without TLS that is asked with it", err)
	}
	var link models.AccessLink
	if err := n.local.Do(ctx, "inspect", "link", url.Values{"scope": {"read"}}, nil, &link); err != nil || !strings.HasPrefix(link.URL, n.access.URL+gate.Login) {
		t.Fatalf("got %+v, %v", link, err)
	}
	if err := n.local.Do(ctx, "inspect", "link", url.Values{"scope": {"root"}}, nil, nil); client.CodeOf(err) != inspect.CodeBadQuery {
		t.Errorf("got %v for another scope", err)
	}
	browser := &http.Client{Transport: new(http.Transport), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer browser.CloseIdleConnections()
	get := func(target string, cookies []*http.Cookie, header ...string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cookies {
			r.AddCookie(c)
		}
		for i := 0; i+1 < len(header); i += 2 {
			if r.Header.Set(header[i], header[i+1]); header[i] == "Host" {
				r.Host = header[i+1]
			}
		}
		res, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		return res
	}
	first := get(link.URL, nil)
	if first.StatusCode != http.StatusOK || len(first.Cookies()) != 1 {
		t.Fatalf("got %d, %v", first.StatusCode, first.Cookies())
	}
	if again := get(link.URL, nil); again.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %d for the link once more", again.StatusCode)
	}
	for what, x := range map[string]struct {
		cookies []*http.Cookie
		header  []string
		want    int
	}{
		"a browser":                {first.Cookies(), nil, 200},
		"nobody":                   {nil, nil, 401},
		"another name":             {first.Cookies(), []string{"Host", "attacker.example"}, 403},
		"a page of another site":   {first.Cookies(), []string{"Origin", "http://attacker.example"}, 403},
		"another port of loopback": {first.Cookies(), []string{"Origin", "http://127.0.0.1:1"}, 403},
	} {
		for _, path := range []string{"/", "/v1/tree", "/v1/peers"} {
			if res := get(n.access.URL+path, x.cookies, x.header...); res.StatusCode != x.want {
				t.Errorf("%s: %s: got %d, want %d", what, path, res.StatusCode, x.want)
			}
		}
	}
}

// TestOutsideWrongTokens: of 1,000 wrong tokens of one source the node looks at a few and refuses the rest, while
// another source, and a right token of that one, are answered.
func TestOutsideWrongTokens(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs another address of loopback")
	}
	n := startOpen(t, dataDir(t), nil)
	from := func(ip string) *http.Client {
		dial := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
		c := &http.Client{Transport: &http.Transport{DialContext: dial.DialContext}}
		t.Cleanup(c.CloseIdleConnections)
		return c
	}
	ask := func(c *http.Client, token string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.access.URL+"/v1", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		return res
	}
	bad, good := from("127.0.0.2"), from("127.0.0.3")
	right, wrong := n.token(n.dir.ReadTokenFile()).Reveal(), strings.Repeat("00", 32)
	answers := map[int]int{}
	for i := range 1000 {
		res := ask(bad, wrong)
		answers[res.StatusCode]++
		if res.StatusCode == http.StatusTooManyRequests && res.Header.Get("Retry-After") == "" {
			t.Fatal("got no Retry-After")
		}
		if i%100 == 0 {
			if got := ask(good, right).StatusCode; got != http.StatusOK {
				t.Errorf("got %d for another source", got)
			}
		}
	}
	if got := ask(bad, right).StatusCode; got != http.StatusOK {
		t.Errorf("got %d for a right token of that source", got)
	}
	if answers[http.StatusUnauthorized] < gate.FailureBurst || answers[http.StatusTooManyRequests] < 900 || len(answers) != 2 {
		t.Errorf("got %v", answers)
	}
	var v models.Access
	if err := n.local.Section(t.Context(), "inspect", &v); err != nil || v.Refused.Credential != 1000 || v.Refused.TooMany != uint64(answers[http.StatusTooManyRequests]) {
		t.Errorf("got %+v, %v", v, err)
	}
}

// TestOutsideRefused: a node does not start on a port that is in use, or at an address of another machine; each says
// what to do. What its settings alone tell is refused when they are read.
func TestOutsideRefused(t *testing.T) {
	d := nodedir.Dir{Path: dataDir(t)}
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	taken, err := gate.Listen(netip.MustParseAddrPort("127.0.0.1:0"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, x := range map[string]struct {
		c          daemonconfig.Inspect
		kind, hint string
		code       int
	}{
		"port":      {daemonconfig.Inspect{Listen: taken.Address().String()}, "inspect_listen", "stop the program", failure.ExitFailed},
		"elsewhere": {daemonconfig.Inspect{Listen: "192.0.2.7:0", TLS: true}, "inspect_listen", "an address of this machine", failure.ExitFailed},
	} {
		o, err := openOutside(d, &x.c)
		f, ok := errors.AsType[*failure.Error](err)
		if !ok || f.Kind != x.kind || f.Code != x.code || !strings.Contains(f.Hint, x.hint) {
			t.Errorf("%s: got %v, %+v", name, o, f)
		}
	}
	for _, c := range []daemonconfig.Inspect{{Listen: "0.0.0.0:0"}, {Listen: "0", Cert: "/none.crt"}} { // that were not read
		if o, err := openOutside(d, &c); err == nil {
			t.Errorf("%+v: got %v", c, o)
		}
	}
	if o, err := openOutside(d, &daemonconfig.Inspect{}); o != nil || err != nil {
		t.Errorf("got %v, %v without a setting", o, err)
	}
	if v := (*outside)(nil).section(); v.On || v.MaxConnections != gate.MaxConns {
		t.Errorf("got %+v", v)
	}
	if names := namesOf(netip.MustParseAddr("192.0.2.7"), []string{"a.example"}); !slices.Contains(names, "192.0.2.7") || names[0] != "a.example" {
		t.Errorf("got %v", names)
	}
}

// TestRenewedCertificate: a certificate that is renewed in its files is taken with the next reload, and told. With a
// bad one the node goes on with the old one.
func TestRenewedCertificate(t *testing.T) {
	files := t.TempDir()
	cert, key := filepath.Join(files, "a.crt"), filepath.Join(files, "a.key")
	made := 0
	renew := func() string {
		t.Helper()
		made++
		dir := filepath.Join(files, strconv.Itoa(made))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		c, err := gate.Own(dir, nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, gate.CertificateName))
		if err == nil {
			err = errors.Join(os.WriteFile(cert, b, 0o600), os.WriteFile(key, b, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
		return gate.Fingerprint(c)
	}
	first := renew()
	n := startOpen(t, dataDir(t), map[string][]string{"inspect.listen": {"127.0.0.1:0"}, "inspect.tls_cert": {cert}, "inspect.tls_key": {key}})
	admin := n.token(n.dir.TokenFile())
	// asked sees with which certificate the node answers.
	asked := func(want string) {
		t.Helper()
		var v models.Access
		if err := n.local.Section(t.Context(), "inspect", &v); err != nil || v.Fingerprint != want {
			t.Errorf("the node says %s, %v, want %s", v.Fingerprint, err, want)
		}
		n.access.Fingerprint = want
		if _, err := n.remote(admin).Node(t.Context()); err != nil {
			t.Errorf("got %v of a node with the certificate %s", err, want)
		}
	}
	asked(first)
	n.reload("nothing has changed")
	asked(first)
	second := renew()
	n.reload(second)
	asked(second)
	if err := os.WriteFile(key, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.reload("it has no private key in PEM")
	asked(second)
	third := renew()
	n.reload(third)
	asked(third)
	enough := errors.New("enough")
	if err := n.local.Follow(t.Context(), inspect.EventQuery{Types: []string{models.AdminActed}}, func(e *models.Event) error {
		if e.What == "admin.settings.reload inspect.tls_cert" {
			return enough
		}
		return nil
	}); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}
