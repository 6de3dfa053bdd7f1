package interop

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/identify"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// An offender dials a node and does one thing wrong.
type offender struct {
	t      *testing.T
	secret *identity.Secret
	conn   *noise.Conn
}

// shake does everything up to the Noise handshake.
func shake(t *testing.T, tcp string, secret *identity.Secret) *offender {
	t.Helper()
	c, err := net.Dial("tcp", tcp)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	profile := protocol.Tari(protocol.LocalNet)
	secure, err := noise.Client(c, noise.Config{Static: secret, Prefix: []byte{profile.WireByte}})
	if err != nil {
		t.Fatalf("handshake: %v", err)
	}
	return &offender{t, secret, secure}
}

// message is a correct identity message.
func (o *offender) message(signed time.Time) identify.Message {
	o.t.Helper()
	address := ma.StringCast("/ip4/127.0.0.1/tcp/18189").Bytes()
	claim, err := identity.SignClaim(o.secret, identity.FeatureNode, [][]byte{address}, signed, rand.Reader)
	if err != nil {
		o.t.Fatal(err)
	}
	return identify.Message{Claim: claim, Protocols: []protocol.ID{"t/msg/0.1"}, UserAgent: "offender"}
}

// exchange sends an identity frame and reads theirs.
func (o *offender) exchange(frame []byte) {
	o.t.Helper()
	if _, err := o.conn.Write(frame); err != nil {
		o.t.Fatal(err)
	}
	if _, err := identify.Read(o.conn, protocol.Tari(protocol.LocalNet)); err != nil {
		o.t.Fatalf("their identity: %v", err)
	}
}

// frame is the identity frame of m in that version.
func (o *offender) frame(version uint8, m identify.Message) []byte {
	o.t.Helper()
	b, err := identify.Append(nil, version, m)
	if err != nil {
		o.t.Fatal(err)
	}
	return b
}

// substream opens one after a correct identity exchange.
func (o *offender) substream() *mux.Stream {
	o.t.Helper()
	o.exchange(o.frame(0, o.message(time.Now())))
	session, err := mux.New(o.conn, true, mux.Config{})
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { session.Close() })
	session.Release()
	s, err := session.Open()
	if err != nil {
		o.t.Fatal(err)
	}
	return s
}

// offences are what either side bans for, with the seconds it does: ours and
// those of both releases.
var offences = []struct {
	name   string
	commit func(o *offender)
	ours   time.Duration
	theirs map[string]time.Duration
}{
	{
		"nothing", func(o *offender) { o.substream() }, 0,
		map[string]time.Duration{"6.2.0": 0, "1.0.0-rc.5": 0},
	},
	{
		"a version of the identity frame from the future",
		func(o *offender) { o.exchange(o.frame(1, o.message(time.Now()))) },
		2 * time.Minute,
		map[string]time.Duration{"6.2.0": 2 * time.Minute, "1.0.0-rc.5": 2 * time.Minute},
	},
	{
		"an identity message that is too long",
		func(o *offender) {
			o.exchange(append([]byte{0, 0x01, 0x04}, make([]byte, 1025)...))
		},
		2 * time.Hour,
		map[string]time.Duration{"6.2.0": 2 * time.Hour, "1.0.0-rc.5": 2 * time.Hour},
	},
	{
		"an identity message that is no protobuf",
		func(o *offender) { o.exchange([]byte{0, 3, 0, 0xff, 0xff, 0xff}) },
		2 * time.Hour,
		map[string]time.Duration{"6.2.0": 2 * time.Hour, "1.0.0-rc.5": 2 * time.Hour},
	},
	{
		"a claim signed by another key",
		func(o *offender) {
			m := o.message(time.Now())
			m.Claim.Signature.S[0] ^= 1
			o.exchange(o.frame(0, m))
		},
		2 * time.Hour,
		map[string]time.Duration{"6.2.0": 2 * time.Hour, "1.0.0-rc.5": 2 * time.Hour},
	},
	{
		"a claim signed the day after tomorrow",
		func(o *offender) { o.exchange(o.frame(0, o.message(time.Now().Add(25*time.Hour)))) },
		2 * time.Hour,
		map[string]time.Duration{"6.2.0": 2 * time.Hour, "1.0.0-rc.5": 2 * time.Hour},
	},
	{
		"an unknown flag in a negotiation",
		func(o *offender) { _, _ = o.substream().Write([]byte("\x09\x08t/msg/0.1")) },
		2 * time.Hour,
		map[string]time.Duration{"6.2.0": 2 * time.Hour, "1.0.0-rc.5": 2 * time.Hour},
	},
	{
		"a message that is too long",
		func(o *offender) {
			s := o.substream()
			if err := negotiate.OpenOptimistic(s, "t/msg/0.1"); err != nil {
				o.t.Fatal(err)
			}
			_, _ = s.Write(binary.BigEndian.AppendUint32(nil, 8<<20+1))
		},
		10 * time.Minute,
		// The older release means to, but does not.
		map[string]time.Duration{"6.2.0": 10 * time.Minute, "1.0.0-rc.5": 0},
	},
}

