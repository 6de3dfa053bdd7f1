package gate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/datadir"
)

// CertificateName is the name of the file with the node's own certificate, and its key, in the data directory.
const CertificateName = "inspect.pem"

const (
	// maxCertificate bounds that file, in bytes.
	maxCertificate = 64 << 10
	// ownFor is how long the own certificate lasts. Clients know it by its fingerprint.
	ownFor = 10 * 365 * 24 * time.Hour
)

// CertificateError reports a certificate that cannot be used.
type CertificateError struct {
	Path string // of the certificate, or of its key
	Err  error
}

// Error says which one.
func (e *CertificateError) Error() string {
	return fmt.Sprintf("gate: the certificate %s cannot be used: %v", e.Path, e.Err)
}

// Unwrap returns the cause.
func (e *CertificateError) Unwrap() error { return e.Err }

// Files returns the certificate in a file, with the key in another one, both in PEM. The error is a [*CertificateError].
func Files(certificate, key string) (tls.Certificate, error) {
	var files [2][]byte
	for i, path := range []string{certificate, key} {
		var err error
		if files[i], err = readPEM(path); err != nil {
			return tls.Certificate{}, &CertificateError{path, err}
		}
	}
	c, err := tls.X509KeyPair(files[0], files[1])
	if err != nil {
		path := certificate
		if !hasBlock(files[1], "PRIVATE KEY") {
			path, err = key, errors.New("it has no private key in PEM")
		} else if !hasBlock(files[0], "CERTIFICATE") {
			err = errors.New("it has no certificate in PEM")
		}
		return c, &CertificateError{path, err}
	}
	return c, nil
}

// readPEM reads a small file. One that is no regular file may have no end.
func readPEM(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	var b []byte
	if err == nil && info.Size() > maxCertificate {
		return nil, fmt.Errorf("it has more than %d bytes", maxCertificate)
	}
	if err == nil {
		b, err = os.ReadFile(path)
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return b, err
}

// hasBlock reports whether a file in PEM has a block whose type ends in that.
func hasBlock(b []byte, kind string) bool {
	for {
		block, rest := pem.Decode(b)
		if block == nil {
			return false
		}
		if strings.HasSuffix(block.Type, kind) {
			return true
		}
		b = rest
	}
}

// Own returns the certificate in the data directory dir. The first time, it makes one, for the names and
// addresses in hosts. The error is a [*CertificateError].
func Own(dir string, hosts []string, now time.Time) (c tls.Certificate, err error) {
	d, err := datadir.Look(dir)
	if err != nil {
		return c, &CertificateError{dir, err}
	}
	defer d.Close()
	b, info, err := d.ReadFile(CertificateName, maxCertificate, true)
	if err == nil {
		if unsafe := d.CheckKey(CertificateName, info); unsafe != nil {
			err = unsafe
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		if b, err = makeCertificate(hosts, now); err == nil {
			err = d.WriteFile(CertificateName, b)
		}
	}
	if err == nil {
		c, err = tls.X509KeyPair(b, b)
	}
	if err != nil {
		return c, &CertificateError{CertificateName, err}
	}
	return c, nil
}

// makeCertificate returns a new certificate and its key, in PEM.
func makeCertificate(hosts []string, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	t := x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "gamelan"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(ownFor), // clocks differ
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	for _, h := range hosts {
		if ip, err := netip.ParseAddr(h); err == nil {
			t.IPAddresses = append(t.IPAddresses, ip.AsSlice())
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, &t, &t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, b := range []pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := pem.Encode(&out, &b); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// Fingerprint returns how a certificate is told from others: "sha256:" and the hexadecimal digest of it, which
// browsers show, too.
func Fingerprint(c tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return "sha256:" + hex.EncodeToString(sum[:])
}

// IsSelfSigned reports whether clients can know a certificate by its fingerprint alone: nobody else vouches for it.
func IsSelfSigned(c tls.Certificate) bool {
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	return err == nil && bytes.Equal(leaf.RawIssuer, leaf.RawSubject)
}
