package hostile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// messages takes the frames out of what a substream has carried behind its
// negotiation.
func messages(data, opening string) (all []string) {
	data = strings.TrimPrefix(data, opening)
	for len(data) >= 4 {
		n := int(binary.BigEndian.Uint32([]byte(data)))
		if len(data) < 4+n {
			break
		}
		all = append(all, data[4:4+n])
		data = data[4+n:]
	}
	return all
}

// enqueue has the node accept a message for a peer.
func (n *target) enqueue(p *peer, body string) *gamelan.Pending[gamelan.Outcome] {
	n.t.Helper()
	m, err := n.Submit(n.t.Context(), p.id(), []byte(body))
	if err != nil {
		n.t.Fatalf("enqueue: %v", err)
	}
	return m
}

// TestOneSubstream sends messages from many callers: they share one substream,
// in the order of each caller, and it stays open for a day.
//
// conforms: comms 60, 72, 85, 91
func TestOneSubstream(t *testing.T) {
	listening(t, func(t *testing.T, n *target, p *peer) {
		var want []string
		for i := range 200 {
			want = append(want, fmt.Sprintf("message %d", i))
			m := n.enqueue(p, want[i])
			if i%50 == 0 {
				if out := m.Wait(t.Context()); out.Kind != protocol.Confirmed {
					t.Fatalf("message %d: got %v, want confirmed", i, out)
				}
			}
		}
		time.Sleep(24 * time.Hour)
		want = append(want, "a day later")
		if out := n.enqueue(p, "a day later").Wait(t.Context()); out.Kind != protocol.Confirmed {
			t.Fatalf("a day later: got %v, want confirmed", out)
		}
		ids := p.Opened()
		if len(ids) != 1 || ids[0] != 2 {
			t.Fatalf("got substreams %v of the node, want one, and an even id for the side that listens", ids)
		}
		s := p.Stream(2)
		if !strings.HasPrefix(s.Data, optimistic(messaging)) || s.FIN || s.RST {
			t.Errorf("got %.20q, FIN %v, RST %v, want %q first and no end", s.Data, s.FIN, s.RST, optimistic(messaging))
		}
		if got := messages(s.Data, optimistic(messaging)); !slices.Equal(got, want) {
			t.Errorf("got %d messages %.300q, want %d in order", len(got), got, len(want))
		}
	})
}

// TestFirstConfirmation looks at the pings after a messaging substream was
// opened: none within 100 ms may confirm a message, though the peer answers at
// once.
//
// conforms: comms 147
func TestFirstConfirmation(t *testing.T) {
	listening(t, func(t *testing.T, n *target, p *peer) {
		time.Sleep(time.Second)
		for round := range 3 {
			began := time.Now()
			m := n.enqueue(p, "first")
			n.enqueue(p, "second")
			synctest.Wait()
			ids := p.Opened()
			if len(ids) != round+1 {
				t.Fatalf("got substreams %v, want %d", ids, round+1)
			}
			if s := p.Stream(ids[round]); s.At != began || len(messages(s.Data, optimistic(messaging))) != 2 {
				t.Errorf("got %q after %v, want both messages at once", s.Data, s.At.Sub(began))
			}
			time.Sleep(50 * time.Millisecond)
			n.enqueue(p, "third")
			out := m.Wait(t.Context())
			if took := time.Since(began); out.Kind != protocol.Confirmed || took != 100*time.Millisecond {
				t.Errorf("got %v after %v, want confirmed after 100ms", out, took)
			}
			if m := n.enqueue(p, "fourth").Wait(t.Context()); m.Kind != protocol.Confirmed || time.Since(began) > 110*time.Millisecond {
				t.Errorf("later on: got %v after %v, want confirmed at once", m, time.Since(began)-100*time.Millisecond)
			}
			p.must(p.Data(rawpeer.RST, ids[round], ""))
			time.Sleep(10 * time.Second)
		}
	})
}

