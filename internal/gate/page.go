package gate

import (
	"io"
	"net/http"
)

// Page returns what browsers see at / and its files.
func Page() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "The API of this node is at /v1.\n")
	})
}
