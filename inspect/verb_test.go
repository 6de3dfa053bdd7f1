package inspect

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// TestVerbs: a verb has the parameters that it says, and its errors and events.
func TestVerbs(t *testing.T) {
	var told []string
	c := mutating(t, Actions{
		Admin: func(event string) { told = append(told, event) },
		Verbs: map[string]map[string]Verb{"network": {
			"join": {Do: func(context.Context, url.Values, []byte) (any, error) { return nil, errors.New("nobody is connected") }},
			"discover": {Params: []string{"key"}, Do: func(_ context.Context, v url.Values, _ []byte) (any, error) {
				if v.Get("key") == "unknown" {
					return nil, &Error{Code: CodeUnknownPeer, Message: "nobody knows it", Hint: "check the key"}
				}
				return map[string]string{"found": v.Get("key")}, nil
			}},
		}},
	})
	for _, x := range []struct {
		target string
		status int
		want   string
	}{
		{"/v1/network/discover?key=a", 200, `{"found":"a"}`},
		{"/v1/network/discover?key=unknown", 404, `{"error":{"code":"unknown_peer","message":"nobody knows it","hint":"check the key"}}`},
		{"/v1/network/discover?kye=a", 400, "unknown parameter"},
		{"/v1/network/join", 409, `"message":"nobody is connected"`},
		{"/v1/network/leave", 404, "the verbs of network are: discover, join"},
		{"/v1/saf/fetch", 404, "/v1/{section}/{verb} of those at /v1/verbs"},
	} {
		res := post(t.Context(), t, c, x.target, "text/plain", strings.NewReader("{}"))
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != x.status || !strings.Contains(string(b), x.want) {
			t.Errorf("POST %s: got %d %s, want %d with %s", x.target, res.StatusCode, b, x.status, x.want)
		}
	}
	if want := []string{"admin.network.discover key=a", "admin.network.discover key=unknown", "admin.network.join"}; !slices.Equal(told, want) {
		t.Errorf("got %q told, want %q", told, want)
	}
}

// TestVerbsAreListed: what can be done is listed, and no handler says what it cannot do.
func TestVerbsAreListed(t *testing.T) {
	h := Handler(Options{Verbs: map[string]map[string]Verb{"saf": {"purge": {Params: []string{"to"}}, "fetch": {Body: 7, Local: true}}}})
	if code, b := get(t, h, "/v1/verbs"); code != 200 || !strings.Contains(b, `"items":[{"section":"saf","verb":"fetch","params":[],"body":7,"local":true},{"section":"saf","verb":"purge","params":["to"]}],"total":2`) {
		t.Errorf("got %d %s, want both", code, b)
	}
	if code, b := get(t, Handler(Options{}), "/v1/verbs?limit=1"); code != 200 || !strings.Contains(b, `"items":[],"total":0`) {
		t.Errorf("got %d %s, want none", code, b)
	}
}

// TestSectionsHaveAddresses: a section is at /v1/NAME, and /v1 lists it, unless something else is
// there.
func TestSectionsHaveAddresses(t *testing.T) {
	var s Sections
	for _, name := range []string{"saf", "peers", "my cache"} {
		s.Section(name, func(context.Context) any { return models.StoreForward{Summary: name} })
	}
	h := Handler(Options{Sections: &s})
	for _, path := range []string{"/v1/saf", "/v1/my%20cache", "/v1/sections/saf"} {
		if v := getJSON[models.StoreForward](t, h, path); v.Summary == "" {
			t.Errorf("%s: got %+v, want the section", path, v)
		}
	}
	var all []string
	for _, e := range getJSON[page[Endpoint]](t, h, "/v1").Items {
		all = append(all, e.Path)
	}
	for _, path := range []string{"/v1/tree", "/v1/peers", "/v1/saf", "/v1/my%20cache"} {
		if i := slices.Index(all, path); i < 0 || slices.Contains(all[i+1:], path) {
			t.Errorf("got %q, want %s once", all, path)
		}
	}
	if code, b := get(t, h, "/v1/kad"); code != 404 || !strings.Contains(b, "there is nothing at /v1/kad") {
		t.Errorf("got %d %s, want 404", code, b)
	}
}

// TestVerbsOfValues: values come in the body, results at once or line by line, and errors have
// the codes that scripts need.
func TestVerbsOfValues(t *testing.T) {
	actions := Actions{Verbs: map[string]map[string]Verb{"kad": {
		"put": {Params: []string{"client"}, Body: 5, Local: true, Do: func(_ context.Context, v url.Values, b []byte) (any, error) {
			return map[string]string{v.Get("client"): string(b)}, nil
		}},
		"get": {Do: func(context.Context, url.Values, []byte) (any, error) {
			return nil, &Error{Code: CodeNoValue, Message: "nobody has it", Hint: "check the key"}
		}},
		"trace": {Params: []string{"target"}, Stream: func(_ context.Context, v url.Values) iter.Seq2[any, error] {
			return func(yield func(any, error) bool) {
				switch v.Get("target") {
				case "nobody":
					yield(nil, &Error{Code: CodeUnknownPeer, Message: "nobody knows it", Hint: "check the key"})
					return
				case "nothing":
					return
				case "later":
					if yield(nil, nil) {
						yield(nil, errors.New("too late"))
					}
					return
				}
				if yield(1, nil) && yield(2, nil) && v.Get("target") != "" {
					yield(nil, errors.New("too far"))
				}
			}
		}},
	}}}
	c := mutating(t, actions)
	for _, x := range []struct {
		target, body string
		status       int
		want         string
	}{
		{"/v1/kad/put?client=main", "hello", 200, `{"main":"hello"}`},
		{"/v1/kad/put", "longer", 400, "the body is longer than 5 bytes"},
		{"/v1/kad/put?kye=a", "hello", 400, "unknown parameter"},
		{"/v1/kad/get", "", 404, `"code":"no_value"`},
		{"/v1/kad/find", "", 404, "the verbs of kad are: get, put, trace"},
		{"/v1/kad/trace", "", 200, "1\n2\n"},
		{"/v1/kad/trace?target=nobody", "", 404, `{"error":{"code":"unknown_peer","message":"nobody knows it","hint":"check the key"}}`},
		{"/v1/kad/trace?target=nothing", "", 200, ""},
		{"/v1/kad/trace?target=later", "", 200, `{"error":{"code":"internal","message":"too late"`},
		{"/v1/kad/trace?target=a", "", 200, "1\n2\n{\"error\":{\"code\":\"internal\",\"message\":\"too far\""},
	} {
		res := post(t.Context(), t, c, x.target, "text/plain", strings.NewReader(x.body))
		if b, err := io.ReadAll(res.Body); err != nil || res.StatusCode != x.status || !strings.Contains(string(b), x.want) {
			t.Errorf("POST %s: got %d %s, %v, want %d with %s", x.target, res.StatusCode, b, err, x.status, x.want)
		}
	}
	none := mutating(t, Actions{})
	if res := post(t.Context(), t, none, "/v1/kad/get", "text/plain", strings.NewReader("")); res.StatusCode != http.StatusNotFound {
		t.Errorf("without actions: got %d, want 404", res.StatusCode)
	}
	h, err := Mutations(testToken, actions)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "http://localhost/v1/kad/put", strings.NewReader("hello"))
	r.Header.Set("Authorization", "Bearer "+testToken.Reveal())
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 403 {
		t.Errorf("over TCP: got %d %s, want 403", w.Code, w.Body)
	}
}
