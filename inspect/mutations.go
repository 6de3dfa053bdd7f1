package inspect

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Actions are the functions by which the mutating handler changes a node; the package
// that builds the node supplies them. For one that is nil the handler answers "not
// found".
type Actions struct {
	Sender Sender
	DHT    DHTSender

	// AddPeer adds a peer given as KEY::ADDRESS[::ADDRESS…]; its result is the answer.
	// Errors are as in [PeerAction].
	AddPeer func(ctx context.Context, seed string) (any, error)

	// ImportPeers reads peers that ExportPeers of Options has written; its result is
	// the answer. Errors are as in [PeerAction].
	ImportPeers func(ctx context.Context, r io.Reader) (any, error)

	// Acknowledge acknowledges messages by their numbers; it returns when that is
	// safe on the disk. Admin is not called for it.
	Acknowledge func(ctx context.Context, seqs []uint64) error

	// HandBack ends the listener of that name, which another client may have begun. It
	// returns when the next listener can get the messages that this one had in hand.
	HandBack func(ctx context.Context, name string) error

	// Peers are the actions on one peer, by verb, for instance "forget".
	Peers map[string]PeerAction

	// Verbs are the actions of the node's parts, by section and verb: Verbs["cache"]["purge"]
	// is done by POST /v1/cache/purge.
	Verbs map[string]map[string]Verb

	// Shutdown begins an orderly stop and returns at once.
	Shutdown func()

	// Stopping reports whether a stop has begun. From then on the handler refuses
	// everything but acknowledgements, which are no new work.
	Stopping func() bool

	// Admin is called with the name of every mutation before it is carried out, for
	// the log and the events, and its parameters behind a space, unless they may be secret: "admin.messages",
	// "admin.peer.forget peer=KEY", "admin.node.drain off=true".
	Admin func(event string)

	// Hosts is as in Options.
	Hosts []string
}

const ackPath = "/v1/messages:ack"

type mutations struct {
	Actions
	token Token
}

// Mutations returns the part of the API that changes the node: POST /v1/messages,
// /v1/messages:ack, /v1/messages:back, /v1/dht/messages, /v1/peers, /v1/peers:import,
// /v1/peers/{id}:{verb}, /v1/{section}/{verb} and /v1/shutdown. Every request must carry token;
// without one, the error is [ErrNoToken] and there is no handler.
func Mutations(token Token, a Actions) (http.Handler, error) {
	if !token.set {
		return nil, ErrNoToken
	}
	m := &mutations{a, token}
	mux := http.NewServeMux()
	for _, r := range m.routes() {
		mux.HandleFunc(r.path, only(r.do.answer, http.MethodPost))
	}
	mux.HandleFunc("/v1/{section}/{verb}", only(handle(m.verb).answer, http.MethodPost))
	mux.HandleFunc("/", handle(m.nothing).answer)
	sites := http.NewCrossOriginProtection()
	sites.SetDenyHandler(http.HandlerFunc(foreign))
	return Guard(a.Hosts, sites.Handler(m.admit(mux))), nil
}

// route is an address at which somebody can make the node do something.
type route struct {
	path   string
	params []string
	do     handle
}

// routes are all addresses but those of verbs.
func (m *mutations) routes() []route {
	taking := func(path string, f func(http.ResponseWriter, *http.Request, *query) (any, error), params ...string) route {
		return route{path, params, asked(f, params...)}
	}
	return []route{
		taking("/v1/messages", m.send, "peer", "resend", "outcome", "until", "topic", "timeout", "at_once"),
		taking(ackPath, m.acknowledge),
		taking("/v1/messages:back", m.handBack),
		taking("/v1/dht/messages", m.sendDHT, "to", "strategy", "type", "encrypt", "sign", "store", "timeout", "tag"),
		taking("/v1/peers", m.addPeer),
		taking("/v1/peers:import", m.importPeers),
		{"/v1/peers/{target}", nil, m.peerAction},
		taking("/v1/shutdown", m.shutdown),
	}
}

// nothing answers a request for a path at which there is nothing to do.
func (m *mutations) nothing(_ http.ResponseWriter, r *http.Request) (any, error) {
	return nil, notFound("there is nothing to do at "+Escape(r.URL.Path),
		"POST to /v1/messages, /v1/messages:ack, /v1/messages:back, /v1/dht/messages, /v1/peers, /v1/peers:import, /v1/peers/{id}:{verb}, /v1/{section}/{verb} of those at /v1/verbs, or /v1/shutdown")
}

// admit refuses requests without the token.
func (m *mutations) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !m.token.admits(r):
			w.Header().Set("WWW-Authenticate", "Bearer")
			fail(w, &Error{Code: CodeUnauthorized, Message: "this needs the node's token", Hint: "send the content of the token file in the data directory as Authorization: Bearer"})
		case m.Stopping != nil && m.Stopping() && r.URL.Path != ackPath:
			fail(w, &Error{Code: CodeStopping, Message: "the node is stopping", Hint: "start it again and repeat the request"})
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (m *mutations) tell(event string) {
	if m.Admin != nil {
		m.Admin(event)
	}
}

// longestParam is how much of a parameter is told, in bytes. A public key is shorter.
const longestParam = 80

// withParams returns an event with the parameters of a request. The reason of a ban is free text, and the event of the ban has it.
func withParams(event string, v url.Values) string {
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if value := v.Get(name); value != "" && name != "reason" {
			event += " " + name + "=" + param(value)
		}
	}
	return event
}

func param(value string) string {
	if len(value) > longestParam {
		value = strings.ToValidUTF8(value[:longestParam], "") + "…"
	}
	if strings.ContainsAny(value, " \"") {
		return strconv.Quote(value)
	}
	return Escape(value)
}

func (m *mutations) shutdown(w http.ResponseWriter, _ *http.Request, q *query) (any, error) {
	if q.err != nil {
		return nil, q.err
	}
	if m.Shutdown == nil {
		return nil, notFound("this node cannot be stopped from here", "stop the program that runs it")
	}
	m.tell("admin.shutdown")
	replyStatus(w, http.StatusAccepted, struct {
		Stopping bool `json:"stopping"`
	}{true})
	http.NewResponseController(w).Flush()
	m.Shutdown()
	return done, nil
}
