package inspect

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Limits of the read-only handler.
const (
	// MaxLimit is the largest page of a list; a larger limit is clamped, and
	// the answer says so.
	MaxLimit = 1000
	// DefaultLimit is the page of a list for a request without a limit.
	DefaultLimit = 100
)

// Options configures a handler. Source is required. For any other field that is nil the
// handler answers "not found".
type Options struct {
	Source   Source
	Sections *Sections

	// Messages are the messages that the node receives. They are served over a Unix socket, and
	// where [Checked] says that nobody reads along.
	Messages Messages

	// Events are what happened in the node.
	Events Events

	// Verbs are listed at /v1/verbs. They are those of Actions, which carries them out.
	Verbs map[string]map[string]Verb

	// ExportPeers writes all peer records, in the form that ImportPeers of Actions
	// reads.
	ExportPeers func(ctx context.Context, w io.Writer) error

	// Health and Ready return the reasons why the node does not work, for /healthz and /readyz; none
	// means that it works. They take at most 2 s.
	Health, Ready func(ctx context.Context) models.Notices
	// Degraded returns the reasons why a node that works does not work as it should, the cause
	// first; none means that it does. Warnings returns what else somebody should know. They take at
	// most 2 s.
	Degraded, Warnings func(ctx context.Context) models.Notices
	// Listens reports whether others connect to the node; nil: they do not. Such a node is ready while it has too few peers.
	Listens func() bool

	// Metrics returns the values whose tagged fields are the metrics of the node: see
	// [models.MetricsOf]. An error among them is that of a part. It takes at most a second. [Samples] reads them.
	Metrics func(ctx context.Context) []any

	// Hosts are the names that the Host header of a request over TCP may have, beside
	// localhost and the loopback addresses. Others are refused, since a web page could
	// have sent the request through a name of its own.
	Hosts []string
}

type handler struct {
	Options
	rates     rates
	followers atomic.Int32 // of the events
}

// Handler returns the read-only part of the API, below /v1. A section is at /v1/NAME, unless
// something else is there, and always at /v1/sections/NAME. The handler starts no goroutine, and
// without requests it does no work. In tests, httptest.NewServer works as it is; the requests of
// httptest.NewRequest are for example.com unless they name localhost, and Options.Hosts does not
// have that name, so the answer is 403.
func Handler(o Options) http.Handler {
	if o.Sections == nil {
		o.Sections = new(Sections)
	}
	h := &handler{Options: o}
	mux := http.NewServeMux()
	var endpoints []Endpoint
	serve := func(pattern string, f http.HandlerFunc, params ...string) {
		endpoints = append(endpoints, Endpoint{http.MethodGet, pattern, append([]string{}, params...)})
		mux.HandleFunc(pattern, only(f, http.MethodGet, http.MethodHead))
	}
	get := func(pattern string, f func(http.ResponseWriter, *http.Request, *query) (any, error), params ...string) {
		serve(pattern, asked(f, params...).answer, params...)
	}
	serve("/healthz", h.healthz)
	serve("/readyz", h.readyz)
	get("/v1", func(_ http.ResponseWriter, _ *http.Request, q *query) (any, error) {
		return h.endpoints(endpoints, q), nil
	}, pages...)
	get("/v1/actors", h.actors, "prefix", "kind", "state", "sort", "limit", "offset")
	get("/v1/actors/{path...}", h.actor) // with the stacks, whose path the mux does not take
	get("/v1/tree", h.tree, "path", "depth", "format")
	endpoints = append(endpoints, Endpoint{http.MethodGet, "/v1/actors/{path...}/stacks", []string{}})
	get("/v1/sections", h.sections, pages...)
	get("/v1/sections/{name}", h.section, pages...)
	get("/v1/sections/{name}/figures", h.figures, pages...)
	get("/v1/verbs", h.verbs, pages...)
	get("/v1/peers", h.peers, pages...)
	get("/v1/peers:export", h.exportPeers)
	get("/v1/peers/{id}", h.peer)
	get("/v1/connections", h.connections, "state", "limit", "offset")
	get("/v1/ledger", h.ledger, "tag", "peer", "state", "limit", "offset")
	get("/v1/failures", h.failures, pages...)
	get("/v1/deadletters", h.deadLetters, pages...)
	get("/v1/events", h.events, "since", "from", "to", "peer", "type", "limit")
	get("/v1/messages", h.messages, "all", "topic", "count", "name")
	mux.HandleFunc("/v1/{name}", only(handle(h.named).answer, http.MethodGet, http.MethodHead))
	mux.HandleFunc("/", handle(nothing).answer)
	return Guard(o.Hosts, mux)
}

// pages are the parameters of every list.
var pages = []string{"limit", "offset"}

// Endpoint is an address of the API: an element of the list at /v1.
type Endpoint struct {
	Method string   `json:"method"`
	Path   string   `json:"path"`   // what stands in braces is the caller's
	Params []string `json:"params"` // that its query may have
}

// endpoints lists all addresses: those of the handler, those of the sections, and those at which
// somebody can make the node do something.
func (h *handler) endpoints(own []Endpoint, q *query) any {
	limit, offset, note := q.window()
	all := slices.Clone(own)
	for _, name := range h.Sections.Names() {
		path := "/v1/" + url.PathEscape(name)
		if !slices.ContainsFunc(own, func(e Endpoint) bool { return e.Path == path }) {
			all = append(all, Endpoint{http.MethodGet, path, []string{}}) // one that is a list takes pages, too
		}
	}
	if h.Verbs != nil {
		for _, r := range new(mutations).routes() {
			all = append(all, Endpoint{http.MethodPost, r.path, append([]string{}, r.params...)})
		}
		for _, v := range h.verbInfos() {
			all = append(all, Endpoint{http.MethodPost, "/v1/" + url.PathEscape(v.Section) + "/" + url.PathEscape(v.Verb), v.Params})
		}
	}
	return cut(all, limit, offset, note)
}

// Join returns a handler that gives reading requests to read and all others to mutate.
func Join(read, mutate http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			read.ServeHTTP(w, r)
			return
		}
		mutate.ServeHTTP(w, r)
	})
}
