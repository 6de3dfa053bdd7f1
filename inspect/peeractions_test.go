package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestPeerActions(t *testing.T) {
	var told, did []string
	a := Actions{
		Admin: func(event string) { told = append(told, event) },
		AddPeer: func(_ context.Context, seed string) (any, error) {
			if seed == "" {
				return nil, &Error{Code: CodeBadQuery, Message: "no peer", Hint: "give one"}
			}
			return map[string]string{"node_id": "id of " + seed}, nil
		},
		Peers: map[string]PeerAction{
			"forget": {Do: func(_ context.Context, peer string, _ url.Values) (any, error) {
				did = append(did, "forget "+peer)
				if peer == "stuck" {
					return nil, errors.New("the store is full")
				}
				return nil, nil
			}},
			"ban": {Params: []string{"for"}, Do: func(_ context.Context, peer string, v url.Values) (any, error) {
				did = append(did, "ban "+peer+" for "+v.Get("for"))
				return struct{ For string }{v.Get("for")}, nil
			}},
		},
	}
	c := mutating(t, a)
	for _, x := range []struct {
		target, body string
		status       int
		want         string
	}{
		{"/v1/peers", " key::/memory/a\n", 200, `{"node_id":"id of key::/memory/a"}`},
		{"/v1/peers", "", 400, `{"error":{"code":"bad_query","message":"no peer","hint":"give one"}}`},
		{"/v1/peers", strings.Repeat("x", maxSeedBody+1), 400, "cannot be read"},
		{"/v1/peers?x=1", "a", 400, "unknown parameter"},
		{"/v1/peers/abc:forget", "", 200, `{}`},
		{"/v1/peers/stuck:forget", "", 409, `{"error":{"code":"failed","message":"the store is full"`},
		{"/v1/peers/a%3Ab:ban?for=1h", "", 200, `{"For":"1h"}`},
		{"/v1/peers/abc:ban?fro=1h", "", 400, "unknown parameter"},
		{"/v1/peers/abc:eat", "", 404, "one of these verbs: ban, forget"},
		{"/v1/peers/abc", "", 404, "one of these verbs"},
		{"/v1/peers/:forget", "", 404, "one of these verbs"},
	} {
		res := post(t.Context(), t, c, x.target, "text/plain", strings.NewReader(x.body))
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != x.status || !strings.Contains(string(b), x.want) {
			t.Errorf("POST %s: got %d %s, want %d with %s", x.target, res.StatusCode, b, x.status, x.want)
		}
	}
	if want := []string{"forget abc", "forget stuck", "ban a:b for 1h"}; !slices.Equal(did, want) {
		t.Errorf("got %q done, want %q", did, want)
	}
	if want := []string{"admin.peer.add", "admin.peer.add", "admin.peer.forget peer=abc", "admin.peer.forget peer=stuck", "admin.peer.ban peer=a:b for=1h"}; !slices.Equal(told, want) {
		t.Errorf("got %q told, want %q", told, want)
	}
}

func TestPeersCannotBeAddedWhereNobodyTakesThem(t *testing.T) {
	c := mutating(t, Actions{})
	res := post(t.Context(), t, c, "/v1/peers", "text/plain", strings.NewReader("a"))
	var e struct{ Error Error }
	if err := json.NewDecoder(res.Body).Decode(&e); err != nil || res.StatusCode != http.StatusNotFound || e.Error.Hint == "" {
		t.Errorf("got %d, %+v, want 404 with a hint", res.StatusCode, e)
	}
}
