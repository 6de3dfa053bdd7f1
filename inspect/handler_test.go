package inspect

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

func TestErrorsSayCodeMessageAndHint(t *testing.T) {
	var s Sections
	s.Section("broken", func(context.Context) any { panic("no") })
	s.Section("unwritable", func(context.Context) any { return make(chan int) })
	h := Handler(Options{Source: testSource(), Sections: &s})
	for _, c := range []struct {
		target string
		status int
		code   string
	}{
		{"/", 404, CodeNotFound},
		{"/v2/tree", 404, CodeNotFound},
		{"/v1/actors/gamelan-7f3a91c2/nobody", 404, CodeNotFound},
		{"/v1/actors/gamelan-7f3a91c2/nobody/stacks", 404, CodeNotFound},
		{"/v1/tree?path=nobody", 404, CodeNotFound},
		{"/v1/sections/none", 404, CodeNotFound},
		{"/v1/node", 404, CodeNotFound},
		{"/v1/peers", 404, CodeNotFound},
		{"/v1/config", 404, CodeNotFound},
		{"/v1/connections", 404, CodeNotFound},
		{"/v1/deadletters", 404, CodeNotFound},
		{"/v1/actors?limit=many", 400, CodeBadQuery},
		{"/v1/actors?limit=0", 400, CodeBadQuery},
		{"/v1/actors?offset=-1", 400, CodeBadQuery},
		{"/v1/actors?sort=name", 400, CodeBadQuery},
		{"/v1/actors?state=happy", 400, CodeBadQuery},
		{"/v1/actors?limits=5", 400, CodeBadQuery},
		{"/v1/actors?%zz", 400, CodeBadQuery},
		{"/v1/tree?depth=-1", 400, CodeBadQuery},
		{"/v1/tree?format=xml", 400, CodeBadQuery},
		{"/v1/connections?state=ajar", 400, CodeBadQuery},
		{"/v1/sections/broken", 500, CodeInternal},
		{"/v1/sections/unwritable", 500, CodeInternal},
		{"/v1/messages", 403, CodeForbidden},
	} {
		status, body := get(t, h, c.target)
		var e struct{ Error Error }
		err := json.Unmarshal([]byte(body), &e)
		if status != c.status || err != nil || e.Error.Code != c.code || e.Error.Message == "" || e.Error.Hint == "" {
			t.Errorf("GET %s: got %d %s, want %d, code %s, a message and a hint", c.target, status, body, c.status, c.code)
		}
	}
}

func TestReadOnlyHandlerRefusesEveryOtherMethod(t *testing.T) {
	h := Handler(Options{Source: testSource()})
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
		for _, target := range []string{"/v1/tree", "/v1/messages", "/v1/actors/x", "/healthz"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(method, "http://localhost"+target, nil))
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET" {
				t.Errorf("%s %s: got %d, Allow %q, want 405, GET", method, target, w.Code, w.Header().Get("Allow"))
			}
		}
	}
}

func TestHostOfTheRequestIsChecked(t *testing.T) {
	h := Handler(Options{Source: testSource(), Hosts: []string{"node.example"}})
	for host, want := range map[string]int{
		"localhost": 200, "localhost:9": 200, "127.0.0.1:80": 200, "[::1]:80": 200, "[::1]": 200, "Node.Example:1": 200,
		"evil.example": 403, "evil.example:80": 403, "10.0.0.1": 403, "": 403, "127.0.0.1.evil.example": 403,
	} {
		r := httptest.NewRequest(http.MethodGet, "/healthz", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("host %q: got %d, want %d", host, w.Code, want)
		}
	}
}

func TestActorsAreFilteredSortedAndPaged(t *testing.T) {
	h := Handler(Options{Source: testSource()})
	for _, c := range []struct{ query, want string }{
		{"", "node peers conns 9c01d2e4a1b2c3d4-17 0011223344556677-18 extensions handler"},
		{"?kind=conn", "9c01d2e4a1b2c3d4-17 0011223344556677-18"},
		{"?prefix=gamelan-7f3a91c2/node/ext", "extensions handler"},
		{"?state=stuck", "0011223344556677-18"},
		{"?sort=depth&limit=2", "0011223344556677-18 conns"},
		{"?sort=restarts&limit=1", "handler"},
		{"?limit=2&offset=5", "extensions handler"},
		{"?offset=50", ""},
	} {
		p := getJSON[page[Actor]](t, h, "/v1/actors"+c.query)
		var names []string
		for _, a := range p.Items {
			names = append(names, ShortName(a.Name))
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("/v1/actors%s: got %q, want %q", c.query, got, c.want)
		}
	}
}

