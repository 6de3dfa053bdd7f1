package gate

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/inspect/page"
	"github.com/gamelan-p2p/gamelan/internal/listenat"
)

// Options configure a [Gate]. Node is required.
type Options struct {
	// Node answers requests of the API. They carry Token, but for changes, which only those of admins are let in for.
	Node  http.Handler
	Token inspect.Token
	// Page answers all other requests; nil: there is no page.
	Page http.Handler
	// Names are what this user calls peers: a name for each node id. It may be nil.
	Names func() map[string]string

	// Admin and Read are the tokens of programs; with the zero Token nobody comes in.
	Admin, Read inspect.Token
	// Hosts are the names that the Host header may have, beside those of loopback and the address at which the
	// request came.
	Hosts []string
	// Ask says how people get a link, as in "with the command x"; "": it is not said.
	Ask string
	// Private says that nobody reads along although there is no TLS.
	Private bool

	// Refused is told of failures, the first of each minute at once, with how many there were since the
	// last one; nil: nobody is.
	Refused func(source netip.Prefix, why string, n uint64)
	Now     func() time.Time // nil: time.Now
	Random  io.Reader        // nil: crypto/rand
}

// Gate is a handler that lets requests in. It may be used from any goroutine.
type Gate struct {
	o     Options
	sites *http.CrossOriginProtection

	mu       sync.Mutex
	visitors visitors
	failures failures
	counts   Counts
	follow   int // readers that follow the events
	told     time.Time
	untold   uint64
}

// Counts are how many requests were refused, by what was wrong with them.
type Counts struct {
	Links    int // that nobody has opened yet
	Sessions int // of browsers

	Credential uint64 // no token, or a wrong one, or a link or session that is over
	TooMany    uint64 // of these, those beyond the limit of their source
	Host       uint64 // a foreign Host
	Origin     uint64 // from a page of another site
	Scope      uint64 // a reader wanted to change something, or to see what only an admin sees
}

// New returns a Gate.
func New(o Options) *Gate {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	return &Gate{o: o, sites: http.NewCrossOriginProtection()}
}

// Hints. A program with commands puts these in their place.
const (
	HintToken = "send a token of the node as Authorization: Bearer, or open a link for a browser"
	HintScope = "use the admin's token, or a link of the scope admin"
)

// Paths of links.
const (
	Login = "/login"           // of a link
	Links = "/v1/inspect/link" // where the node makes them, on its Unix socket alone: a session must not prolong itself
)

// Link returns the path and query of a link for a browser. It works once, within [LinkFor].
func (g *Gate) Link(s Scope) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	code, err := g.visitors.invite(g.o.Now(), s, g.o.Random)
	if err != nil {
		return "", fmt.Errorf("gate: draw a link: %w", err)
	}
	return Login + "?once=" + code, nil
}

// Counts returns the present counts.
func (g *Gate) Counts() Counts {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counts.Links, g.counts.Sessions = g.visitors.count(g.o.Now())
	return g.counts
}

// answerWithin is how long a client may take to read an answer that is no stream.
const answerWithin = time.Minute

// ServeHTTP lets a request in, or answers why not.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", page.Policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	var deadline time.Time
	if !isStream(r) {
		deadline = time.Now().Add(answerWithin)
	}
	_ = http.NewResponseController(w).SetWriteDeadline(deadline) // a test's writer has none
	switch {
	case !g.ownHost(r):
		g.refuse(w, r, &g.counts.Host, "", &inspect.Error{
			Code: inspect.CodeForbidden, Message: "the host name " + inspect.Escape(short(r.Host)) + " is not one of this node", Hint: "use the address at which the node listens, or add the name to inspect.hosts",
		})
	case g.foreign(r):
		g.refuse(w, r, &g.counts.Origin, "", &inspect.Error{
			Code: inspect.CodeForbidden, Message: "the request comes from a page of another site", Hint: "send it from a program, or from the node's own page",
		})
	case r.URL.Path == Login:
		g.login(w, r)
	default:
		g.admit(w, r)
	}
}

// isStream reports whether the answer may take for ever. Such answers have time limits of their own.
func isStream(r *http.Request) bool {
	return r.Method == http.MethodPost || r.URL.Path == "/v1/messages" || r.URL.Path == "/v1/events" || strings.HasSuffix(r.URL.Path, ":export")
}

