package config

import (
	"errors"
	"strings"
	"testing"
)

// TestTransportSettings has settings of transports that do not work.
func TestTransportSettings(t *testing.T) {
	for name, c := range map[string]struct {
		cfg   Config
		field string
	}{
		"no such transport":               {Config{Transport: "udp"}, "Transport"},
		"a listener for everybody":        {Config{Transport: TransportTor, Listen: []string{"/ip4/0.0.0.0/tcp/0"}}, "Listen"},
		"an onion without a listener":     {Config{Transport: TransportTor, Listen: []string{ListenNowhere}}, "Listen"},
		"a control port by name":          {Config{Transport: TransportTor, Tor: TorConfig{ControlAddress: "/dns4/tor.example/tcp/9051"}}, "Tor.ControlAddress"},
		"an authentication in no form":    {Config{Transport: TransportTor, Tor: TorConfig{ControlAuth: "hunter2"}}, "Tor.ControlAuth"},
		"a port that is none":             {Config{Transport: TransportTor, Tor: TorConfig{OnionPort: 65536}}, "Tor.OnionPort"},
		"delivery to another machine":     {Config{Transport: TransportTor, Tor: TorConfig{ForwardAddress: "/ip4/192.0.2.1/tcp/1"}}, "Tor.ForwardAddress"},
		"no proxy":                        {Config{Transport: TransportSOCKS}, "SOCKS.Address"},
		"a proxy by name":                 {Config{Transport: TransportSOCKS, SOCKS: SOCKSConfig{Address: "/dns4/proxy.example/tcp/1"}}, "SOCKS.Address"},
		"a proxy that is not used":        {Config{SOCKS: SOCKSConfig{Address: defaultSOCKS}}, "SOCKS.Address"},
		"credentials in no form":          {Config{Transport: TransportTor, SOCKS: SOCKSConfig{Auth: "hunter2"}}, "SOCKS.Auth"},
		"credentials without a name":      {Config{Transport: TransportTor, SOCKS: SOCKSConfig{Auth: "username_password=:hunter2"}}, "SOCKS.Auth"},
		"no such isolation":               {Config{Transport: TransportTor, SOCKS: SOCKSConfig{Isolation: "all"}}, "SOCKS.Isolation"},
		"a proxy and no address":          {Config{Network: "nextnet", Transport: TransportSOCKS, SOCKS: SOCKSConfig{Address: defaultSOCKS}}, "PublicAddresses"},
		"an exception that is no address": {Config{Transport: TransportTor, SOCKS: SOCKSConfig{BypassAddresses: []string{"hunter"}}}, "SOCKS.BypassAddresses"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.cfg.Validate()
			bad, ok := errors.AsType[*ConfigError](err)
			if !ok || bad.Field != c.field || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want an error of %s", err, c.field)
			}
		})
	}
	for _, good := range []Config{
		{Transport: TransportTor, Network: "nextnet"},
		{Transport: TransportTCPWithTor},
		{Transport: TransportSOCKS, SOCKS: SOCKSConfig{Address: defaultSOCKS, Auth: "username_password=me:a:b"}},
		{Transport: TransportTor, Tor: TorConfig{ControlAddress: "/unix/run/tor/control", ControlAuth: "cookie=@", ForwardAddress: "/ip4/127.0.0.1/tcp/0"}},
	} {
		if err := good.Validate(); err != nil {
			t.Errorf("%s: got %v", good.Transport, err)
		}
	}
}
