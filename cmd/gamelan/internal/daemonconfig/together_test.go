package daemonconfig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/gate"
)

// issued writes a certificate that another key vouches for, and its key, and returns their paths.
func issued(t *testing.T, name string, until time.Time) (cert, key string) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until}
	issuer := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "an authority"}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, issuer, &own.PublicKey, own)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "a.crt"), filepath.Join(dir, "a.key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestWhatDoesNotWorkTogether: settings are refused when they are read, which is what config check does, if a node
// would not start with them on any machine.
func TestWhatDoesNotWorkTogether(t *testing.T) {
	cert, key := issued(t, "node.example.org", time.Now().Add(time.Hour))
	_, other := issued(t, "other.example.org", time.Now().Add(time.Hour))
	dir := t.TempDir()
	if _, err := gate.Own(dir, nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	empty, large := filepath.Join(dir, "empty"), filepath.Join(dir, "large")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(large, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	files := func(c, k string) map[string][]string {
		return map[string][]string{"inspect.listen": {"0.0.0.0:9465"}, "inspect.tls_cert": {c}, "inspect.tls_key": {k}}
	}
	for _, x := range []struct {
		flags map[string][]string
		want  string // of the only problem; "": there is none
	}{
		{map[string][]string{"inspect.listen": {"9465"}}, ""},
		{map[string][]string{"inspect.listen": {"[::1]:9465"}}, ""},
		{map[string][]string{"inspect.listen": {"0.0.0.0:9465"}, "inspect.tls": {"true"}}, ""},
		{files(cert, key), ""},
		{map[string][]string{"inspect.tls_cert": {"/none.crt"}}, ""}, // nothing uses it
		{map[string][]string{"inspect.listen": {"0.0.0.0:9465"}}, "--inspect-listen: inspect.listen does not work with the other settings: other machines reach 0.0.0.0:9465, and without TLS anybody between them and the node reads the token; set inspect.tls = true, or a port alone for this machine; expected a port, or an IP address and a port, for example --inspect-listen 9465"},
		{map[string][]string{"inspect.listen": {"[::]:9465"}}, "other machines reach [::]:9465"},
		{map[string][]string{"inspect.listen": {"9465"}, "inspect.tls_cert": {cert}}, "inspect.tls_key is missing"},
		{map[string][]string{"inspect.listen": {"9465"}, "inspect.tls_key": {key}}, "inspect.tls_cert is missing"},
		{files("/none.crt", key), "--inspect-tls-cert: inspect.tls_cert does not work with the other settings: inspect.listen needs it, and /none.crt cannot be used: no such file or directory; expected a path"},
		{files(cert, "/none.key"), "--inspect-tls-key: inspect.tls_key does not work with the other settings: inspect.listen needs it, and /none.key cannot be used"},
		{files(cert, other), "private key does not match public key"},
		{files(cert, empty), empty + " cannot be used: it has no private key in PEM"},
		{files(empty, key), empty + " cannot be used: it has no certificate in PEM"},
		{files(key, cert), cert + " cannot be used: it has no private key in PEM"},
		{files(dir, key), dir + " cannot be used: it is no regular file"},
		{files(large, key), large + " cannot be used: it has more than 65536 bytes"},
		{map[string][]string{"inspect.listen": {"9465"}, "metrics.listen": {"9465"}}, "--metrics-listen: metrics.listen does not work with the other settings: the node listens at 127.0.0.1:9465 for inspect.listen, too; take another port"},
		{map[string][]string{"inspect.listen": {"9465"}, "metrics.listen": {"0.0.0.0:9465"}}, "metrics.listen"},
		{map[string][]string{"inspect.listen": {"9465"}, "metrics.listen": {"[::]:9465"}}, "metrics.listen"},
		{map[string][]string{"inspect.listen": {"9465"}, "metrics.listen": {"[::1]:9465"}}, ""},
		{map[string][]string{"inspect.listen": {"9465"}, "metrics.listen": {"192.0.2.7:9465"}}, ""},
		{map[string][]string{"inspect.listen": {"0"}, "metrics.listen": {"0"}}, ""},
		{map[string][]string{"inspect.listen": {"18189"}, "node.listen": {"/ip4/0.0.0.0/tcp/18189"}}, "--inspect-listen: inspect.listen does not work with the other settings: the node listens at 0.0.0.0:18189 for node.listen, too"},
		{map[string][]string{"inspect.listen": {"18189"}, "node.listen": {"/ip6/::/tcp/18189"}}, ""}, // it takes no IPv4
		{map[string][]string{"node.listen": {"/ip4/0.0.0.0/tcp/18189", "/ip4/127.0.0.1/tcp/18189"}}, "node.listen does not work with the other settings: 127.0.0.1:18189 is there twice"},
		{map[string][]string{"node.listen": {"/ip4/0.0.0.0/tcp/18189", "/ip6/::/tcp/18189"}}, ""},
		{map[string][]string{"node.listen": {"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0"}}, ""},
		{map[string][]string{"node.listen": {"/ip4/127.0.0.1/udp/18189"}}, "--listen: node.listen does not work with the other settings: listen on /ip4/127.0.0.1/udp/18189: address not supported"},
		{map[string][]string{"node.listen": {"/dns4/node.example.org/tcp/18189"}}, "address not supported"},
		{map[string][]string{"node.listen": {"/ip6/fe80::1/tcp/18189"}}, "a link-local IPv6 address"},
		{map[string][]string{"node.listen": {"nowhere"}}, ""},
		{map[string][]string{"node.listen": {"/ip4/127.0.0.1/tcp/18189"}}, ""},
		{map[string][]string{"node.network": {"nextnet"}, "node.listen": {"/ip4/127.0.0.1/tcp/18189"}}, "node.public_addresses does not work with the other settings: no address listened on can be reached by others"},
		{map[string][]string{"node.network": {"nextnet"}, "node.listen": {"/ip4/127.0.0.1/tcp/18189"}, "node.public_addresses": {"/ip4/203.0.113.7/tcp/1"}}, ""},
		{map[string][]string{"node.network": {"nextnet"}, "node.listen": {"nowhere"}}, ""},
	} {
		l := Load(Sources{Flags: x.flags})
		got := strings.Join(problems(l), "\n")
		if !strings.Contains(got, x.want) || (got == "") != (x.want == "") || len(l.Problems) > 1 || len(l.Notes) > 0 && x.want != "" {
			t.Errorf("%v: got %q, want %q", x.flags, got, x.want)
		}
	}
	if runtime.GOOS != "windows" && os.Getuid() != 0 {
		if err := os.Chmod(key, 0); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(problems(Load(Sources{Flags: files(cert, key)})), "\n"); !strings.Contains(got, "this user may not read it") {
			t.Errorf("got %q", got)
		}
	}
}

// TestUnfitCertificates: a node starts with a certificate that clients refuse, and says so.
func TestUnfitCertificates(t *testing.T) {
	soon := time.Now().Add(time.Hour)
	for _, x := range []struct {
		name  string
		until time.Time
		hosts []string
		want  string
	}{
		{"node.example.org", soon, []string{"node.example.org"}, ""},
		{"node.example.org", soon, []string{"other.example.org"}, "it is not for other.example.org, the first of inspect.hosts"},
		{"node.example.org", soon, nil, "set inspect.hosts to one of its names"},
		{"node.example.org", time.Now().Add(-time.Hour), []string{"node.example.org"}, "it has expired on "},
		{"node.example.org", time.Now().Add(100 * time.Hour), []string{"node.example.org"}, "look at the clock"},
	} {
		cert, key := issued(t, x.name, x.until)
		l := Load(Sources{Flags: map[string][]string{"inspect.listen": {"0.0.0.0:9465"}, "inspect.tls_cert": {cert}, "inspect.tls_key": {key}, "inspect.hosts": x.hosts}})
		got := strings.Join(l.Notes, "\n")
		if len(l.Problems) > 0 || !strings.Contains(got, x.want) || (got == "") != (x.want == "") {
			t.Errorf("%v: got %v, %q, want %q", x, l.Problems, got, x.want)
		}
	}
}