// ofAPI reports whether a path is one of the API, and not of the page.
func ofAPI(path string) bool {
	return path == "/v1" || strings.HasPrefix(path, "/v1/") || path == "/healthz" || path == "/readyz" || path == sessionPath
}

// admit lets a request in for which there is a token or a session.
func (g *Gate) admit(w http.ResponseWriter, r *http.Request) {
	in := g.who(r)
	private := in.scope == Admin && (r.TLS != nil || g.o.Private)
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case in.scope == Nothing:
		g.unknown(w, r, in)
	case !listenat.Vouch(r.Context(), in.scope == Admin):
		g.refuse(w, r, nil, "", &inspect.Error{
			Code: inspect.CodeBusy, Message: "readers have all connections that are theirs", Hint: "end one of them, or use the admin's token",
		})
	case reads && r.Body != nil && r.Body != http.NoBody:
		g.refuse(w, r, nil, "", &inspect.Error{Code: inspect.CodeBadQuery, Message: "a request that only looks has no body", Hint: "send it without one"})
	case !reads && in.cookie && g.sites.Check(r) != nil:
		g.refuse(w, r, &g.counts.Origin, "", &inspect.Error{
			Code: inspect.CodeForbidden, Message: "the request comes from a page of another site", Hint: "send it from a program, or from the node's own page",
		})
	case r.URL.Path == sessionPath:
		g.session(w, r, in, private)
	case !reads && in.scope < Admin:
		g.refuse(w, r, &g.counts.Scope, "", &inspect.Error{
			Code: inspect.CodeForbidden, Message: "this token, or session, may look and change nothing", Hint: HintScope,
		})
	case r.URL.Path == Links:
		g.refuse(w, r, &g.counts.Scope, "", &inspect.Error{
			Code: inspect.CodeForbidden, Message: "links are made on the machine of the node alone", Hint: "make it there",
		})
	case !private && hasContents(r.URL.Path):
		g.refuse(w, r, &g.counts.Scope, "", &inspect.Error{
			Code: inspect.CodeForbidden, Message: "what is in messages passes over TLS alone, and to the admin alone", Hint: inspect.HintListenHere,
		})
	default:
		g.pass(w, r, in, private)
	}
}

// hasContents reports whether requests for a path, or their answers, have the contents of messages. The
// handlers of package inspect look after values, and after answers that have some among other things.
func hasContents(path string) bool { return path == "/v1/messages" || path == "/v1/dht/messages" }

// pass hands a request on.
func (g *Gate) pass(w http.ResponseWriter, r *http.Request, in visitor, private bool) {
	ctx := r.Context()
	if !in.until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, in.until.Sub(g.o.Now())) // a stream ends with its session
		defer cancel()
	}
	r = r.WithContext(ctx)
	r.Header = r.Header.Clone()
	r.Header.Del("Cookie")
	r.Header.Del("Authorization")
	if in.scope < Admin && r.URL.Path == "/v1/events" && strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		if !g.follows(+1) {
			g.refuse(w, r, nil, "", &inspect.Error{
				Code: inspect.CodeBusy, Message: fmt.Sprintf("%d readers follow the events already", MaxFollowers), Hint: "end one of them, or ask for lists",
			})
			return
		}
		defer g.follows(-1)
	}
	if !ofAPI(r.URL.Path) {
		if g.o.Page == nil {
			inspect.Refuse(w, &inspect.Error{Code: inspect.CodeNotFound, Message: "there is no page here", Hint: "the API is at /v1"})
			return
		}
		g.o.Page.ServeHTTP(w, r)
		return
	}
	if in.scope == Admin || r.Method != http.MethodPost {
		r.Header.Set("Authorization", "Bearer "+g.o.Token.Reveal())
	}
	if !private {
		r.Header.Set(inspect.WithholdHeader, "1")
	}
	g.o.Node.ServeHTTP(w, inspect.Checked(r, private))
}

// MaxFollowers is how many readers may follow the events at a time: half of those that the node lets.
const MaxFollowers = 16

// follows counts a reader that begins or ends to follow the events. The result is false for one too many.
func (g *Gate) follows(change int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.follow+change > MaxFollowers {
		return false
	}
	g.follow += change
	return true
}

// visitor is the sender of a request.
type visitor struct {
	scope  Scope
	cookie bool      // it has a session
	until  time.Time // end of the session
	why    string    // what was wrong, if the scope is Nothing
}