// TestSilentReader does not read its socket for a second, and pings meanwhile:
// nothing is confirmed before, and all of it afterwards; its ping is answered,
// though the node waits for an answer itself.
//
// conforms: comms 145
func TestSilentReader(t *testing.T) {
	listening(t, func(t *testing.T, n *target, p *peer) {
		n.enqueue(p, "first").Wait(t.Context())
		time.Sleep(time.Second)
		resume := p.Pause()
		p.must(p.Send(rawpeer.TypePing, rawpeer.SYN, 0, 1)) // the frame that is awaited: a pong
		synctest.Wait()
		began := time.Now()
		var all []*gamelan.Pending[gamelan.Outcome]
		for i := range 20 {
			all = append(all, n.enqueue(p, fmt.Sprint(i)))
		}
		time.Sleep(time.Second / 2)
		p.must(p.Send(rawpeer.TypePing, rawpeer.SYN, 0, 2))
		time.Sleep(time.Second / 2)
		for i, m := range all {
			select {
			case <-m.Done():
				t.Errorf("message %d: got %v before the peer has read anything", i, m.Result())
			default:
			}
		}
		resume()
		for i, m := range all {
			if out := m.Wait(t.Context()); out.Kind != protocol.Confirmed || time.Since(began) > 1100*time.Millisecond {
				t.Errorf("message %d: got %v after %v, want confirmed after 1s", i, out, time.Since(began))
			}
		}
		synctest.Wait()
		var pongs []uint32
		for _, f := range p.Frames() {
			if f.Has(rawpeer.TypePing, rawpeer.ACK) {
				pongs = append(pongs, f.Length())
			}
		}
		if !slices.Equal(pongs, []uint32{1, 2}) {
			t.Errorf("got the pongs %v, want 1 and 2", pongs)
		}
	})
}

// TestOrderlyClose has the node disconnect: its messaging substream ends with
// FIN first, and GoAway comes when the peer has ended it as well, or after two
// seconds.
//
// conforms: comms 66, 119, 143, 146
func TestOrderlyClose(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer time.Duration // until the peer's own end; 0 is none
		flag   uint16
		after  time.Duration // of GoAway
	}{
		{"answered with FIN", 300 * time.Millisecond, rawpeer.FIN, 300 * time.Millisecond},
		{"answered with RST", 500 * time.Millisecond, rawpeer.RST, 500 * time.Millisecond},
		{"not answered", 0, 0, 2 * time.Second},
	} {
		for _, by := range []string{actors.CloseRequested, actors.CloseShutdown} {
			t.Run(c.name+", "+by, func(t *testing.T) {
				gamelantest.Bubble(t, func(t *testing.T) {
					n := start(t, gamelan.Config{})
					p := connect(t, n.net.Transport(), n.Addr, secretOf(1), messaging)
					synctest.Wait()
					n.enqueue(p, "message").Wait(t.Context())
					p.open(1, optimistic(messaging)+framed("from the peer"))
					synctest.Wait()

					began := time.Now()
					closed := make(chan error, 1)
					go func() {
						if by == actors.CloseShutdown {
							closed <- n.Close(t.Context())
						} else {
							closed <- n.Disconnect(t.Context(), p.id())
						}
					}()
					synctest.Wait()
					s := p.Stream(2)
					if !s.FIN || s.RST || s.FINType != rawpeer.TypeData || p.GoAways() > 0 {
						t.Errorf("at once: got FIN %v in a frame of kind %d, RST %v, %d goodbyes, want FIN in a data frame only", s.FIN, s.FINType, s.RST, p.GoAways())
					}
					if c.answer > 0 {
						time.Sleep(c.answer)
						p.must(p.Data(c.flag, 2, ""))
					}
					if err := <-closed; err != nil {
						t.Error(err)
					}
					synctest.Wait()
					frames := p.Frames()
					last := frames[len(frames)-1]
					if last.Type() != rawpeer.TypeGoAway || last.Length() != 0 || last.At.Sub(began) != c.after {
						t.Errorf("got %v after %v last, want GoAway(0) after %v", last, last.At.Sub(began), c.after)
					}
					if p.Err() == nil {
						t.Error("the connection is open")
					}
					if by == actors.CloseRequested {
						n.disconnected(p.id(), by, nil)
					}
				})
			})
		}
	}
}

