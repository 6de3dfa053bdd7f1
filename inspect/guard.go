package inspect

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Guard refuses a request over TCP whose Host is neither loopback nor among hosts: a web page
// can reach a local port of the browser's machine through a name of its own. It also refuses one whose Origin is
// another host, and everything that a browser says is of another site. [Handler] has it already.
func Guard(hosts []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, checked := entry(r)
		if !checked && !overUnix(r) && !allowedHost(hosts, r.Host) {
			fail(w, &Error{Code: CodeForbidden, Message: "the host name of this request is not allowed", Hint: "use localhost, or add the name to the allowed hosts"})
			return
		}
		if origin := r.Header.Get("Origin"); !checked && !overUnix(r) && origin != "" && !allowedOrigin(hosts, origin) {
			foreign(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// foreign refuses a request that a page of another site has made a browser send.
func foreign(w http.ResponseWriter, _ *http.Request) {
	fail(w, &Error{Code: CodeForbidden, Message: "the request comes from another site", Hint: "send it from a program, or from a page of an allowed host"})
}

// allowedOrigin reports whether an Origin is of an allowed host.
func allowedOrigin(hosts []string, origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && allowedHost(hosts, u.Host)
}

// entered is the key of a request's context for what a server in front of the handlers says of it.
type entered struct{}

// Checked returns r for the handlers of this package, as one whose Host, origin and sender a server in front of
// them has checked: [Guard] lets it pass. With private, nobody reads along, and the sender may see
// everything: the handlers then answer as on the node's Unix socket, with what is in messages and values.
func Checked(r *http.Request, private bool) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), entered{}, private))
}

// entry returns what [Checked] was told about a request.
func entry(r *http.Request) (private, checked bool) {
	private, checked = r.Context().Value(entered{}).(bool)
	return private, checked
}

// WithholdHeader is a header of a request whose answer must not have what is in messages and values, wherever it
// comes from: one that a program hands on for somebody who may not see them.
const WithholdHeader = "Gamelan-Withhold"

// isPrivate reports whether the answer may have what is in messages and values.
func isPrivate(r *http.Request) bool {
	private, _ := entry(r)
	return (private || overUnix(r)) && r.Header.Get(WithholdHeader) == ""
}

// withheld is the key of the context of a section's function that must leave out what is in messages and values.
type withheld struct{}

// Withheld reports whether the function of a section that was called with ctx must leave out what is in messages
// and values: others may read along.
func Withheld(ctx context.Context) bool { return ctx.Value(withheld{}) != nil }

// overUnix reports whether the request came over a Unix socket.
func overUnix(r *http.Request) bool {
	a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && strings.HasPrefix(a.Network(), "unix")
}

func allowedHost(hosts []string, host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	if strings.EqualFold(name, "localhost") || slices.ContainsFunc(hosts, func(h string) bool { return strings.EqualFold(h, name) }) {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}
