package daemon

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/loglevel"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

var update = flag.Bool("update", false, "write docs/api-http.md and its schema")

const (
	apiPage   = "../../../../docs/api-http.md"
	apiSchema = "../../../../docs/api-http.schema.json"
)

// shown is an address of the API as the page has it. In ask and body, KEY, NEW, ID, SEQ, ACTOR and CONTACT stand for those of the
// nodes of the test.
type shown struct {
	path  string // as GET /v1 lists it, after the method
	about string
	ask   string // the example, if it is not the path
	body  string // of a POST
	gives any    // a value of the type of the answer, or of each line of it
	list  bool   // the answer is a list of these
	lines bool   // the answer is one of these a line, or events as they come
	head  string // a header of the request
	bad   []refusal
}

// refusal is a request that is refused.
type refusal struct {
	ask    string
	status int
	code   string
}

type anything = map[string]any

// apiPages are all addresses, in the order of the page.
var apiPages = []struct {
	title string
	all   []shown
}{
	{"The API itself", []shown{
		{path: "GET /v1", about: "All addresses.", ask: "/v1?limit=2", gives: inspect.Endpoint{}, list: true},
		{path: "GET /v1/verbs", about: "What parts of the node can be made to do: `POST /v1/{section}/{verb}`.", ask: "/v1/verbs?limit=2", gives: inspect.VerbInfo{}, list: true},
		{path: "GET /v1/sections", about: "The names of all sections. The section NAME is at `/v1/NAME`, unless something else is there.", ask: "/v1/sections?limit=3", gives: "", list: true},
		{
			path: "GET /v1/sections/{name}", about: "A section. One that is a list is answered as every list, with `limit` and `offset`.", ask: "/v1/sections/outcomes", gives: anything{},
			bad: []refusal{{"/v1/sections/none", 404, "not_found"}, {"/v1/sections/outcomes?limit=1", 400, "bad_query"}},
		},
		{path: "GET /v1/sections/{name}/figures", about: "The values of a section, each with its label and unit, to draw any section.", ask: "/v1/sections/outcomes/figures?limit=1", gives: models.Figure{}, list: true},
	}},
	{"Health", []shown{
		{path: "GET /healthz", about: "Whether the node works: 200, or 503 if a restart would help. A degraded node works.", gives: inspect.HealthReport{}, bad: []refusal{{"/healthz?x=1", 400, "bad_query"}}},
		{path: "GET /readyz", about: "Whether the node can serve others: 503 if it is degraded, too.", gives: inspect.HealthReport{}},
		{path: "POST /v1/node/drain", about: "Make no new connections, or with `off` make them again.", ask: "/v1/node/drain?off=true", gives: models.Drain{}, bad: []refusal{{"/v1/node/drain?off=x", 400, "bad_query"}}},
		{path: "GET /v1/log", about: "The level of the log, and those of packages. Only `gamelan node` has it.", gives: loglevel.Shown{}},
		{
			path: "POST /v1/log/level", about: "Change the level, or with `packages` those of packages; `reset` takes those of the settings first.", ask: "/v1/log/level?packages=connections=debug", gives: loglevel.Shown{},
			bad: []refusal{{"/v1/log/level?level=loud", 400, "bad_query"}, {"/v1/log/level?packages=nobody=debug", 400, "bad_query"}},
		},
		{path: "GET /v1/node", about: "Identity, state and its cause, warnings, limits.", gives: models.Node{}},
		{path: "GET /v1/doctor", about: "The last examination of the node.", gives: models.Doctor{}},
		{path: "POST /v1/doctor/examine", about: "Examine the node, or with `peer` the way to a peer: a line for each step, and the diagnosis.", gives: models.Examined{}, lines: true},
		{path: "GET /v1/events", about: "What has happened, oldest first; `type` takes several, with commas. [events.md](events.md) tells of streams.", ask: "/v1/events?type=node&limit=1", gives: models.Event{}, list: true, bad: []refusal{{"/v1/events?from=yesterday", 400, "bad_query"}, {"/v1/events?since=x", 400, "bad_query"}}},
		{path: "GET /v1/inspect", about: "How the API is reached over TCP, and what was refused there. Only `gamelan node` has it.", gives: models.Access{}},
		{
			path: "POST /v1/inspect/link", about: "Make a link for a browser, with `scope` read or admin: it works once, within a minute. On the Unix socket alone.", ask: "/v1/inspect/link?scope=read", gives: models.AccessLink{},
			bad: []refusal{{"/v1/inspect/link", 400, "bad_query"}},
		},
		{path: "GET /v1/config", about: "Every setting, with its origin. Only `gamelan node` has it.", ask: "/v1/config?limit=1", gives: models.Setting{}, list: true},
	}},
	{"Actors", []shown{
		{path: "GET /v1/tree", about: "The tree of actors, from `path`, `depth` levels; `format` is json, text or dot.", ask: "/v1/tree?path=node/disk&depth=0", gives: anything{}, bad: []refusal{{"/v1/tree?depth=x", 400, "bad_query"}, {"/v1/tree?path=nobody", 404, "not_found"}}},
		{path: "GET /v1/actors", about: "Actors; `sort` is depth, busy, restarts or age.", ask: "/v1/actors?prefix=ACTOR&limit=1", gives: inspect.Actor{}, list: true, bad: []refusal{{"/v1/actors?sort=size", 400, "bad_query"}, {"/v1/actors?limit=0", 400, "bad_query"}}},
		{path: "GET /v1/actors/{path...}", about: "One actor. The end of its path is enough, if it fits one alone.", ask: "/v1/actors/node/disk/space", gives: inspect.Actor{}, bad: []refusal{{"/v1/actors/nobody", 404, "not_found"}}},
		{path: "GET /v1/actors/{path...}/stacks", about: "The stacks of the goroutines of an actor, and of its last failure.", ask: "/v1/actors/node/disk/space/stacks", gives: inspect.Stacks{}, bad: []refusal{{"/v1/actors/nobody/stacks", 404, "not_found"}}},
		{
			path: "POST /v1/actors/restart", about: "Start an actor again, after the message that it handles now. The answer comes when it has started.", ask: "/v1/actors/restart?path=dht/pinger", gives: anything{},
			bad: []refusal{{"/v1/actors/restart", 400, "bad_query"}, {"/v1/actors/restart?path=nobody", 404, "not_found"}, {"/v1/actors/restart?path=node", 409, "failed"}},
		},
		{
			path: "POST /v1/actors/stop", about: "Stop a connection, a session, or an actor of the program.", ask: "/v1/actors/stop?path=services/messaging/ID", gives: anything{},
			bad: []refusal{{"/v1/actors/stop?path=nobody", 404, "not_found"}, {"/v1/actors/stop?path=dht/pinger", 409, "failed"}},
		},
		{path: "GET /v1/trace", about: "The traces under way.", gives: anything{}},
		{
			path: "POST /v1/trace/actor", about: "Follow an actor for a while: a line for each message that it handles, and the end.", ask: "/v1/trace/actor?path=node/conns&limit=1&for=100ms", gives: anything{}, lines: true,
			bad: []refusal{{"/v1/trace/actor?path=nobody", 404, "not_found"}, {"/v1/trace/actor?path=conns&limit=0", 400, "bad_query"}},
		},
		{path: "POST /v1/trace/peer", about: "Follow the messages with a peer for a while.", ask: "/v1/trace/peer?peer=ID&limit=1&for=100ms", gives: anything{}, lines: true, bad: []refusal{{"/v1/trace/peer?peer=nobody", 404, "unknown_peer"}}},
		{path: "POST /v1/trace/message", about: "Follow a message over the DHT, by its tag, for a while.", ask: "/v1/trace/message?tag=0000000000000001&limit=1&for=100ms", gives: anything{}, lines: true},
		{path: "GET /v1/failures", about: "The last failure of each actor, the newest first.", gives: inspect.Failure{}, list: true},
		{path: "GET /v1/deadletters", about: "The last 1,000 messages that have reached no actor, without their content.", ask: "/v1/deadletters?limit=1", gives: inspect.DeadLetter{}, list: true},
	}},
	{"Peers and connections", []shown{
		{path: "GET /v1/peers", about: "The peers that the node knows.", ask: "/v1/peers?limit=1", gives: models.Peer{}, list: true, bad: []refusal{{"/v1/peers?offset=-1", 400, "bad_query"}}},
		{path: "GET /v1/peers/{id}", about: "One peer, by its node id or public key, or the beginning of one.", ask: "/v1/peers/ID", gives: models.Peer{}, bad: []refusal{{"/v1/peers/0000", 404, "not_found"}}},
		{path: "GET /v1/peers:export", about: "All peers, in the form that `/v1/peers:import` reads.", gives: anything{}},
		{path: "GET /v1/connections", about: "Connections; `state` is open or closed.", ask: "/v1/connections?state=open&limit=1", gives: models.Connection{}, list: true, bad: []refusal{{"/v1/connections?state=x", 400, "bad_query"}}},
		{path: "POST /v1/peers", about: "Add a seed. The body is KEY::ADDRESS.", body: "SEED", gives: models.PeerDone{}},
		{path: "POST /v1/peers:import", about: "Import peers, as `/v1/peers:export` writes them.", body: "EXPORT", gives: models.Imported{}},
		{path: "POST /v1/peers/{target}", about: "Act on a peer. The target is the peer, a colon and one of: VERBS.", ask: "/v1/peers/ID:ping?timeout=5s", gives: models.Pong{}, bad: []refusal{{"/v1/peers/ID:hug", 404, "not_found"}, {"/v1/peers/0000:ban?for=1h&reason=x", 404, "unknown_peer"}}},
		{path: "GET /v1/admission", about: "With whom the node has connections, and who was refused.", gives: models.Admission{}},
		{path: "POST /v1/admission/admit", about: "List the peer with a public key.", ask: "/v1/admission/admit?key=NEW", gives: models.Admitted{}},
		{path: "POST /v1/admission/unadmit", about: "Take a peer off the list.", ask: "/v1/admission/unadmit?key=NEW", gives: models.Admitted{}, bad: []refusal{{"/v1/admission/unadmit?key=KEY", 409, "failed"}}},
	}},
	{"Messages", []shown{
		{path: "POST /v1/messages", about: "Send messages to a peer: the body has one a line, the answer a line for each. With `Content-Type: application/octet-stream` the body is one message.", ask: "/v1/messages?peer=ID&timeout=10s", body: "hello", gives: models.Sent{}, lines: true, bad: []refusal{{"/v1/messages", 400, "bad_query"}, {"/v1/messages?peer=0000", 404, "unknown_peer"}, {"/v1/messages?peer=ID&timeout=x", 400, "bad_query"}}},
		{path: "GET /v1/messages", about: "Messages as they arrive, a line for each: on the Unix socket, and over TLS with the admin's token.", ask: "/v1/messages?count=1&all=true", gives: anything{}, lines: true},
		{path: "POST /v1/messages:ack", about: "Acknowledge messages: the node deletes them.", body: `{"seqs":[SEQ]}`, gives: anything{}},
		{path: "POST /v1/messages:back", about: "End the listener with a name: what it has not acknowledged goes to others.", body: `{"name":"a"}`, gives: anything{}},
		{path: "GET /v1/inbox", about: "Messages that are not acknowledged, and those on the shelf.", gives: models.InboxShelf{}},
		{path: "POST /v1/inbox/retry", about: "Have messages of the shelf handed out again.", ask: "/v1/inbox/retry?all=true", gives: models.ShelfTaken{}, bad: []refusal{{"/v1/inbox/retry", 400, "bad_query"}}},
		{path: "POST /v1/inbox/drop", about: "Delete messages of the shelf.", ask: "/v1/inbox/drop?all=true", gives: models.ShelfTaken{}},
		{path: "GET /v1/outcomes", about: "Messages that are to be kept or handled, and wait.", gives: anything{}},
		{path: "GET /v1/calls", about: "Calls that the program has made, and those to its services, by their results.", gives: models.Calls{}},
		{path: "GET /v1/traffic", about: "Messages and bytes in and out, dials, ends of connections.", gives: models.Traffic{}},
	}},
	{"The DHT, and stored messages", []shown{
		{path: "GET /v1/dht", about: "Messages over the DHT: received, sent, relayed.", gives: models.DHT{}},
		{path: "POST /v1/dht/messages", about: "Send messages over the DHT. Body and answer are as of `/v1/messages`.", ask: "/v1/dht/messages?to=KEY&encrypt=true&timeout=10s", body: "hello", gives: models.SentReport{}, lines: true},
		{path: "GET /v1/ledger", about: "Messages sent over the DHT; `state` is open, ended or failed.", ask: "/v1/ledger?limit=1", gives: models.Report{}, list: true, bad: []refusal{{"/v1/ledger?state=x", 400, "bad_query"}}},
		{path: "GET /v1/saf", about: "Messages stored for others, and fetched from others.", gives: models.StoreForward{}},
		{path: "POST /v1/saf/fetch", about: "Ask peers now for messages that they store for this node.", gives: models.StoreForwardFetched{}},
		{path: "POST /v1/saf/purge", about: "Delete messages that are stored for others.", ask: "/v1/saf/purge?all=true", gives: models.StoreForwardPurged{}, bad: []refusal{{"/v1/saf/purge", 400, "bad_query"}}},
		{path: "GET /v1/network", about: "How the node finds its network.", gives: models.Network{}},
		{path: "POST /v1/network/join", about: "Announce the node now.", gives: models.Report{}},
		{path: "POST /v1/network/discover", about: "Search for the node with a public key.", ask: "/v1/network/discover?key=KEY&for=5s", gives: models.Peer{}, bad: []refusal{{"/v1/network/discover?key=x", 400, "bad_query"}}},
		{path: "POST /v1/network/sync", about: "Ask other nodes now for the peers that they know.", gives: models.Synced{}},
	}},
	{"The key-value DHT", []shown{
		{path: "GET /v1/kad", about: "The clients of the node.", gives: models.Kad{}},
		{path: "GET /v1/kad-peers", about: "Their contacts.", gives: models.KadContacts{}, list: true},
		{path: "GET /v1/kad-own", about: "What they publish.", gives: models.KadPublications{}, list: true},
		{path: "POST /v1/kad/put", about: "Publish a value.", ask: "/v1/kad/put?client=main", body: `{"value":"aGVsbG8="}`, gives: models.KadReport{}},
		{path: "POST /v1/kad/get", about: "Look for a value.", ask: "/v1/kad/get?client=main&key=VALUE", gives: models.KadRecord{}},
		{path: "POST /v1/kad/trace", about: "Look for a value, or with `find` for nodes, and tell each step.", ask: "/v1/kad/trace?client=main&target=VALUE", gives: models.KadStep{}, lines: true},
		{path: "POST /v1/kad/connect", about: "Ask another node whether it is there.", ask: "/v1/kad/connect?client=main&target=SEED", gives: models.KadConnected{}},
		{path: "POST /v1/kad/forget", about: "End the publication of a value.", ask: "/v1/kad/forget?client=main&key=VALUE", gives: models.KadForgotten{}},
	}},
	{"Tor", []shown{{path: "GET /v1/tor", about: "The onion service.", gives: models.Tor{}}}},
	{"The end", []shown{{path: "POST /v1/shutdown", about: "Begin an orderly stop. The status is 202.", gives: anything{}}}},
}

