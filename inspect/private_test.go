package inspect

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestWhatIsWithheld: sections and messages have their contents on a Unix socket, and where a server in front says
// that nobody reads along; a header takes them out wherever a request comes from.
func TestWhatIsWithheld(t *testing.T) {
	sections := new(Sections)
	sections.Section("secret", func(ctx context.Context) any { return map[string]bool{"withheld": Withheld(ctx)} })
	h := Handler(Options{Sections: sections})
	unix := func(r *http.Request) *http.Request {
		return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.UnixAddr{Net: "unix"}))
	}
	withhold := func(r *http.Request) *http.Request { r.Header.Set(WithholdHeader, "1"); return r }
	for name, x := range map[string]struct {
		from     func(*http.Request) *http.Request
		host     string
		withheld bool
		status   int
	}{
		"TCP":                 {func(r *http.Request) *http.Request { return r }, "localhost", true, 200},
		"another host":        {func(r *http.Request) *http.Request { return r }, "node.example.org", true, 403},
		"checked":             {func(r *http.Request) *http.Request { return Checked(r, false) }, "node.example.org", true, 200},
		"checked and private": {func(r *http.Request) *http.Request { return Checked(r, true) }, "node.example.org", false, 200},
		"a socket":            {unix, "localhost", false, 200},
		"withheld there":      {func(r *http.Request) *http.Request { return withhold(unix(r)) }, "localhost", true, 200},
		"withheld elsewhere":  {func(r *http.Request) *http.Request { return withhold(Checked(r, true)) }, "localhost", true, 200},
	} {
		ask := func(path string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, x.from(httptest.NewRequest(http.MethodGet, "http://"+x.host+path, nil)))
			return w
		}
		w := ask("/v1/secret")
		if w.Code != x.status || w.Code == 200 && strings.Contains(w.Body.String(), "true") != x.withheld {
			t.Errorf("%s: got %d %s", name, w.Code, w.Body)
		}
		if w := ask("/v1/messages"); (w.Code == http.StatusForbidden) != x.withheld { // otherwise there are none
			t.Errorf("%s: messages: got %d %s", name, w.Code, w.Body)
		}
	}
}