// TestCloseAtOnce has a connection end for reasons that wait for nothing: no
// FIN, and GoAway at once.
//
// conforms: comms 119, 146
func TestCloseAtOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(t *testing.T, n *target, p *peer)
	}{
		{"ban by the user", func(t *testing.T, n *target, p *peer) {
			if err := n.Peers().Ban(t.Context(), p.id(), time.Hour, "a test"); err != nil {
				t.Error(err)
			}
		}},
		{"violation", func(t *testing.T, n *target, p *peer) { p.open(1, propose(0x80, "x")) }},
		{"over-long frame", func(t *testing.T, n *target, p *peer) { p.open(1, optimistic(messaging)+"\xff\xff\xff\xff") }},
		{"duplicate", func(t *testing.T, n *target, p *peer) {
			connect(t, n.net.Transport(), n.Addr, secretOf(1), messaging)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			listening(t, func(t *testing.T, n *target, p *peer) {
				n.enqueue(p, "message").Wait(t.Context())
				began := time.Now()
				c.end(t, n, p)
				synctest.Wait()
				if p.Err() == nil || time.Since(began) > 0 {
					t.Errorf("got %v after %v, want the end at once", p.Err(), time.Since(began))
				}
				if s := p.Stream(2); s.FIN {
					t.Error("got FIN, want none")
				}
				if p.GoAways() != 1 {
					t.Errorf("got %d goodbyes, want 1", p.GoAways())
				}
			})
		})
	}
}

// TestResetMessagingSubstream writes on the node's messaging substream, or ends
// or resets it, again and again: messages go on over others, opened less and less
// often.
//
// conforms: V 14
func TestResetMessagingSubstream(t *testing.T) {
	for _, how := range []string{"reset", "written on", "ended"} {
		t.Run(how, func(t *testing.T) {
			listening(t, func(t *testing.T, n *target, p *peer) {
				began := time.Now()
				stop := make(chan struct{})
				defer close(stop)
				go func() {
					for seen := 0; ; {
						for _, id := range p.Opened()[seen:] {
							seen++
							time.Sleep(100 * time.Microsecond) // the node has taken it into use
							switch how {
							case "reset":
								p.Data(rawpeer.RST, id, "")
							case "written on":
								p.Data(0, id, framed("no"))
							default:
								p.Data(rawpeer.FIN, id, "")
							}
						}
						select {
						case <-stop:
							return
						case <-time.After(time.Millisecond):
						}
					}
				}()
				for i := range 3 {
					if out := n.enqueue(p, fmt.Sprint(i)).Wait(t.Context()); out.Kind != protocol.InDoubt {
						t.Errorf("message %d: got %v, want in doubt", i, out)
					}
				}
				m, err := n.Submit(t.Context(), p.id(), []byte("again"), gamelan.Resend())
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if got := len(p.Opened()); got < 8 || got > 20 {
					t.Errorf("got %d substreams in %v, want a back-off up to 5 s", got, time.Since(began))
				}
				select {
				case <-m.Done():
					t.Errorf("with Resend: got %v, want it tried again", m.Result())
				default:
				}
				if err := p.Err(); err != nil {
					t.Errorf("the connection has ended: %v", err)
				}
				n.banned(p.id(), 0)
			})
		})
	}
}

// dialled attacks a node that dials the peer.
func dialled(t *testing.T, attack func(t *testing.T, n *target, l transport.Listener)) {
	t.Helper()
	bubble(t, func(t *testing.T, n *target) { attack(t, n, listen(t, n, secretOf(1))) })
}

