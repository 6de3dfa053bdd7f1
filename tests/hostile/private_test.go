package hostile

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/protocol"
)

type netLog struct {
	mu    sync.Mutex
	lines []string
}

func (l *netLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(b))
	return len(b), nil
}

func (l *netLog) with(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func newSecret(b byte) *protocol.NetworkSecret {
	raw := bytes.Repeat([]byte{b}, protocol.SecretSize)
	raw[0]++
	s, err := protocol.NewNetworkSecret(bytes.NewReader(raw))
	if err != nil {
		panic(err)
	}
	return s
}

// first returns message 1 of a dialer with a secret, after the first byte of private networks.
func first(t *testing.T, secret *protocol.NetworkSecret) []byte {
	t.Helper()
	w := new(recorded)
	if _, err := noise.Client(w, noise.Config{Pattern: protocol.XXpsk0, Secrets: []*protocol.NetworkSecret{secret}, Static: secretOf(7), Prefix: []byte{byte(protocol.PrivateNet)}}); err == nil {
		t.Fatal("a handshake with nobody")
	}
	return w.Bytes()
}

// TestFloodWithoutTheSecret: one source tries wrong secrets as fast as it can. Nothing is answered to it; it has
// the places and the rate of one source; the log has few lines; and a member that connects meanwhile from
// elsewhere waits for nothing.
//
// conforms: V 43
func TestFloodWithoutTheSecret(t *testing.T) {
	secret := newSecret(1)
	log := new(netLog)
	private := &gamelan.PrivateConfig{Name: "acme", Secret: secret}
	placing(t, gamelan.Config{Private: private, MaxSetupRatePerSource: 120}, func(t *testing.T, n *target, tr *placed) {
		wrong := first(t, newSecret(2))
		answered, tried := 0, 0
		for second := range 60 {
			for range 50 {
				tr.place("/ip4/6.6.6.6")
				c := rawDial(t, n.net.Transport(), n.Addr)
				c.Write(wrong)
				c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
				b, _ := io.ReadAll(c)
				answered += len(b)
				c.Close()
				tried++
			}
			synctest.Wait()
			if second%20 == 10 {
				tr.place("/ip4/8.8.8.8")
				member := n.net.Start(gamelan.Config{Private: private, Floor: gamelan.NoFloor}, quiet)
				n.net.Introduce(member, n.Node)
				began := time.Now()
				if _, err := member.Dial(t.Context(), n.ID()); err != nil || time.Since(began) > time.Second {
					t.Errorf("a member: got %v after %v, want a connection at once", err, time.Since(began))
				}
				member.Close(t.Context())
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if answered != 0 {
			t.Errorf("got %d bytes answered, want none", answered)
		}
		s := n.Inspection().Admission(t.Context()).Private
		places := n.Inspection().Node(t.Context()).Places
		if len(s.WithoutSecret) != 1 || s.WithoutSecret[0].Source != "6.6.6.6/32" || s.WithoutSecretTotal > 250 || places.TooFast < uint64(tried)-250 {
			t.Errorf("got %+v and %d of %d too fast, want one source that is limited to 120 a minute", s, places.TooFast, tried)
		}
		if got := log.with("it has not the secret of the network"); got < 2 || got > 4 {
			t.Errorf("got %d lines, want few", got)
		}
		if n.Peers().Len() > 4 || // 3 members, and that of watch
			len(happened[actors.PeerBanned](n)) > 1 {
			t.Errorf("got %d peers and the bans %v, want nothing of the flood stored", n.Peers().Len(), happened[actors.PeerBanned](n))
		}
	}, gamelan.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))))
}

// TestProbesOfAPrivateNetwork: whatever a stranger sends, it learns nothing but that a port is open.
//
// conforms: V 43
func TestProbesOfAPrivateNetwork(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := start(t, gamelan.Config{Private: &gamelan.PrivateConfig{Name: "acme", Secret: newSecret(1)}})
		good := first(t, newSecret(1))
		damaged := bytes.Clone(good)
		damaged[20]++
		for name, b := range map[string][]byte{
			"HTTP": []byte("GET / HTTP/1.1\r\n\r\n"), "TLS": {0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0}, "localnet": append([]byte{0x10, 0, 32}, make([]byte, 32)...),
			"a liveness check": []byte("\xa7" + strings.Repeat("ab", 32) + "\n"), "an old one": []byte("\xa6hello\n"), "another secret": first(t, newSecret(2)),
			"a damaged message": damaged, "the first byte": good[:1], "half a message": good[:30], "plain XX": append([]byte{0xb7, 0, 32}, make([]byte, 32)...),
		} {
			c := rawDial(t, n.net.Transport(), n.Addr)
			c.Write(b)
			c.SetReadDeadline(time.Now().Add(time.Minute))
			got, err := io.ReadAll(c)
			if len(got) > 0 || os.IsTimeout(err) {
				t.Errorf("%s: got %x, %v, want the connection closed without a word", name, got, err)
			}
			c.Close()
		}
		if n.Peers().Len() != 1 { // that of watch
			t.Errorf("got %d peers", n.Peers().Len())
		}
	})
}

// recorded keeps what is written, and has nothing to read.
type recorded struct {
	bytes.Buffer
	nobody
}

func (r *recorded) Read([]byte) (int, error)    { return 0, io.EOF }
func (r *recorded) Write(b []byte) (int, error) { return r.Buffer.Write(b) }

// nobody is the rest of a connection to nobody.
type nobody struct{ net.Conn }

func (nobody) SetDeadline(time.Time) error      { return nil }
func (nobody) SetReadDeadline(time.Time) error  { return nil }
func (nobody) SetWriteDeadline(time.Time) error { return nil }
