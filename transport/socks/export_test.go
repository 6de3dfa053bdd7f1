package socks

import (
	"context"
	"net"
)

// ConnectBy makes t reach its proxy by connect.
func (t *Transport) ConnectBy(connect func(ctx context.Context, network, addr string) (net.Conn, error)) {
	t.proxy.Load().connect = connect
}
