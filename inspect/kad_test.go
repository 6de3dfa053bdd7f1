package inspect

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// TestKadActions: values come in the body, results at once or line by line, and errors have
// the codes that scripts need.
func TestKadActions(t *testing.T) {
	actions := Actions{Kad: map[string]KadAction{
		"put": {Params: []string{"client"}, Body: 5, Do: func(_ context.Context, v url.Values, b []byte) (any, error) {
			return map[string]string{v.Get("client"): string(b)}, nil
		}},
		"get": {Do: func(context.Context, url.Values, []byte) (any, error) {
			return nil, &Error{CodeNoValue, "nobody has it", "check the key"}
		}},
		"trace": {Params: []string{"target"}, Stream: func(_ context.Context, v url.Values) iter.Seq2[any, error] {
			return func(yield func(any, error) bool) {
				if yield(1, nil) && yield(2, nil) && v.Get("target") != "" {
					yield(nil, errors.New("too far"))
				}
			}
		}},
	}}
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
		{"/v1/kad/find", "", 404, "one of these verbs: get, put, trace"},
		{"/v1/kad/trace", "", 200, "1\n2\n"},
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
