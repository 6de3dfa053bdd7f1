package anchors

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gamelan-p2p/gamelan/bench/harness"
)

const natsSubject = "bench"

// natsServer starts a NATS server in this process, on loopback and with TLS, and returns a
// function that connects a client to it. Its store is a directory of its own; with syncs it syncs each write.
func natsServer(store, syncs bool) (connect func(...nats.Option) (*nats.Conn, error), stop func(), err error) {
	certificate, roots, err := selfSigned()
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "bench-nats-")
	if err != nil {
		return nil, nil, err
	}
	stop = func() { _ = os.RemoveAll(dir) }
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}, TLSTimeout: 10,
		JetStream: store, StoreDir: dir, SyncAlways: syncs,
	})
	if err != nil {
		stop()
		return nil, nil, err
	}
	s.Start()
	var clients []*nats.Conn
	stop = func() {
		for _, c := range clients {
			c.Close()
		}
		s.Shutdown()
		s.WaitForShutdown()
		_ = os.RemoveAll(dir)
	}
	if !s.ReadyForConnections(10 * time.Second) {
		stop()
		return nil, nil, errors.New("the NATS server is not ready within 10 s")
	}
	connect = func(options ...nats.Option) (*nats.Conn, error) {
		c, err := nats.Connect(s.ClientURL(), append(options, nats.Secure(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}))...)
		if err == nil {
			clients = append(clients, c)
		}
		return c, err
	}
	return connect, stop, nil
}

// selfSigned is a certificate of 127.0.0.1 and the pool that holds it.
func selfSigned() (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots, nil
}

// NATSOneWay is nats/oneway-N: a client publishes messages of n bytes, another one has
// subscribed to them; the server is in between, and nothing is acknowledged. The publisher
// is never more than 8 MiB ahead of the subscriber, which the server would cut off.
func NATSOneWay(n int) harness.Case {
	return harness.Case{Name: "nats/oneway-" + size(n), Run: func(m *harness.Meter) error {
		var received atomic.Uint64
		var wg sync.WaitGroup
		defer wg.Wait()
		connect, stop, err := natsServer(false, false)
		if err != nil {
			return err
		}
		defer stop()
		subscriber, err := connect()
		if err != nil {
			return err
		}
		if _, err := subscriber.Subscribe(natsSubject, func(*nats.Msg) { received.Add(1) }); err != nil {
			return err
		}
		publisher, err := connect()
		if err := errors.Join(err, subscriber.Flush()); err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(m.Context())
		defer cancel()
		wg.Go(func() { publish(ctx, publisher, body(n), &received) })
		m.SetBytes(n)
		return m.Flow(received.Load)
	}}
}

// publish publishes until ctx ends.
func publish(ctx context.Context, c *nats.Conn, msg []byte, received *atomic.Uint64) {
	ahead := uint64(8<<20) / uint64(len(msg)+100)
	for sent := uint64(0); ctx.Err() == nil; {
		if sent >= received.Load()+min(ahead, 32<<10) {
			if c.FlushWithContext(ctx) != nil {
				return
			}
			time.Sleep(50 * time.Microsecond)
			continue
		}
		if c.Publish(natsSubject, msg) != nil {
			return
		}
		sent++
	}
}

// NATSRequest is nats/request-N: a request of n bytes and its reply, which another client
// sends through the same server.
func NATSRequest(n int) harness.Case {
	return harness.Case{Name: "nats/request-" + size(n), Run: func(m *harness.Meter) error {
		connect, stop, err := natsServer(false, false)
		if err != nil {
			return err
		}
		defer stop()
		replier, err := connect()
		if err != nil {
			return err
		}
		if _, err := replier.Subscribe(natsSubject, func(msg *nats.Msg) { _ = msg.Respond(msg.Data) }); err != nil {
			return err
		}
		requester, err := connect()
		if err := errors.Join(err, replier.Flush()); err != nil {
			return err
		}
		msg := body(n)
		return m.Loop(50, func() error {
			_, err := requester.RequestWithContext(m.Context(), natsSubject, msg)
			return err
		})
	}}
}

// JetStream is nats/jetstream-N: a client publishes messages of n bytes into a stream that
// the server keeps in a file, with up to 4,000 acknowledgements outstanding, or 256 with syncs; an operation is
// one that came. With syncs, nats/jetstream-sync-N, the server syncs each write; its default is to sync
// every two minutes.
func JetStream(n int, syncs bool) harness.Case {
	name, ahead := "nats/jetstream-", 4000
	if syncs {
		name, ahead = "nats/jetstream-sync-", 256
	}
	return harness.Case{Name: name + size(n), Run: func(m *harness.Meter) error {
		connect, stop, err := natsServer(true, syncs)
		if err != nil {
			return err
		}
		defer stop()
		c, err := connect()
		if err != nil {
			return err
		}
		js, err := jetstream.New(c, jetstream.WithPublishAsyncMaxPending(ahead))
		if err != nil {
			return err
		}
		if _, err := js.CreateStream(m.Context(), jetstream.StreamConfig{
			Name: natsSubject, Subjects: []string{natsSubject}, Storage: jetstream.FileStorage,
			MaxBytes: 256 << 20, Discard: jetstream.DiscardOld,
		}); err != nil {
			return err
		}
		var acknowledged atomic.Uint64
		ctx, cancel := context.WithCancel(m.Context())
		var wg sync.WaitGroup
		futures := make(chan jetstream.PubAckFuture, 8000)
		wg.Go(func() {
			defer close(futures)
			for msg := body(n); ctx.Err() == nil; {
				f, err := js.PublishAsync(natsSubject, msg, jetstream.WithStallWait(10*time.Second))
				if err != nil {
					return
				}
				futures <- f
			}
		})
		wg.Go(func() {
			for f := range futures {
				select {
				case <-f.Ok():
					acknowledged.Add(1)
				case <-f.Err():
				case <-m.Context().Done():
				}
			}
		})
		m.SetBytes(n)
		err = m.Flow(acknowledged.Load)
		cancel()
		wg.Wait()
		return err
	}}
}
