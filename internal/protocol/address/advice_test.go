package address_test

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
)

func TestAdvice(t *testing.T) {
	const ports = "choose a port from 0 to 65535"
	for text, want := range map[string]string{
		"127.0.0.1:7201":                            "write it as /ip4/127.0.0.1/tcp/7201",
		"[::1]:7201":                                "write it as /ip6/::1/tcp/7201",
		"node.example.org:18189":                    "write it as /dns4/node.example.org/tcp/18189",
		"127.0.0.1:70000":                           ports,
		"/ip4/127.0.0.1/tcp/70000":                  ports,
		"/ip4/127.0.0.1/tcp/70000/tls":              ports,
		"/ip4/127.0.0.1/tcp/9999999999999999999999": "",
		"/ip4/300.0.0.1/tcp/7201":                   "",
		"[fe80::1%eth0]:7201":                       "",
		"a b:7201":                                  "",
		"127.0.0.1:http":                            "",
		"nonsense":                                  "",
		"":                                          "",
	} {
		if got := address.Advice(text); got != want {
			t.Errorf("Advice(%q): got %q, want %q", text, got, want)
		}
		if want == "" || want == ports {
			continue
		}
		if _, err := address.Parse(want[len("write it as "):]); err != nil {
			t.Errorf("what is advised for %q cannot be read: %v", text, err)
		}
	}
}