func TestLimitAboveThousandIsClampedAndSaidSo(t *testing.T) {
	src := &fakeSource{}
	for i := range 1500 {
		src.actors = append(src.actors, newActor("t/a"+Number(uint64(i)), "x"))
	}
	p := getJSON[page[Actor]](t, Handler(Options{Source: src}), "/v1/actors?limit=1001")
	if len(p.Items) != 1000 || p.Limit != 1000 || p.Total != 1500 || !strings.Contains(p.Note, "1000") {
		t.Errorf("got %d items, limit %d, total %d, note %q, want 1000, 1000, 1500 and a note", len(p.Items), p.Limit, p.Total, p.Note)
	}
	if p = getJSON[page[Actor]](t, Handler(Options{Source: src}), "/v1/actors?limit=1000"); p.Note != "" {
		t.Errorf("limit 1000: got note %q, want none", p.Note)
	}
}

func TestActorIsFoundByFullShortAndRelativePath(t *testing.T) {
	h := Handler(Options{Source: testSource()})
	full := "gamelan-7f3a91c2/node/conns/" + nodeA + "-17"
	for _, path := range []string{full, "node/conns/" + nodeA + "-17", "node/conns/9c01d2e4a1b2c3d4-17", "gamelan-7f3a91c2/node/conns/9c01d2e4a1b2c3d4-17"} {
		a := getJSON[Actor](t, h, "/v1/actors/"+path)
		if a.ID != full || a.Labels == nil || a.Labels.Peer != nodeA || a.Labels.Conn != nodeA+"-17" {
			t.Errorf("%s: got %s, labels %+v, want %s with its peer and connection", path, a.ID, a.Labels, full)
		}
	}
}

func TestAmbiguousShortPathIsNotGuessed(t *testing.T) {
	src := &fakeSource{actors: []Actor{newActor("t/"+nodeA, "x"), newActor("t/"+nodeB, "x")}}
	if code, _ := get(t, Handler(Options{Source: src}), "/v1/actors/t/9c01d2e4a1b2c3d4"); code != 404 {
		t.Errorf("got %d, want 404: two actors have this short name", code)
	}
}

func TestDetailIsAskedAndItsAbsenceTold(t *testing.T) {
	h := Handler(Options{Source: testSource()})
	a := getJSON[Actor](t, h, "/v1/actors/node/peers")
	if a.Line != "3 peers, 0 banned" || !reflect.DeepEqual(a.Detail, map[string]any{"peers": 3.0}) || a.DetailTimeout {
		t.Errorf("peers: got line %q, detail %v, timeout %v", a.Line, a.Detail, a.DetailTimeout)
	}
	start := time.Now()
	if a = getJSON[Actor](t, h, "/v1/actors/node/extensions"); !a.DetailTimeout {
		t.Error("an actor that does not answer: got no detail_timeout")
	}
	if took := time.Since(start); took < AskTimeout {
		t.Errorf("gave up after %v, want %v", took, AskTimeout)
	}
	if a = getJSON[Actor](t, h, "/v1/actors/node/conns/0011223344556677-18"); !a.DetailTimeout {
		t.Error("a stuck actor: got no detail_timeout")
	}
}