// quiet is how long a ban that is not expected may take to come.
const quiet = 500 * time.Millisecond

// Both sides ban for the same, for as long.
//
// conforms: comms 48, 49, 53, 54, 76, 90
// feature: bans for the same offences, for as long
// note: 1.0.0-rc.5: does not ban for a message that is too long, nor a key that it does not know
func TestOffences(t *testing.T) {
	against(t, func(t *testing.T, release string) {
		n, p := startOurs(t, gamelan.Config{}), startTari(t, release)
		for _, offence := range offences {
			t.Run(offence.name, func(t *testing.T) {
				for _, side := range []struct {
					name   string
					tcp    string
					want   time.Duration
					banned func(identity.PublicKey) time.Duration
				}{
					{"we", tcpOf(n.Listening()[0].String()), offence.ours, func(key identity.PublicKey) time.Duration {
						until, _, ok := n.Peers().Banned(key.NodeID())
						if !ok {
							return 0
						}
						return time.Until(until)
					}},
					{"they", p.tcp(), offence.theirs[release], func(key identity.PublicKey) time.Duration {
						return time.Duration(p.record(key).BannedFor) * time.Second
					}},
				} {
					o := &offender{t: t, secret: newSecret(t)}
					key := o.secret.PublicKey()
					if side.name == "they" {
						p.knows(key, "/ip4/127.0.0.1/tcp/18189") // rc.5 bans nobody it does not know
					}
					offence.commit(shake(t, side.tcp, o.secret))
					if side.want == 0 {
						time.Sleep(quiet)
						if got := side.banned(key); got != 0 {
							t.Errorf("%s banned for %v, want no ban", side.name, got)
						}
						continue
					}
					gamelantest.Eventually(t, connectLimit, side.name+" ban", func() bool { return side.banned(key) != 0 })
					if got := side.banned(key); got > side.want || got < side.want-time.Minute {
						t.Errorf("%s banned for %v, want %v", side.name, got, side.want)
					}
				}
			})
		}
	})
}

// A Tari node that breaks a rule is banned by us: here the user agent is too
// long. While the ban holds neither side gets a connection, and they do not
// ban us for that.
//
// conforms: comms 50
// feature: our ban keeps them out
func TestWeBanThem(t *testing.T) {
	against(t, func(t *testing.T, release string) {
		n, p := startOurs(t, gamelan.Config{}), startTari(t, release, "--user-agent", strings.Repeat("x", 51))
		_ = dialError(t, n, seedOf(t, p))
		gamelantest.Eventually(t, connectLimit, "a ban", func() bool {
			until, _, ok := n.Peers().Banned(p.id)
			return ok && time.Until(until) > 119*time.Minute
		})
		ctx, cancel := context.WithTimeout(t.Context(), connectLimit)
		defer cancel()
		if _, err := n.Dial(ctx, p.id); !errors.Is(err, actors.ErrBanned) {
			t.Errorf("dial: got %v, want ErrBanned", err)
		}
		p.knowsNode(n.Node)
		if err := p.ask("dial", args{"peer": n.PublicKey().String()}, nil); err == nil {
			t.Error("they dial: got a connection, want none")
		}
		if r := p.record(n.PublicKey()); r.Banned {
			t.Errorf("they banned us for %d s: %s, want no ban", r.BannedFor, r.BanReason)
		}
	})
}

// A ban of theirs keeps us out, without one of ours; when it is lifted we
// connect.
//
// conforms: comms 148
// feature: their ban keeps us out, without a ban by us
func TestTheyBanUs(t *testing.T) {
	against(t, func(t *testing.T, release string) {
		n, p := pair(t, release, weDial)
		p.must("ban", args{"peer": n.PublicKey().String(), "seconds": 600}, nil)
		gamelantest.Eventually(t, connectLimit, "the end of the connection", func() bool {
			_, ok := n.Connection(p.id)
			return !ok
		})
		ctx, cancel := context.WithTimeout(t.Context(), connectLimit)
		defer cancel()
		if ref, err := n.Dial(ctx, p.id); err == nil {
			t.Errorf("dial: got %v, want an error", ref.Addr)
		}
		if _, reason, ok := n.Peers().Banned(p.id); ok {
			t.Errorf("we banned them: %s, want no ban", reason)
		}
		p.must("unban", args{"peer": n.PublicKey().String()}, nil)
		gamelantest.Eventually(t, connectLimit, "a connection", func() bool {
			_, err := n.Dial(ctx, p.id)
			return err == nil
		})
	})
}