// TestQueuedDuringDial sends while the dial is under way, and to a peer that
// refuses.
//
// conforms: comms 86
func TestQueuedDuringDial(t *testing.T) {
	to := &peer{secret: secretOf(1)}
	t.Run("accepted", func(t *testing.T) {
		dialled(t, func(t *testing.T, n *target, l transport.Listener) {
			var all []*gamelan.Pending[gamelan.Outcome]
			for i := range 10 {
				all = append(all, n.enqueue(to, fmt.Sprint(i)))
			}
			time.Sleep(3 * time.Second)
			p := accept(t, l, secretOf(1), messaging)
			for i, m := range all {
				if out := m.Wait(t.Context()); out.Kind != protocol.Confirmed {
					t.Errorf("message %d: got %v, want confirmed", i, out)
				}
			}
			if got := strings.Join(messages(p.Stream(1).Data, optimistic(messaging)), ""); got != "0123456789" {
				t.Errorf("got %q, want the messages in order on the first substream of the side that dialled", got)
			}
		})
	})
	t.Run("at the second attempt", func(t *testing.T) {
		dialled(t, func(t *testing.T, n *target, l transport.Listener) {
			m := n.enqueue(to, "message")
			arrival(t, l).Close()
			accept(t, l, secretOf(1), messaging)
			if out := m.Wait(t.Context()); out.Kind != protocol.Confirmed {
				t.Errorf("got %v, want confirmed", out)
			}
		})
	})
	t.Run("refused twice", func(t *testing.T) {
		dialled(t, func(t *testing.T, n *target, l transport.Listener) {
			attempts, queued := 0, make(chan struct{})
			go func() {
				<-queued // or the first may have failed before the last is there
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					attempts++
					c.Close()
				}
			}()
			var all []*gamelan.Pending[gamelan.Outcome]
			for i := range 3 {
				all = append(all, n.enqueue(to, fmt.Sprint(i)))
			}
			close(queued)
			for i, m := range all {
				out := m.Wait(t.Context())
				if out.Kind != protocol.Failed || out.Reason != protocol.Refused || !errors.Is(out.Err, upgrade.ErrRefused) {
					t.Errorf("message %d: got %v, want failed: refused", i, out)
				}
			}
			synctest.Wait()
			if attempts != 2 {
				t.Errorf("got %d attempts, want 2", attempts)
			}
		})
	})
}

// TestUnsentMessagesGoOn loses the connection with messages of which only the
// first have left: these are in doubt, the others arrive over the next one.
//
// conforms: comms 87
func TestUnsentMessagesGoOn(t *testing.T) {
	dialled(t, func(t *testing.T, n *target, l transport.Listener) {
		to := &peer{secret: secretOf(1)}
		const each = 50 << 10
		var all []*gamelan.Pending[gamelan.Outcome]
		for i := range 20 { // 1 MiB, of which the peer's window takes a quarter
			all = append(all, n.enqueue(to, fmt.Sprintf("%02d", i)+strings.Repeat(".", each)))
		}
		p := accept(t, l, secretOf(1), messaging)
		p.Mute(true)
		time.Sleep(5 * time.Second)
		first := messages(p.Stream(1).Data, optimistic(messaging))
		if len(first) == 0 || len(first) > 5 {
			t.Fatalf("got %d messages before the credit ran out, want up to 5", len(first))
		}
		p.must(p.Send(rawpeer.TypeGoAway, 0, 0, 0))
		p = accept(t, l, secretOf(1), messaging)
		time.Sleep(time.Second) // for the substream
		p.must(p.Send(rawpeer.TypeWindow, 0, 1, 2<<20))
		time.Sleep(5 * time.Second)
		var got []string
		for _, m := range messages(p.Stream(1).Data, optimistic(messaging)) {
			got = append(got, m[:2])
		}
		var want []string
		for i, m := range all {
			switch out := m.Wait(t.Context()); out.Kind {
			case protocol.Confirmed:
				want = append(want, fmt.Sprintf("%02d", i))
			case protocol.Failed:
				t.Errorf("message %d: got %v", i, out)
			}
		}
		if !slices.Equal(got, want) || len(want) < 10 {
			t.Errorf("over the second connection: got %q, want what was confirmed, %q", got, want)
		}
	})
}

// TestInboundWhileDialling has the peer connect while the node dials it: what
// waits goes out on that connection, and no attempt has failed.
//
// conforms: comms 114
func TestInboundWhileDialling(t *testing.T) {
	dialled(t, func(t *testing.T, n *target, l transport.Listener) {
		n.net.Network.SetLinkBetween(n.Addr, ma.StringCast("/memory/60000"), slow)
		to := &peer{secret: secretOf(1)}
		m := n.enqueue(to, "message")
		time.Sleep(time.Second)
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1), messaging)
		began := time.Now()
		if out := m.Wait(t.Context()); out.Kind != protocol.Confirmed || time.Since(began) > time.Second {
			t.Errorf("got %v after %v, want confirmed at once", out, time.Since(began))
		}
		if got := messages(p.Stream(2).Data, optimistic(messaging)); len(got) != 1 {
			t.Errorf("got %q, want the message", got)
		}
		time.Sleep(time.Minute)
		if failed := happened[actors.DialFailed](n); len(failed) > 0 {
			t.Errorf("got %v, want no failed dial", failed)
		}
	})
}

