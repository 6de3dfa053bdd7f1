package gate

import (
	"encoding/json"
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// Through returns a handler that hands requests to a node at base, on connections of t. A request carries the
// token that it came with. failed returns what to tell a browser about a node that does not answer.
func Through(base *url.URL, t http.RoundTripper, failed func(error) *inspect.Error) http.Handler {
	return &httputil.ReverseProxy{
		Transport: t, FlushInterval: -1, // streams
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(base)
			p.Out.Host = base.Host
			for name := range p.Out.Header { // what a browser says of a page of this machine
				switch name {
				case "Accept", "Authorization", "Content-Type", "Last-Event-Id", inspect.WithholdHeader:
				default:
					p.Out.Header.Del(name)
				}
			}
			p.Out.Header["User-Agent"] = nil
		},
		ModifyResponse: func(r *http.Response) error {
			for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Resource-Policy", "Cross-Origin-Opener-Policy", "Cache-Control", "Set-Cookie"} {
				r.Header.Del(name) // the gate has set them, or nobody may
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.WriteHeader(http.StatusBadGateway)
			_ = json.NewEncoder(w).Encode(map[string]*inspect.Error{"error": failed(err)}) // a browser that has gone
		},
	}
}
