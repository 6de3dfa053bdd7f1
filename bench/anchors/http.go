package anchors

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/gamelan-p2p/gamelan/bench/harness"
)

// HTTPOverTLS is net/http-tls-N: a request of n bytes and its echo, one at a time, on an open connection
// of HTTP/1.1 over TLS on loopback.
func HTTPOverTLS(n int) harness.Case {
	return harness.Case{Name: "net/http-tls-" + size(n), Run: func(m *harness.Meter) error {
		srv := httptest.NewTLSServer(http.HandlerFunc(EchoHTTP))
		defer srv.Close()
		return LoopHTTP(m, srv.Client(), srv.URL, n)
	}}
}

// EchoHTTP answers with the body of the request.
func EchoHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is told by the end of the connection
	}
	w.Write(b)
}

// LoopHTTP asks for echoes of n bytes, one at a time.
func LoopHTTP(m *harness.Meter, client *http.Client, url string, n int) error {
	want := body(n)
	return m.Loop(10, func() error {
		r, err := client.Post(url, "application/octet-stream", bytes.NewReader(want))
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, want) {
			return fmt.Errorf("got %d bytes of %d: %w", len(got), n, err)
		}
		return nil
	})
}