// TestDialCancelled has the dialer fail under the dials of a message, more often
// than dials may fail: the message waits for the next.
//
// conforms: comms 88
func TestDialCancelled(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := start(t, gamelan.Config{})
		l := listen(t, n, secretOf(1))
		m := n.enqueue(&peer{secret: secretOf(1)}, "message")
		for range 3 {
			synctest.Wait()
			gamelantest.Crash(n.Node.Node, "dialer", "a bug")
			arrival(t, l).Close()
		}
		time.Sleep(time.Second)
		accept(t, l, secretOf(1), messaging)
		if out := m.Wait(t.Context()); out.Kind != protocol.Confirmed {
			t.Errorf("got %v, want confirmed", out)
		}
		gamelantest.Healed(t, n.Node.Node)
	})
}

// TestUnconnectedCredit queues for peers that cannot be reached: they may hold
// a part of the node's credit together, each its own part, and what is left
// serves the connected ones.
//
// conforms: V 15
func TestUnconnectedCredit(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		n := start(t, gamelan.Config{NodeCredit: 4 << 20, PeerCredit: 256 << 10})
		const each = 16 << 10
		accepted := make([]atomic.Int64, 12)
		for i := range accepted {
			secret := secretOf(100 + i)
			if _, err := n.Peers().AddSeed(t.Context(), secret.PublicKey().String()+fmt.Sprintf("::/memory/%d", 50_000+i)); err != nil {
				t.Fatal(err)
			}
			l, err := n.net.Transport().Listen(t.Context(), ma.StringCast(fmt.Sprintf("/memory/%d", 50_000+i)))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() }) // it accepts nothing
			go func() {
				for t.Context().Err() == nil {
					if _, err := n.Submit(t.Context(), secret.NodeID(), make([]byte, each-256)); err != nil {
						return
					}
					accepted[i].Add(1)
				}
			}()
			synctest.Wait()
		}
		total := 0
		for i := range accepted {
			got := int(accepted[i].Load())
			total += got * each
			if got*each > 256<<10 {
				t.Errorf("peer %d: got %d bytes accepted, want at most 256 KiB", i, got*each)
			}
		}
		_, _, used, limit := nodetest.Trunk(n).Credit()
		if limit != 2<<20 || total != 1<<20 || used != int64(total) {
			t.Errorf("got %d bytes accepted, %d in use of %d, want a half of the outbound 2 MiB", total, used, limit)
		}
		p := connect(t, n.net.Transport(), n.Addr, secretOf(1), messaging)
		synctest.Wait()
		began := time.Now()
		if out := n.enqueue(p, "message").Wait(t.Context()); out.Kind != protocol.Confirmed || time.Since(began) > time.Second {
			t.Errorf("to a connected peer: got %v after %v, want confirmed", out, time.Since(began))
		}
	})
}

