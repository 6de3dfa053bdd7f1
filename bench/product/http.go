package product

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/anchors"
	"github.com/gamelan-p2p/gamelan/bench/harness"
)

// HTTP is gamelan/http-N: a request of n bytes of net/http and its echo, one at a time, on an open
// stream.
func HTTP(n int) harness.Case {
	return harness.Case{Name: "gamelan/http-" + size(n), Run: func(m *harness.Meter) (err error) {
		ns := &nodes{ctx: m.Context()}
		defer func() { err = errors.Join(err, ns.close()) }()
		from, to, err := pair(ns, gamelan.Config{})
		if err != nil {
			return err
		}
		l, err := gamelan.Listener(ns.ctx, to, benchProtocol)
		if err != nil {
			return err
		}
		srv := &http.Server{Handler: http.HandlerFunc(anchors.EchoHTTP)}
		go srv.Serve(l)
		defer srv.Close()
		client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return from.DialContext(ctx, string(benchProtocol), address)
		}}}
		defer client.CloseIdleConnections()
		return anchors.LoopHTTP(m, client, "http://"+to.PublicKey().String(), n)
	}}
}