// schemaOf returns the schema of the type of v. Where a type writes its own JSON, or contains itself, the
// schema says what it writes.
func schemaOf(t *testing.T, v any) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.ForType(reflect.TypeOf(v), &jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[json.RawMessage](): {},
		reflect.TypeFor[[]byte]():          {Types: []string{"string", "null"}},
	}})
	if err != nil {
		t.Fatalf("%T: %v", v, err)
	}
	withOutcome(s)
	return s
}

// withOutcome adds the field outcome of models.Outcome where that is embedded: the library takes it for hidden.
func withOutcome(s *jsonschema.Schema) {
	has := func(name string) bool { return s.Properties[name] != nil }
	if has("peer") && has("reason") && has("detail") && has("code") && !has("outcome") {
		s.Properties["outcome"] = &jsonschema.Schema{Type: "string"}
		s.Required = append(s.Required, "outcome")
		s.PropertyOrder = nil
	}
	for _, p := range s.Properties {
		withOutcome(p)
	}
	if s.Items != nil {
		withOutcome(s.Items)
	}
}

// listOf returns the schema of a list.
func listOf(items *jsonschema.Schema) *jsonschema.Schema {
	count := func() *jsonschema.Schema { return &jsonschema.Schema{Type: "integer", Minimum: new(0.0)} }
	return &jsonschema.Schema{
		Type: "object", Required: []string{"items"}, Properties: map[string]*jsonschema.Schema{
			"items": {Type: "array", Items: items}, "total": count(), "limit": count(), "offset": count(), "note": {Type: "string"},
			"next": {Type: "string"}, "lost": count(), "reset": {Type: "boolean"}, "earlier": {Type: "boolean"}, // of events
			"accepted": count(), "ended": count(), // of the ledger
		},
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}},
	}
}