// TestTieBreak crosses connections with a peer of a smaller and a larger id, in
// each order, and repeats them in the same direction: the right one survives.
// The other ends without an event: at once if it is the older of the same
// direction, else when nothing has come on it for a few pings.
//
// conforms: comms 115-117
func TestTieBreak(t *testing.T) {
	smaller, larger := 0, 0
	self := gamelantest.Secret(1).NodeID()
	for i := 1; smaller == 0 || larger == 0; i++ {
		if secretOf(i).NodeID().Compare(self) < 0 {
			smaller = i
		} else {
			larger = i
		}
	}
	for _, c := range []struct {
		name     string
		secret   int
		existing protocol.Direction // as the node sees it
		next     protocol.Direction
		keepNew  bool
	}{
		{"inbound twice", smaller, protocol.Inbound, protocol.Inbound, true},
		{"inbound twice", larger, protocol.Inbound, protocol.Inbound, true},
		{"outbound, then inbound", smaller, protocol.Outbound, protocol.Inbound, true},
		{"outbound, then inbound", larger, protocol.Outbound, protocol.Inbound, false},
		{"inbound, then outbound", smaller, protocol.Inbound, protocol.Outbound, false},
		{"inbound, then outbound", larger, protocol.Inbound, protocol.Outbound, true},
	} {
		name := c.name + ", smaller peer"
		if c.secret == larger {
			name = c.name + ", larger peer"
		}
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *target) {
				secret := secretOf(c.secret)
				l := listen(t, n, secret)
				var old, young *peer
				if c.next == protocol.Outbound { // the dial begins first
					done := dialing(n, secret.NodeID())
					raw, err := l.Accept()
					if err != nil {
						t.Fatal(err)
					}
					young = &peer{t: t, secret: secret, raw: raw}
					secure := make(chan *noise.Conn)
					go func() {
						raw.Read(make([]byte, 1))
						// The node has begun the handshake, and cannot know that it
						// will be superfluous.
						s, _ := noise.Server(&slowStart{Conn: raw, pause: time.Second}, noise.Config{Static: secret})
						secure <- s
					}()
					synctest.Wait()
					old = connect(t, n.net.Transport(), n.Addr, secret)
					synctest.Wait()
					if young.conn = <-secure; young.conn == nil {
						t.Fatal("the dial's handshake has failed")
					}
					young.exchange(nil)
					<-done
				} else {
					if c.existing == protocol.Outbound {
						done := dialing(n, secret.NodeID())
						old = accept(t, l, secret)
						if err := <-done; err != nil {
							t.Fatal(err)
						}
					} else {
						old = connect(t, n.net.Transport(), n.Addr, secret)
					}
					synctest.Wait()
					young = connect(t, n.net.Transport(), n.Addr, secret)
				}
				if c.existing != c.next {
					time.Sleep(time.Second)
				}
				synctest.Wait()
				lives, dies := old, young
				want := c.existing
				if c.keepNew {
					lives, dies = young, old
					want = c.next
				}
				if lives.Err() != nil || dies.Err() == nil {
					t.Errorf("got the older connection ended with %v, the newer with %v; want the newer kept %v", old.Err(), young.Err(), c.keepNew)
				}
				if dies.GoAways() != 1 {
					t.Errorf("the loser: got %d goodbyes, want 1", dies.GoAways())
				}
				if all := n.Connections(); len(all) != 1 || all[0].Direction != want {
					t.Errorf("got connections %v, want one that is %s", all, want)
				}
				if gone := happened[actors.PeerDisconnected](n); len(gone) > 0 {
					t.Errorf("got the events %v, want none", gone)
				}
				n.stillConnected(lives, map[protocol.Direction]uint32{protocol.Inbound: 1, protocol.Outbound: 2}[want])
			})
		})
	}
}

// TestDialThatIsLostAtOnce has the connection that a dial has brought end before
// the dialer has told anybody, as that of a tie-break's loser does: it is dialled
// once more.
func TestDialThatIsLostAtOnce(t *testing.T) {
	dialerSleeps := gamelan.WithFault(func(path, point string) {
		if strings.HasSuffix(path, "/dialer") && strings.HasSuffix(point, "PeerConnected") {
			time.Sleep(time.Second)
		}
	})
	for _, twice := range []bool{false, true} {
		t.Run(fmt.Sprintf("twice %v", twice), func(t *testing.T) {
			bubble(t, func(t *testing.T, n *target) {
				l := listen(t, n, secretOf(1))
				done := dialing(n, secretOf(1).NodeID())
				accept(t, l, secretOf(1)).raw.Close()
				p := accept(t, l, secretOf(1))
				if !twice {
					if err := <-done; err != nil {
						t.Errorf("got %v, want the second connection", err)
					}
					n.stillConnected(p, 2)
					return
				}
				p.raw.Close()
				if err := <-done; !errors.Is(err, actors.ErrConnectionClosed) {
					t.Errorf("got %v, want %v: the peer hangs up on us", err, actors.ErrConnectionClosed)
				}
			}, dialerSleeps)
		})
	}
}
