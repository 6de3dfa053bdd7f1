package inspect

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

func TestNetworkActions(t *testing.T) {
	var told []string
	c := mutating(t, Actions{
		Admin: func(event string) { told = append(told, event) },
		Network: map[string]NetworkAction{
			"join": {Do: func(context.Context, url.Values) (any, error) { return nil, errors.New("nobody is connected") }},
			"discover": {Params: []string{"key"}, Do: func(_ context.Context, v url.Values) (any, error) {
				if v.Get("key") == "unknown" {
					return nil, &Error{CodeUnknownPeer, "nobody knows it", "check the key"}
				}
				return map[string]string{"found": v.Get("key")}, nil
			}},
		},
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
		{"/v1/network/leave", 404, "one of these verbs: discover, join"},
	} {
		res := post(t.Context(), t, c, x.target, "text/plain", strings.NewReader(""))
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != x.status || !strings.Contains(string(b), x.want) {
			t.Errorf("POST %s: got %d %s, want %d with %s", x.target, res.StatusCode, b, x.status, x.want)
		}
	}
	if want := []string{"admin.network.discover", "admin.network.discover", "admin.network.join"}; !slices.Equal(told, want) {
		t.Errorf("got %q told, want %q", told, want)
	}
	none := mutating(t, Actions{})
	if res := post(t.Context(), t, none, "/v1/saf/fetch", "text/plain", strings.NewReader("")); res.StatusCode != http.StatusNotFound {
		t.Errorf("without actions on stored messages: got %d, want 404", res.StatusCode)
	}
	if res := post(t.Context(), t, none, "/v1/network/join", "text/plain", strings.NewReader("")); res.StatusCode != http.StatusNotFound {
		t.Errorf("without actions: got %d, want 404", res.StatusCode)
	}
}

func TestStoreForwardActions(t *testing.T) {
	var told []string
	c := mutating(t, Actions{
		Admin: func(event string) { told = append(told, event) },
		StoreForward: map[string]NetworkAction{"fetch": {Params: []string{"peers"}, Do: func(_ context.Context, v url.Values) (any, error) {
			return map[string]string{"asked": v.Get("peers")}, nil
		}}},
	})
	for target, want := range map[string]string{
		"/v1/saf/fetch?peers=a": `{"asked":"a"}`, "/v1/saf/purge": "POST to /v1/saf/{verb} with one of these verbs: fetch", "/v1/network/fetch": "cannot be told from here",
	} {
		res := post(t.Context(), t, c, target, "text/plain", strings.NewReader(""))
		if b, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(b), want) {
			t.Errorf("POST %s: got %s, %v, want %s", target, b, err, want)
		}
	}
	if want := []string{"admin.saf.fetch"}; !slices.Equal(told, want) {
		t.Errorf("got %q told, want %q", told, want)
	}
	var s Sections
	s.Section("saf", func(context.Context) any { return models.StoreForward{On: true, Summary: "all well"} })
	if v := getJSON[models.StoreForward](t, Handler(Options{Sections: &s}), "/v1/saf"); v.Summary != "all well" {
		t.Errorf("got %+v, want the section", v)
	}
}

func TestNetworkSection(t *testing.T) {
	var s Sections
	s.Section("network", func(context.Context) any { return models.Network{On: true, Known: 41} })
	if n := getJSON[models.Network](t, Handler(Options{Sections: &s}), "/v1/network"); !n.On || n.Known != 41 {
		t.Errorf("got %+v, want the section", n)
	}
}