// who finds out who sends a request. A wrong token is wrong, whatever the cookie says.
func (g *Gate) who(r *http.Request) visitor {
	token, given, err := inspect.TokenOf(r)
	if given {
		admin, read := g.o.Admin.Equal(token), g.o.Read.Equal(token) // both, whichever it is
		switch {
		case err == nil && admin:
			return visitor{scope: Admin}
		case err == nil && read:
			return visitor{scope: Read}
		}
		return visitor{why: "a wrong token"}
	}
	id := cookie(r)
	if id == "" {
		return visitor{why: "no token"}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.visitors.session(g.o.Now(), id); s.scope != Nothing {
		return visitor{scope: s.scope, cookie: true, until: s.until}
	}
	return visitor{why: "a session that is over"}
}

// unknown refuses a request without a token or session.
func (g *Gate) unknown(w http.ResponseWriter, r *http.Request, in visitor) {
	hint := HintToken
	if in.why == "a session that is over" {
		hint = "open a new link"
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	g.refuse(w, r, &g.counts.Credential, in.why, &inspect.Error{
		Code: inspect.CodeUnauthorized, Message: "this needs a token of the node, or a session, and has " + in.why, Hint: hint,
	})
}

// login opens a session for a link.
func (g *Gate) login(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		g.refuse(w, r, nil, "", &inspect.Error{Code: inspect.CodeBadMethod, Message: "a link is opened with GET", Hint: "open it in a browser"})
		return
	}
	g.mu.Lock()
	id, s, ok, err := g.visitors.enter(g.o.Now(), r.URL.Query().Get("once"), g.o.Random)
	g.mu.Unlock()
	switch {
	case err != nil:
		inspect.Refuse(w, &inspect.Error{Code: inspect.CodeInternal, Message: err.Error(), Hint: "open a new link"})
		return
	case !ok:
		const over = "a link that is over"
		g.refuse(w, r, &g.counts.Credential, over, &inspect.Error{
			Code: inspect.CodeUnauthorized, Message: "this link is over: each works once, within " + LinkFor.String(), Hint: "open a new link",
		})
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r), Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: overTLS(r),
		MaxAge: int(s.until.Sub(g.o.Now()) / time.Second),
	})
	// No redirect: browsers take that for a request of the page with the link, and send no strict cookie.
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/"><title>Opening</title><p><a href="/">Open the page</a></p></html>`+"\n")
}

// sessionPath is where a page learns of its session, and ends it with POST.
const sessionPath = "/session"

// session answers what the sender may do, or ends the session.
func (g *Gate) session(w http.ResponseWriter, r *http.Request, in visitor, private bool) {
	if r.Method == http.MethodPost {
		g.mu.Lock()
		g.visitors.leave(cookie(r))
		g.mu.Unlock()
		http.SetCookie(w, &http.Cookie{Name: cookieName(r), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: overTLS(r), MaxAge: -1})
		in.scope, in.until, private = Nothing, time.Time{}, false
	}
	var names map[string]string
	if g.o.Names != nil && in.scope != Nothing {
		names = g.o.Names()
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(models.AccessSession{Scope: in.scope.String(), Until: in.until, Private: private, Names: names})
}

// overTLS reports whether the browser uses TLS: with the node, or with a proxy before it, as whoever asks for
// another name than loopback does.
func overTLS(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	name := hostName(r)
	ip, err := netip.ParseAddr(name)
	return !strings.EqualFold(name, "localhost") && (err != nil || !ip.IsLoopback())
}

// hostName returns the Host of a request without its port, and without the brackets of an IPv6 address.
func hostName(r *http.Request) string {
	name := r.Host
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	return strings.Trim(name, "[]")
}

// cookieName returns the name of a session's cookie. Browsers send cookies to every port of a host, where other
// nodes may have theirs.
func cookieName(r *http.Request) string {
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		port = "0"
	}
	return "gamelan-" + port
}

// cookie returns the id of the session of a request, or "".
func cookie(r *http.Request) string {
	if c, err := r.Cookie(cookieName(r)); err == nil {
		return c.Value
	}
	return ""
}

// refusedWithin is how long the server reads the rest of a request that is refused.
const refusedWithin = time.Second

