package mux

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	mrand "math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// narrowConn takes only some bytes of each TryWrite.
type narrowConn struct {
	net.Conn
	mu     sync.Mutex
	random *mrand.Rand
	tries  int
	left   int
}

func (c *narrowConn) CanTry() bool { return true }

func (c *narrowConn) TryWrite(b []byte) (int, error) {
	c.mu.Lock()
	n := len(b)
	switch c.random.IntN(3) {
	case 0:
		n = 0
	case 1:
		n = c.random.IntN(n + 1)
	}
	c.tries++
	if n < len(b) {
		c.left++
	}
	c.mu.Unlock()
	if n == 0 {
		return 0, nil
	}
	return c.Conn.Write(b[:n])
}

func narrowPair(t testing.TB) (client, server net.Conn, cn, sn *narrowConn) {
	x, y := tcpPair(t)
	cn = &narrowConn{Conn: x, random: mrand.New(mrand.NewPCG(1, 1))}
	sn = &narrowConn{Conn: y, random: mrand.New(mrand.NewPCG(2, 2))}
	key := func() *identity.Secret {
		s, err := identity.NewSecret(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	done := make(chan net.Conn)
	kx, ky := key(), key()
	go func() {
		c, err := noise.Client(cn, noise.Config{Pattern: protocol.XX, Static: kx})
		if err != nil {
			t.Error(err)
		}
		done <- c
	}()
	s, err := noise.Server(sn, noise.Config{Pattern: protocol.XX, Static: ky})
	if err != nil {
		t.Fatal(err)
	}
	return <-done, s, cn, sn
}

func TestPartialTryWrite(t *testing.T) {
	x, y, cn, sn := narrowPair(t)
	client, server := wrap(t, x, true, Config{}), wrap(t, y, false, Config{})
	for _, s := range []*Session{server, client} {
		go func() {
			for {
				st, err := s.Accept()
				if err != nil {
					return
				}
				go func() {
					io.Copy(st, st)
					st.CloseWrite()
				}()
			}
		}()
	}
	stop := time.Now().Add(2 * time.Second)
	var wg sync.WaitGroup
	for _, s := range []*Session{client, server} {
		wg.Go(func() {
			for time.Now().Before(stop) {
				if _, err := s.Ping(); err != nil {
					t.Error(err)
					return
				}
			}
		})
		for w := range 6 {
			wg.Go(func() {
				r := mrand.New(mrand.NewPCG(uint64(w), 9))
				for time.Now().Before(stop) {
					err := func() error {
						st, err := s.OpenContext(t.Context())
						if err != nil {
							return err
						}
						defer st.Close()
						want := make([]byte, 1+r.IntN(60_000))
						rand.Read(want)
						cut := r.IntN(4) == 0
						go func() {
							for rest := want; len(rest) > 0; {
								n := min(len(rest), 1+mrand.IntN(3000))
								if _, err := st.Write(rest[:n]); err != nil {
									return
								}
								rest = rest[n:]
							}
							st.CloseWrite()
						}()
						if cut {
							time.Sleep(time.Duration(r.IntN(300)) * time.Microsecond)
							return st.Reset()
						}
						got, err := io.ReadAll(st)
						if err != nil {
							return err
						}
						if !bytes.Equal(got, want) {
							return errors.New("other bytes")
						}
						return nil
					}()
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	t.Log(cn.tries, cn.left, sn.tries, sn.left)
}