// schema returns the schema of the answer, or of each line of it.
func (s *shown) schema(t *testing.T) *jsonschema.Schema {
	if _, ok := s.gives.(anything); ok {
		return &jsonschema.Schema{Type: "object"}
	}
	x := schemaOf(t, s.gives)
	if s.list {
		return listOf(x)
	}
	return x
}

// apiNode is a daemon, and a node that it is connected to.
type apiNode struct {
	t     *testing.T
	http  *http.Client
	token string
	other *gamelan.Node
	names *strings.Replacer // in requests
	ended <-chan error
}

func startAPINode(t *testing.T) *apiNode {
	t.Helper()
	dir, err := os.MkdirTemp("", "api") //nolint:usetesting // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	const loopback = "/ip4/127.0.0.1/tcp/0"
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	a := &apiNode{t: t}
	other, err := gamelan.Start(ctx, gamelan.Config{Listen: []string{loopback}, DataDir: filepath.Join(dir, "other")}, gamelan.WithInbox(gamelan.InboxConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close(context.Background()) })
	if _, err := other.KV().Open(ctx, gamelan.KVConfig{Name: "main"}); err != nil {
		t.Fatal(err)
	}
	a.other = other
	d := nodedir.Dir{Path: filepath.Join(dir, "node")}
	loaded := daemonconfig.Load(daemonconfig.Sources{Flags: map[string][]string{
		"data_dir": {d.Path}, "node.listen": {loopback}, "node.seeds": {other.Seed()}, "kad.enabled": {"true"}, "inspect.listen": {"0"}, "daemon.drain": {"2s"},
	}})
	if len(loaded.Problems) > 0 {
		t.Fatal(loaded.Problems)
	}
	ended := make(chan error, 1)
	ready := make(chan struct{}, 1)
	go func() {
		ended <- Run(ctx, Options{
			Dir: d, Output: &render.Output{Out: writerFunc(func(b []byte) (int, error) {
				select {
				case ready <- struct{}{}:
				default:
				}
				return len(b), nil
			}), Err: io.Discard},
			Loaded: loaded, Load: func() *daemonconfig.Loaded { return loaded }, Signals: &Signals{reload: make(chan struct{})},
		})
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	a.ended = ended
	a.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.Socket())
	}}}
	t.Cleanup(a.http.CloseIdleConnections)
	b, err := os.ReadFile(d.TokenFile())
	if err != nil {
		t.Fatal(err)
	}
	a.token = strings.TrimSpace(string(b))
	for online := false; !online; time.Sleep(10 * time.Millisecond) {
		_, b := a.do("GET", "/v1/node", "", "")
		online = bytes.Contains(b, []byte(`"status":"online"`))
	}
	var actors struct{ Items []inspect.Actor }
	_, b = a.do("GET", "/v1/actors?limit=1", "", "")
	if err := json.Unmarshal(b, &actors); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Dial(ctx, a.id()); err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"one", "two"} {
		if _, err := other.Send(ctx, a.id(), []byte(topic), gamelan.Kept()); err != nil {
			t.Fatal(err)
		}
	}
	_, export := a.do("GET", "/v1/peers:export", "", "")
	stranger, err := identity.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a.names = strings.NewReplacer("ID", other.ID().String(), "KEY", other.PublicKey().String(), "NEW", stranger.PublicKey().String(), "SEED", other.Seed(), "EXPORT", string(export), "SEQ", "1",
		"ACTOR", actors.Items[0].ID+"/node/disk", "VALUE", "6db6286c37fcb002beb2e84629e23d710d51393c24a773a48ced931671f375b7")
	return a
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// id returns the node id of the daemon's node.
func (a *apiNode) id() (id identity.NodeID) {
	var n models.Node
	_, b := a.do("GET", "/v1/node", "", "")
	if err := errors.Join(json.Unmarshal(b, &n), id.UnmarshalText([]byte(n.NodeID))); err != nil {
		a.t.Fatal(err)
	}
	return id
}

