package inspect

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// Guard refuses a request over TCP whose Host is neither loopback nor among hosts: a web page
// can reach a local port of the browser's machine through a name of its own. [Handler] has it already.
func Guard(hosts []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !overUnix(r) && !allowedHost(hosts, r.Host) {
			fail(w, &Error{Code: CodeForbidden, Message: "the host name of this request is not allowed", Hint: "use localhost, or add the name to the allowed hosts"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

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
