package page

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// most is how large the page may be in all, in bytes.
const most = 150_000

func TestSize(t *testing.T) {
	all := 0
	for path, f := range files() {
		if path != "/" && path != "/favicon.ico" {
			all += len(f.body)
		}
	}
	t.Logf("%d bytes in %d files", all, len(files())-2)
	if all > most {
		t.Errorf("the page has %d bytes, want at most %d", all, most)
	}
}

// TestSelfContained: what the files name is among them, and nothing is loaded from elsewhere.
func TestSelfContained(t *testing.T) {
	named := regexp.MustCompile(`(?:from|import|src=|href=|url\(|new Worker\()\s*['"(]?(\.?/?[a-z0-9-]+\.(?:js|css|svg|woff2))`)
	for path, f := range files() {
		if strings.HasSuffix(path, ".woff2") || strings.HasSuffix(path, ".txt") {
			continue
		}
		for _, m := range named.FindAllStringSubmatch(string(f.body), -1) {
			if at := "/" + strings.TrimPrefix(m[1], "./"); !Has(at) {
				t.Errorf("%s names %s, which is not there", path, at)
			}
		}
		for _, word := range []string{"https://", "innerHTML", "insertAdjacent", "document.write", "eval(", "setAttribute('style'", "outerHTML"} {
			if strings.Contains(string(f.body), word) {
				t.Errorf("%s has %q", path, word)
			}
		}
	}
}

func TestHandler(t *testing.T) {
	h := Handler()
	for _, c := range []struct {
		method, path, match string
		want                int
		kind                string
	}{
		{http.MethodGet, "/", "", http.StatusOK, "text/html; charset=utf-8"},
		{http.MethodHead, "/", "", http.StatusOK, "text/html; charset=utf-8"},
		{http.MethodGet, "/app.js", "", http.StatusOK, "text/javascript; charset=utf-8"},
		{http.MethodGet, "/style.css", "", http.StatusOK, "text/css; charset=utf-8"},
		{http.MethodGet, "/plex-400.woff2", "", http.StatusOK, "font/woff2"},
		{http.MethodGet, "/app.js", files()["/app.js"].mark, http.StatusNotModified, "text/javascript; charset=utf-8"},
		{http.MethodPost, "/", "", http.StatusMethodNotAllowed, "text/plain; charset=utf-8"},
		{http.MethodGet, "/../page.go", "", http.StatusNotFound, "text/plain; charset=utf-8"},
		{http.MethodGet, "/v1/node", "", http.StatusNotFound, "text/plain; charset=utf-8"},
	} {
		r := httptest.NewRequest(c.method, "http://localhost/", nil)
		r.URL.Path = c.path
		if c.match != "" {
			r.Header.Set("If-None-Match", c.match)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want || w.Header().Get("Content-Type") != c.kind {
			t.Errorf("%s %s: got %d %q, want %d %q", c.method, c.path, w.Code, w.Header().Get("Content-Type"), c.want, c.kind)
		}
		if c.want == http.StatusOK && w.Header().Get("Content-Security-Policy") != Policy {
			t.Errorf("%s: got the policy %q", c.path, w.Header().Get("Content-Security-Policy"))
		}
		if c.method == http.MethodHead && w.Body.Len() > 0 {
			t.Errorf("HEAD: got %d bytes", w.Body.Len())
		}
	}
}