// refuse answers with an error, and counts the request unless count is nil. A failure is counted for its source;
// for one too many the answer is to wait.
func (g *Gate) refuse(w http.ResponseWriter, r *http.Request, count *uint64, failure string, e *inspect.Error) {
	wait := g.count(r, count, failure)
	w.Header().Set("Connection", "close")                                            // it holds no place
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(refusedWithin)) // nor does a body that does not come
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		e = &inspect.Error{Code: inspect.CodeTooMany, Message: "too many requests from this address had " + failure, Hint: "wait " + wait.Round(time.Second).String() + "; a right token is taken meanwhile"}
	}
	forPeople := e.Code == inspect.CodeUnauthorized || e.Code == inspect.CodeForbidden || e.Code == inspect.CodeTooMany
	if forPeople && !ofAPI(r.URL.Path) && strings.Contains(r.Header.Get("Accept"), "text/html") {
		g.refusePage(w, e)
		return
	}
	inspect.Refuse(w, e)
}

// tellEvery is the shortest time between two reports of failures.
const tellEvery = time.Minute

func (g *Gate) count(r *http.Request, count *uint64, failure string) (wait time.Duration) {
	source := sourceOf(r)
	g.mu.Lock()
	if count != nil {
		*count++
	}
	if failure == "" {
		g.mu.Unlock()
		return 0
	}
	now := g.o.Now()
	if wait = g.failures.count(now, source); wait > 0 {
		g.counts.TooMany++
	}
	g.untold++
	n := uint64(0)
	if g.told.IsZero() || now.Sub(g.told) >= tellEvery {
		n, g.told, g.untold = g.untold, now, 0
	}
	g.mu.Unlock()
	if n > 0 && g.o.Refused != nil {
		g.o.Refused(source, failure, n)
	}
	return wait
}

// ownHost reports whether the Host of a request is one of the node. A web page can reach a machine through a name
// of its own, but not through an address that is not the page's.
func (g *Gate) ownHost(r *http.Request) bool {
	name := hostName(r)
	if strings.EqualFold(name, "localhost") || slices.ContainsFunc(g.o.Hosts, func(h string) bool { return strings.EqualFold(h, name) }) {
		return true
	}
	ip, err := netip.ParseAddr(name)
	if err != nil {
		return false
	}
	at, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ip.IsLoopback() || ok && at.AddrPort().Addr().Unmap().WithZone("") == ip.Unmap().WithZone("")
}

// foreign reports whether a page of another site has made a browser send the request. Opening the node's page
// from elsewhere is no such request.
func (g *Gate) foreign(r *http.Request) bool {
	if origin, ok := r.Header["Origin"]; ok {
		u, err := url.Parse(origin[0])
		if err != nil || len(origin) > 1 || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return true
		}
	}
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "", "none", "same-origin":
		return false
	default: // a program on another port of the same host is another origin, too
		opened := r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
		return !opened || ofAPI(r.URL.Path)
	}
}

// sourceOf returns where a request comes from.
func sourceOf(r *http.Request) netip.Prefix {
	at, _ := netip.ParseAddrPort(r.RemoteAddr) // the zero one for a test's
	return listenat.Source(at.Addr())
}

// refusePage answers a browser. Its text is the node's own: nothing of the request is in it.
func (g *Gate) refusePage(w http.ResponseWriter, e *inspect.Error) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	status, title := http.StatusForbidden, "This page is not for this request"
	what := "It has come from another site, or with a host name that is not the node's."
	switch e.Code {
	case inspect.CodeUnauthorized:
		status, title = http.StatusUnauthorized, "This page needs a link"
		what = `A link works once, within a minute, and opens the page for twelve hours. If you have just opened one, <a href="/">go on to the page</a>. If not, get a new one ` + html.EscapeString(cmp.Or(g.o.Ask, "on the machine of the node")) + "."
	case inspect.CodeTooMany:
		status, title, what = http.StatusTooManyRequests, "Too many wrong links", "Wait a minute, and open a new link."
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>%s</title><h1>%s</h1><p>%s</p></html>\n", title, title, what)
}

func short(s string) string {
	const most = 100
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return cmp.Or(s, "of this request")
}

// LogRefused returns a function for Options that logs failures.
func LogRefused(l *slog.Logger) func(netip.Prefix, string, uint64) {
	return func(source netip.Prefix, why string, n uint64) {
		l.Warn("requests to the API over TCP are refused", "addr", source.Addr().String(), "why", why, "n", n)
	}
}
