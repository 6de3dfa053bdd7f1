package client

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// Remote is a node whose API is asked over TCP, from any machine.
type Remote struct {
	// URL is where the node serves it: https://HOST:PORT, or, on the same machine, http://127.0.0.1:PORT.
	URL string
	// Token is that of a reader, or of the admin. It goes with every request.
	Token inspect.Token
	// Fingerprint is "sha256:" and the hexadecimal digest of the node's certificate. The certificate must be
	// that one, and nobody else needs to vouch for it. Without it the system's authorities must.
	Fingerprint string
}

// Errors of [Remote].
var (
	// ErrURL reports a URL at which no node can be asked.
	ErrURL = errors.New("client: the URL of a node is https://HOST:PORT, or http://127.0.0.1:PORT on the same machine")
	// ErrPlainURL reports a URL with which anybody on the way could read the token.
	ErrPlainURL = errors.New("client: the URL of a node on another machine begins with https")
	// ErrScheme reports a URL that begins with http of a node that answers over TLS, or with https of one that
	// does not.
	ErrScheme = errors.New("client: the URL begins with https for a node that has TLS, and with http for one that has not")
	// ErrFingerprint reports a text that is no fingerprint.
	ErrFingerprint = errors.New("client: a fingerprint is sha256: and 64 hexadecimal digits")
)

// CertificateError reports a node whose certificate has another fingerprint than Remote's: it has changed, or
// somebody between has answered.
type CertificateError struct {
	Want, Got string
}

// Error has both.
func (e *CertificateError) Error() string {
	return fmt.Sprintf("client: the certificate is %s, and not %s", e.Got, e.Want)
}

// remoteDial bounds the dial and the TLS handshake.
const remoteDial = 10 * time.Second

// NewRemote returns a client of a node that is asked over TCP. It makes no request. The error is [ErrURL],
// [ErrPlainURL], [ErrFingerprint] or [inspect.ErrBadToken].
func NewRemote(r Remote, o Options) (*Client, error) {
	u, err := r.base()
	if err != nil {
		return nil, err
	}
	t, err := r.transport()
	if err != nil {
		return nil, err
	}
	if r.Token.IsZero() {
		return nil, inspect.ErrBadToken
	}
	return &Client{
		url: u.String(), base: u.String(), host: hostPort(u), given: r.Token,
		o: o, waited: new(sync.Once), silent: new(atomic.Pointer[standing]), http: &http.Client{
			Transport:     t,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token is for this node
		},
	}, nil
}

// base returns the URL without a path.
func (r *Remote) base() (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(strings.TrimSpace(r.URL), "/"))
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, ErrURL
	}
	if ip, err := netip.ParseAddr(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (err != nil || !ip.Unmap().IsLoopback()) {
		return nil, ErrPlainURL
	}
	return u, nil
}

func (r *Remote) transport() (*http.Transport, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.Fingerprint != "" {
		digits, ok := strings.CutPrefix(strings.ToLower(strings.ReplaceAll(r.Fingerprint, ":", "")), "sha256")
		want, err := hex.DecodeString(digits)
		if !ok || err != nil || len(want) != sha256.Size {
			return nil, ErrFingerprint
		}
		c.InsecureSkipVerify = true // the certificate itself is compared
		c.VerifyConnection = func(s tls.ConnectionState) error {
			got := sha256.Sum256(s.PeerCertificates[0].Raw)
			if subtle.ConstantTimeCompare(got[:], want) == 1 {
				return nil
			}
			return &CertificateError{"sha256:" + digits, "sha256:" + hex.EncodeToString(got[:])}
		}
	}
	return &http.Transport{
		DialContext: (&net.Dialer{Timeout: remoteDial}).DialContext, TLSClientConfig: c, TLSHandshakeTimeout: remoteDial,
		DisableCompression: true, IdleConnTimeout: idle, MaxIdleConnsPerHost: idleMost,
	}, nil
}

// hostPort returns where a URL leads to.
func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
}

// Transport returns the connections of the client, and the URL of the node on them, for a program that hands
// requests on. Over a socket the host of the URL stands for nothing.
func (c *Client) Transport() (http.RoundTripper, string) { return c.http.Transport, c.base }

// Token returns the token that lets c change the node. Over the socket it is the one that the running node has
// written.
func (c *Client) Token(ctx context.Context) (inspect.Token, error) { return c.token(ctx) }

// Failed returns the [*Error] for a request on the connections of [Client.Transport] that failed with err.
func (c *Client) Failed(err error) error { return c.gone(context.Background(), err) }
