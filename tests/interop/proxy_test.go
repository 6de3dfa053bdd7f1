package interop

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/tests/internal/cutproxy"
)

// proxy stands between a node and those who dial it.
type proxy struct{ *cutproxy.Proxy }

func newProxy(t *testing.T) *proxy { return &proxy{cutproxy.New(t)} }

func (p *proxy) multiaddr() string { return p.Multiaddr() }
func (p *proxy) to(target string)  { p.To(target) }
func (p *proxy) cut() int          { return p.Cut() }
