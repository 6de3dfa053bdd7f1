package inspect

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestExportPeers(t *testing.T) {
	fails := false
	h := Handler(Options{Source: testSource(), ExportPeers: func(_ context.Context, w io.Writer) error {
		io.WriteString(w, "{\"peers\":[\n")
		if fails {
			return errors.New("no")
		}
		_, err := io.WriteString(w, "]}\n")
		return err
	}})
	s := httptest.NewServer(h)
	defer s.Close()
	get := func() (string, error) {
		res, err := http.Get(s.URL + "/v1/peers:export")
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return string(b), err
	}
	if got, err := get(); got != "{\"peers\":[\n]}\n" || err != nil {
		t.Errorf("got %q, %v, want the export", got, err)
	}
	fails = true
	if got, err := get(); err == nil {
		t.Errorf("got %q, want an export that failed on the way to be broken off", got)
	}
	none := Handler(Options{Source: testSource()})
	for target, status := range map[string]int{"/v1/peers:export": 404, "/v1/peers:export?x=1": 400} {
		w := httptest.NewRecorder()
		none.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost"+target, nil))
		if w.Code != status {
			t.Errorf("%s: got %d, want %d", target, w.Code, status)
		}
	}
}

func TestImportPeers(t *testing.T) {
	var told string
	c := mutating(t, Actions{
		Admin: func(event string) { told = event },
		ImportPeers: func(_ context.Context, r io.Reader) (any, error) {
			b, err := io.ReadAll(r)
			if string(b) != "{}" {
				return nil, &Error{Code: CodeBadQuery, Message: "line 1: " + string(b), Hint: "give an export"}
			}
			return map[string]int{"added": 3}, err
		},
	})
	for _, x := range []struct {
		target, body string
		status       int
		want         string
	}{
		{"/v1/peers:import", "{}", 200, `{"added":3}`},
		{"/v1/peers:import", "nonsense", 400, `"message":"line 1: nonsense","hint":"give an export"`},
		{"/v1/peers:import?dry=1", "{}", 400, "unknown parameter"},
	} {
		res := post(t.Context(), t, c, x.target, "application/json", strings.NewReader(x.body))
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != x.status || !strings.Contains(string(b), x.want) {
			t.Errorf("POST %s %s: got %d %s, want %d with %s", x.target, x.body, res.StatusCode, b, x.status, x.want)
		}
	}
	if told != "admin.peers.import" {
		t.Errorf("got %q told, want the import", told)
	}
	res := post(t.Context(), t, mutating(t, Actions{}), "/v1/peers:import", "application/json", strings.NewReader("{}"))
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("where nobody takes them: got %d, want 404", res.StatusCode)
	}
}