func TestSectionsOfTheUser(t *testing.T) {
	var s Sections
	s.Section("weather", func(context.Context) any { return "rain" })
	s.Section("node", func(context.Context) any { return models.Node{NodeID: nodeA, Network: "localnet"} })
	h := Handler(Options{Source: testSource(), Sections: &s})
	if _, body := get(t, h, "/v1/sections"); body != `{"items":["node","weather"],"total":2,"limit":100,"offset":0}`+"\n" {
		t.Errorf("sections: got %s", body)
	}
	if _, body := get(t, h, "/v1/sections/weather"); body != "\"rain\"\n" {
		t.Errorf("weather: got %s", body)
	}
	if n := getJSON[models.Node](t, h, "/v1/node"); n.NodeID != nodeA {
		t.Errorf("node: got %+v", n)
	}
	if _, body := get(t, h, "/v1/sections/weather/figures"); body != `{"items":[{"path":"","label":"","unit":"text","rank":2,"value":"rain"}],"total":1,"limit":100,"offset":0}`+"\n" {
		t.Errorf("figures of the weather: got %s", body)
	}
	if code, _ := get(t, h, "/v1/sections/snow/figures"); code != 404 {
		t.Errorf("figures of no section: got %d, want 404", code)
	}
	s.Remove("weather")
	if code, _ := get(t, h, "/v1/sections/weather"); code != 404 {
		t.Errorf("after Remove: got %d, want 404", code)
	}
}

func TestPeersAndConnections(t *testing.T) {
	var s Sections
	s.Section("peers", func(context.Context) any {
		return []models.Peer{{NodeID: nodeC, PublicKey: strings.Repeat("ab", 32)}, {NodeID: nodeA}}
	})
	s.Section("connections", func(context.Context) any {
		return []models.Connection{{ID: "a", ClosedAt: t0}, {ID: "b"}}
	})
	h := Handler(Options{Sections: &s})
	if p := getJSON[page[models.Peer]](t, h, "/v1/peers?limit=1&offset=1"); p.Total != 2 || len(p.Items) != 1 || p.Items[0].NodeID != nodeA {
		t.Errorf("peers: got %+v", p)
	}
	for _, id := range []string{nodeC, nodeC[:16], nodeC[:8], strings.Repeat("AB", 32), strings.Repeat("AB", 8)} {
		if p := getJSON[models.Peer](t, h, "/v1/peers/"+id); p.NodeID != nodeC {
			t.Errorf("peer %s: got %s, want %s", id, p.NodeID, nodeC)
		}
	}
	s.Section("peers", func(context.Context) any {
		return []models.Peer{{NodeID: nodeC}, {NodeID: nodeC[:20] + "ffffff"}}
	})
	if code, _ := get(t, h, "/v1/peers/"+nodeC[:20]); code != 404 {
		t.Errorf("the beginning of two ids: got %d, want 404", code)
	}
	for state, want := range map[string]string{"open": "b", "closed": "a"} {
		c := getJSON[page[models.Connection]](t, h, "/v1/connections?state="+state)
		if len(c.Items) != 1 || c.Items[0].ID != want {
			t.Errorf("connections %s: got %+v, want %s", state, c.Items, want)
		}
	}
}

func TestFailuresNewestFirst(t *testing.T) {
	src := testSource()
	src.actors = append(src.actors, newActor("gamelan-7f3a91c2/node/conns/"+nodeA+"-19", "conn", func(a *Actor) {
		a.LastFailure = &LastFailure{At: t0.Add(time.Second), Reason: "later"}
	}))
	p := getJSON[page[Failure]](t, Handler(Options{Source: src}), "/v1/failures")
	if len(p.Items) != 2 || p.Items[0].Reason != "later" || p.Items[0].Peer != nodeA || p.Items[1].Actor != "gamelan-7f3a91c2/node/extensions/handler" {
		t.Errorf("got %+v", p.Items)
	}
}

