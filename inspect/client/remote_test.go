package client

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// TestRemoteURLs: a token goes nowhere where somebody on the way could read it.
func TestRemoteURLs(t *testing.T) {
	token, err := inspect.ParseToken(strings.Repeat("ab", 32))
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]error{
		"https://node.example.org:9465": nil, "https://192.0.2.7": nil, "https://[2001:db8::1]:9465/": nil,
		"http://127.0.0.1:9465": nil, "http://localhost:9465": nil, "http://[::1]:9465": nil,
		"http://192.0.2.7:9465": ErrPlainURL, "http://localhost.example.org": ErrPlainURL, "http://0.0.0.0:1": ErrPlainURL,
		"": ErrURL, "192.0.2.7:9465": ErrURL, "ftp://127.0.0.1": ErrURL, "https://a/b": ErrURL, "https://me:x@a": ErrURL, "https://a?b": ErrURL, "https://": ErrURL,
	} {
		if _, err := NewRemote(Remote{URL: url, Token: token}, Options{}); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", url, err, want)
		}
	}
	if _, err := NewRemote(Remote{URL: "https://a"}, Options{}); !errors.Is(err, inspect.ErrBadToken) {
		t.Errorf("got %v without a token", err)
	}
	for _, text := range []string{"sha256", "sha256:00", "md5:" + strings.Repeat("00", 32), strings.Repeat("00", 32)} {
		if _, err := NewRemote(Remote{URL: "https://a", Token: token, Fingerprint: text}, Options{}); !errors.Is(err, ErrFingerprint) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

// TestRemote: every request has the token, a redirect is not followed, and the certificate is the one that was
// named.
func TestRemote(t *testing.T) {
	const secret = "abababababababababababababababababababababababababababababababab"
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	node := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer "+secret:
			inspect.Refuse(w, &inspect.Error{Code: inspect.CodeUnauthorized, Message: "no", Hint: "no"})
		case r.URL.Path == "/v1/tor":
			http.Redirect(w, r, other.URL, http.StatusFound)
		default:
			w.Write([]byte(`{"scope":"read"}`))
		}
	}))
	defer node.Close()
	token, _ := inspect.ParseToken(secret)
	sum := sha256.Sum256(node.Certificate().Raw)
	right := "sha256:" + hex.EncodeToString(sum[:])
	for name, x := range map[string]struct {
		fingerprint, code string
	}{
		"digits":   {right, ""},
		"as shown": {"SHA256:" + strings.ToUpper(colons(hex.EncodeToString(sum[:]))), ""},
		"another":  {"sha256:" + strings.Repeat("00", 32), CodeCertificate},
		"none":     {"", CodeCertificate},
	} {
		c, err := NewRemote(Remote{URL: node.URL, Token: token, Fingerprint: x.fingerprint}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		v, err := c.Session(t.Context())
		if CodeOf(err) != x.code || (err == nil) != (v.Scope == "read") {
			t.Errorf("%s: got %+v, %v", name, v, err)
		}
		if x.code == "" {
			if err := c.get(t.Context(), "/v1/tor", new(any)); CodeOf(err) != CodeForeign {
				t.Errorf("%s: got %v for a redirect", name, err)
			}
			if given, err := c.Token(t.Context()); err != nil || !given.Equal(token) {
				t.Errorf("got %v", err)
			}
		}
	}
	if elsewhere != 0 {
		t.Error("got a request at another server")
	}
	stranger, _ := inspect.ParseToken(strings.Repeat("00", 32))
	c, err := NewRemote(Remote{URL: node.URL, Token: stranger, Fingerprint: right}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Node(t.Context()); CodeOf(err) != inspect.CodeUnauthorized {
		t.Errorf("got %v for a wrong token", err)
	}
	if _, err := c.Health(t.Context()); CodeOf(err) != inspect.CodeUnauthorized {
		t.Errorf("got %v for a wrong token", err)
	}
	node.Close()
	if _, err = c.Health(t.Context()); CodeOf(err) != CodeNotRunning || !strings.Contains(err.Error(), "no node is running at https://") {
		t.Errorf("got %v of a node that has ended", err)
	}
}

// colons writes hexadecimal digits as browsers do.
func colons(digits string) string {
	var pairs []string
	for i := 0; i < len(digits); i += 2 {
		pairs = append(pairs, digits[i:i+2])
	}
	return strings.Join(pairs, ":")
}