// do makes one request and returns the status and at most 4 MiB of the answer.
func (a *apiNode) do(method, path, body, head string) (int, []byte) {
	a.t.Helper()
	if a.names != nil {
		path, body = a.names.Replace(path), a.names.Replace(body)
	}
	r, err := http.NewRequestWithContext(a.t.Context(), method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	if method != http.MethodGet {
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	if name, value, ok := strings.Cut(head, ": "); ok {
		r.Header.Set(name, value)
	}
	res, err := a.http.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		a.t.Fatal(err)
	}
	return res.StatusCode, b
}

// conforms checks an answer, or each line of one, against a schema.
func conforms(t *testing.T, what string, s *jsonschema.Schema, lines bool, answer []byte) {
	t.Helper()
	r, err := s.Resolve(nil)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	all := [][]byte{answer}
	if lines {
		all = bytes.Split(bytes.TrimSpace(answer), []byte("\n"))
	}
	for _, b := range all {
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Errorf("%s: %v: %s", what, err, b)
			continue
		}
		if err := r.Validate(v); err != nil {
			t.Errorf("%s: %v\n%s", what, err, b)
		}
	}
}

// compact writes JSON with what fits in a line on one line.
func compact(b *strings.Builder, v any, indent string) {
	const width = 140
	one, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	switch v := v.(type) {
	case map[string]any:
		if len(one)+len(indent) <= width {
			break
		}
		b.WriteString("{\n")
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for i, name := range names {
			fmt.Fprintf(b, "%s  %q: ", indent, name)
			compact(b, v[name], indent+"  ")
			b.WriteString([]string{",\n", "\n"}[btoi(i == len(names)-1)])
		}
		b.WriteString(indent + "}")
		return
	case []any:
		if len(one)+len(indent) <= width {
			break
		}
		b.WriteString("[\n")
		for i := range v {
			b.WriteString(indent + "  ")
			compact(b, v[i], indent+"  ")
			b.WriteString([]string{",\n", "\n"}[btoi(i == len(v)-1)])
		}
		b.WriteString(indent + "]")
		return
	}
	b.Write(one)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

const apiMark = "<!-- What follows is written by go test ./cmd/gamelan/internal/daemon -run TestAPIPage -update. -->\n"

// example writes an answer as the page has it.
func example(t *testing.T, answer []byte, lines bool) string {
	t.Helper()
	b := new(strings.Builder)
	all := [][]byte{bytes.TrimSpace(answer)}
	if lines {
		all = bytes.Split(all[0], []byte("\n"))
	}
	for i, line := range all {
		if i == 2 { // the others are alike
			break
		}
		in := json.NewDecoder(bytes.NewReader(line))
		in.UseNumber()
		var v any
		if err := in.Decode(&v); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		compact(b, v, "")
		b.WriteString("\n")
	}
	return b.String()
}

// TestAPIPage: docs/api-http.md has every address of a running node and no other, with its parameters; what it shows as an
// answer has the form of what the node answers, which docs/api-http.schema.json describes.
func TestAPIPage(t *testing.T) {
	a := startAPINode(t)
	_, b := a.do("GET", "/v1?limit=1000", "", "")
	var list struct{ Items []inspect.Endpoint }
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	there := make(map[string]inspect.Endpoint)
	for _, e := range list.Items {
		there[e.Method+" "+e.Path] = e
	}
	_, b = a.do("POST", "/v1/peers/x:hug", "", "")
	_, verbs, _ := strings.Cut(string(b), "one of these verbs: ")
	verbs, _, _ = strings.Cut(verbs, `"`)
	page := new(strings.Builder)
	schemas := map[string]*jsonschema.Schema{"list": listOf(&jsonschema.Schema{}), "error": schemaOf(t, struct {
		Error inspect.Error `json:"error"`
	}{})}
	for _, group := range apiPages {
		fmt.Fprintf(page, "\n## %s\n", group.title)
		for i := range group.all {
			s := &group.all[i]
			e, ok := there[s.path]
			if !ok {
				t.Errorf("the node has no %s", s.path)
				continue
			}
			delete(there, s.path)
			ask := cmp.Or(s.ask, e.Path)
			code, answer := a.do(e.Method, ask, s.body, s.head)
			if code/100 != 2 {
				t.Errorf("%s: got %d %s", s.path, code, answer)
				continue
			}
			schema := s.schema(t)
			schemas[s.path] = schema
			conforms(t, s.path, schema, s.lines, answer)
			for _, bad := range s.bad {
				got, answer := a.do(e.Method, bad.ask, s.body, s.head)
				conforms(t, bad.ask, schemas["error"], false, answer)
				if got != bad.status || !bytes.Contains(answer, []byte(`"code":"`+bad.code+`"`)) {
					t.Errorf("%s: got %d %s, want %d %s", bad.ask, got, answer, bad.status, bad.code)
				}
			}
			write(page, s, e, ask, strings.ReplaceAll(s.about, "VERBS", verbs), example(t, answer, s.lines))
		}
	}
	for path := range there {
		t.Errorf("the page has no %s", path)
	}
	if err := <-a.ended; err != nil { // the last request was to stop
		t.Error(err)
	}
	text, err := json.MarshalIndent(struct {
		Schema string                        `json:"$schema"`
		Title  string                        `json:"title"`
		Defs   map[string]*jsonschema.Schema `json:"$defs"`
	}{"https://json-schema.org/draft/2020-12/schema", "Answers of the HTTP API of a Gamelan node, by method and path. Of those that are a line for each, that of a line.", schemas}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	comparePage(t, page.String(), append(text, '\n'))
}

// write writes the part of the page on one address.
func write(page *strings.Builder, s *shown, e inspect.Endpoint, ask, about, answer string) {
	fmt.Fprintf(page, "\n### `%s`\n\n%s", s.path, about)
	if len(e.Params) > 0 {
		fmt.Fprintf(page, "\nParameters: `%s`.", strings.Join(e.Params, "`, `"))
	}
	for i, bad := range s.bad {
		fmt.Fprintf(page, "%s%d `%s`: `%s`", []string{",\n", "\nRefused: "}[btoi(i == 0)], bad.status, bad.code, bad.ask)
	}
	if len(s.bad) > 0 {
		page.WriteString(".")
	}
	fmt.Fprintf(page, "\n\n```http\n%s %s\n", e.Method, ask)
	if s.head != "" {
		page.WriteString(s.head + "\n")
	}
	if s.body != "" {
		page.WriteString("\n" + s.body + "\n")
	}
	fmt.Fprintf(page, "```\n\n```json\n%s```\n", answer)
}

// answers matches an answer of the page.
var answers = regexp.MustCompile("(?s)```json\n.*?```\n")

// comparePage compares the page and the schema with the files, or writes them.
func comparePage(t *testing.T, page string, schema []byte) {
	t.Helper()
	text, err := os.ReadFile(apiPage)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), apiMark)
	if !ok {
		t.Fatal("the page has no mark")
	}
	if *update {
		if t.Failed() {
			t.Fatal("nothing was written")
		}
		if err := errors.Join(os.WriteFile(apiPage, []byte(head+apiMark+page), 0o644), os.WriteFile(apiSchema, schema, 0o644)); err != nil {
			t.Fatal(err)
		}
		return
	}
	const again = "; run this test with -update"
	if got, want := answers.ReplaceAllString(rest, ""), answers.ReplaceAllString(page, ""); got != want {
		t.Error("docs/api-http.md is not as the addresses" + again)
	}
	if kept, err := os.ReadFile(apiSchema); err != nil || !bytes.Equal(kept, schema) {
		t.Error("docs/api-http.schema.json is not as the answers", err, again)
	}
	all := answers.FindAllString(rest, -1)
	i := 0
	for _, group := range apiPages {
		for k := range group.all {
			if i == len(all) {
				t.Fatal("answers are missing" + again)
			}
			in := json.NewDecoder(strings.NewReader(strings.TrimPrefix(all[i], "```json\n")))
			for in.More() {
				var one json.RawMessage
				if err := in.Decode(&one); err != nil {
					break // the end of the block
				}
				conforms(t, "the page: "+group.all[k].path, group.all[k].schema(t), false, one)
			}
			i++
		}
	}
}