func TestHealth(t *testing.T) {
	var reasons, degraded, warnings models.Notices
	h := Handler(Options{
		Warnings: func(context.Context) models.Notices { return warnings },
		Ready:    func(context.Context) models.Notices { return nil },
		Source:   testSource(), Health: func(context.Context) models.Notices { return reasons },
		Degraded: func(context.Context) models.Notices { return degraded },
	})
	a := getJSON[HealthReport](t, h, "/healthz")
	if !a.OK || a.State != models.HealthOK || len(a.Degraded) != 0 || len(a.Warnings) != 1 || !strings.Contains(a.Warnings[0].What, "stuck in actors.Received") {
		t.Errorf("got %+v, want ok with a warning of the stuck actor", a)
	}
	warnings = models.Notices{{Code: "clock_off", Severity: models.Warning, What: "the clock is off"}}
	if a := getJSON[HealthReport](t, h, "/readyz"); !a.OK || a.State != models.HealthOK || len(a.Warnings) != 2 || a.Warnings[0].Code != "clock_off" {
		t.Errorf("readyz with a warning: got %+v, want ok with two warnings", a)
	}
	degraded = models.Notices{{Code: "own_panicked", Severity: models.Degraded, What: "your actor panics"}}
	if a := getJSON[HealthReport](t, h, "/healthz"); !a.OK || a.State != models.HealthDegraded || len(a.Degraded) != 1 || a.Degraded[0].What != degraded[0].What {
		t.Errorf("got %+v, want ok and degraded", a)
	}
	reasons = models.Notices{{Code: "deaf", Severity: models.Failed, What: "no listener"}}
	if code, body := get(t, h, "/healthz"); code != 503 || !strings.Contains(body, `"reasons":[{"code":"deaf","severity":"failed","what":"no listener"}]`) {
		t.Errorf("got %d %s, want 503 with the reason", code, body)
	}
	if code, body := get(t, h, "/readyz"); code != 503 || !strings.Contains(body, `"ok":false,"state":"degraded"`) {
		t.Errorf("readyz of a degraded node: got %d %s, want 503", code, body)
	}
}

// TestReadyWithoutPeers: a node to which others connect is ready while it has too few peers, as long as nothing else is wrong.
func TestReadyWithoutPeers(t *testing.T) {
	var degraded models.Notices
	listens := true
	h := Handler(Options{
		Degraded: func(context.Context) models.Notices { return degraded },
		Listens:  func() bool { return listens },
	})
	for _, x := range []struct {
		codes   []string
		listens bool
		want    int
	}{
		{[]string{"offline"}, true, 200},
		{[]string{"few_nodes"}, true, 200},
		{[]string{"offline"}, false, 503},
		{[]string{"offline", "disk_full"}, true, 503},
		{[]string{"disk_full"}, true, 503},
	} {
		degraded, listens = nil, x.listens
		for _, c := range x.codes {
			degraded = append(degraded, models.Notice{Code: c, Severity: models.Degraded, What: c})
		}
		if code, body := get(t, h, "/readyz"); code != x.want || !strings.Contains(body, `"state":"degraded"`) {
			t.Errorf("%v, listens %v: got %d %s, want %d", x.codes, x.listens, code, body, x.want)
		}
	}
}

// The names of section 3 of the inspector's design are an interface: programs
// read them.
func TestFieldNames(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{Actor{}, "id parent name kind type state incarnation started_at restarts restarts_window last_failure next_restart_at policy on_panic mailbox current processed rate_1m busy_ns_total busy_pct_1m contained events_missed goroutines tasks children watchers watched_by watches labels line detail detail_timeout"},
		{Mailbox{}, "depth system_depth high_water alarm_depth oldest_age_ms"},
		{Current{}, "message_type since age_ms"},
		{LastFailure{}, "at reason message_type where stack_id"},
		{Labels{}, "peer conn protocol direction"},
		{models.Node{}, "node_id public_key network private profile addresses status cause since tried wanted held calls warnings credit inbox tor moved reach disk clock started_at version pid inbound outbound peers banned places"},
		{models.Peer{}, "node_id public_key features user_agent protocols addresses banned_until ban_reason offline_since pool connection ended_at ended_why next_dial_at added_at"},
		{models.Address{}, "addr source last_ok last_attempt last_error last_code attempts failures latency_ms score"},
		{models.Connection{}, "id peer direction transport local remote opened_at age_ms handshake_ms rtt_ms last_pong_at silent_ms substreams bytes_in bytes_out msgs_in msgs_out pending_bytes credit stalls protected closed_at close_reason closed_by"},
		{models.Substream{}, "id protocol direction owner_actor opened_at bytes_in bytes_out window"},
		{Failure{}, "at actor incarnation message_type reason where peer stack_id"},
		{DeadLetter{}, "at target sender message_type size cause"},
		{Error{}, "code message hint cause"},
	} {
		var names []string
		for f := range reflect.TypeOf(c.v).Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name != "" {
				names = append(names, name)
			}
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%T:\n got %s\nwant %s", c.v, got, c.want)
		}
	}
}
