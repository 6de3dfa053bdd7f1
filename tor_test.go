package gamelan

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// TestTorIdentityFile starts a node with a key of an onion service that is not in order. No
// control connection is made.
func TestTorIdentityFile(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want error
	}{
		"readable by others": {"{}", 0o644, ErrTorIdentityOpen},
		"damaged":            {"{}", 0o600, tor.ErrIdentity},
		"version 2":          {`{"private_key":{"Rsa1024":"secret"},"service_id":"x","onion_port":1}`, 0o600, tor.ErrIdentityV2},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, TorIdentityFile)
			if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
				t.Fatal(err)
			}
			n, err := Start(t.Context(), Config{DataDir: dir, Transport: TransportTor}, WithTorControl(func(context.Context) (io.ReadWriteCloser, error) {
				t.Error("Tor was asked")
				return nil, errors.New("no Tor in this test")
			}))
			if err == nil {
				n.Close(t.Context())
			}
			if !errors.Is(err, c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != c.text {
				t.Errorf("got the file %q, %v, want it as it was", b, err)
			}
		})
	}
}

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
