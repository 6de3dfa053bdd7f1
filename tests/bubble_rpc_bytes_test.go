package tests

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/interop/testpb"
)

// rawSession is one end of an RPC session, by hand.
type rawSession struct {
	t *testing.T
	protocol.Stream
}

func (w rawSession) send(text string) {
	w.t.Helper()
	if _, err := w.Write(raw(w.t, text)); err != nil {
		w.t.Errorf("send %.40s: %v", text, err)
	}
}

// last sends what the peer ends the substream for, perhaps before the write has
// returned.
func (w rawSession) last(text string) {
	w.t.Helper()
	w.Write(raw(w.t, text))
}

func raw(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// expect reads exactly these bytes.
func (w rawSession) expect(text string) {
	w.t.Helper()
	want := raw(w.t, text)
	got := make([]byte, len(want))
	if n, err := io.ReadFull(w, got); err != nil || !bytes.Equal(got, want) {
		w.t.Errorf("got %.80x, %v, want %.80x", got[:n], err, want)
	}
}

// response reads one response.
func (w rawSession) response() rpc.Response {
	w.t.Helper()
	r, err := rpc.DecodeResponse(w.frame())
	if err != nil {
		w.t.Errorf("response: %v", err)
	}
	return r
}

func (w rawSession) request() rpc.Request {
	w.t.Helper()
	r, err := rpc.DecodeRequest(w.frame())
	if err != nil {
		w.t.Errorf("request: %v", err)
	}
	return r
}

func (w rawSession) frame() []byte {
	w.t.Helper()
	var head [4]byte
	if _, err := io.ReadFull(w, head[:]); err != nil {
		w.t.Errorf("frame: %v", err)
		return nil
	}
	body := make([]byte, int(head[0])<<24|int(head[1])<<16|int(head[2])<<8|int(head[3]))
	if _, err := io.ReadFull(w, body); err != nil {
		w.t.Errorf("frame of %d: %v", len(body), err)
	}
	return body
}

// ends wants the end of the session, in order or not.
func (w rawSession) ends() {
	w.t.Helper()
	began := time.Now()
	b := make([]byte, 1)
	if n, err := w.Read(b); n > 0 || err == nil {
		w.t.Errorf("got %x, want the end", b[:n])
	} else if took := time.Since(began); took > 11*time.Second {
		w.t.Errorf("got the end after %v", took)
	}
}

const (
	hello    = "00000003 0a0100"
	accepted = "00000002 0800"
	noRoom   = "00000004 10011802"
	ping     = "00000004 18022078"
	pong     = "00000002 1802"
)

// byHand is a node with the test service, and a client that speaks to it by hand.
type byHand struct {
	*pair
	t *testing.T
}

func newByHand(t *testing.T, cfg gamelan.Config) *byHand {
	return &byHand{newPair(t, cfg, gamelan.Config{}), t}
}

// open opens a substream to the service; nothing was said on it.
func (h *byHand) open() rawSession {
	h.t.Helper()
	s, err := h.client.OpenStream(h.t.Context(), h.server.ID(), testService)
	if err != nil {
		h.t.Fatal(err)
	}
	return rawSession{h.t, s}
}

// session opens a session.
func (h *byHand) session() rawSession {
	h.t.Helper()
	w := h.open()
	w.send(hello)
	w.expect(accepted)
	return w
}

// served waits until the server has so many sessions.
func (h *byHand) served(n int) {
	h.t.Helper()
	gamelantest.Eventually(h.t, 30*time.Second, fmt.Sprintf("%d sessions", n), func() bool { return sessions(h.server) == n })
}

// recorded is a file of recorded sessions.
type recorded []struct {
	Case  string `json:"case"`
	Order []struct {
		From string `json:"from"`
		Hex  string `json:"hex"`
	} `json:"order"`
}

func readRecorded(t *testing.T, name string) recorded {
	t.Helper()
	text, err := os.ReadFile("vectors/comms/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Bytes recorded }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes
}

// recordedService does what the service of the recorded sessions did.
var recordedService = rpc.Service{Protocol: testService, MaxResponse: rpc.MaxFrame, Methods: []rpc.Method{
	rpc.Unary(1, func(_ context.Context, in *blob) (*blob, error) { return in, nil }),
	rpc.Unary(2, func(context.Context, *blob) (*blob, error) { return nil, rpc.Errorf(rpc.NotFound, "nothing here") }),
	rpc.Stream(3, func(_ context.Context, in *testpb.Items) iter.Seq2[*blob, error] {
		return func(yield func(*blob, error) bool) {
			for i := range in.Count {
				if i+1 == in.FailAfter {
					yield(nil, rpc.Errorf(rpc.General, "item failed"))
					return
				}
				item := make([]byte, in.Size)
				item[0] = byte(i + 1)
				if !yield(wrapperspb.Bytes(item), nil) {
					return
				}
			}
		}
	}),
	rpc.Unary(5, func(_ context.Context, in *testpb.Items) (*blob, error) {
		return wrapperspb.Bytes(bytes.Repeat([]byte{7}, int(in.Size))), nil
	}),
}}

// The recorded requests get the recorded answers of a node of 6.2.0, byte for
// byte but for the words of errors.
//
// conforms: comms 92, 96, 98, 99, 109
func TestBubbleRPCServerBytes(t *testing.T) {
	own := map[string]bool{"deadline 0": true, "unknown method": true, "undecodable payload": true, "response over the limit": true}
	for _, c := range readRecorded(t, "rpc-server-6.2.0") {
		t.Run(c.Case, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				server, client := net.Start(gamelan.Config{}, gamelan.WithService(recordedService)), net.Start(gamelan.Config{})
				net.Connect(client, server)
				s, err := client.OpenStream(t.Context(), server.ID(), testService)
				if err != nil {
					t.Fatal(err)
				}
				w := rawSession{t, s}
				for i, m := range c.Order {
					switch {
					case m.From == "go":
						w.send(m.Hex)
					case strings.Contains(m.Hex, "..."):
						if r := w.response(); r.ID != 1 || r.Flags != rpc.FIN || len(r.Payload) != 700_004 {
							t.Errorf("got id %d, flags %v, %d bytes", r.ID, r.Flags, len(r.Payload))
						}
					case own[c.Case] && i > 1:
						want, err := rpc.DecodeResponse(raw(t, m.Hex)[4:])
						r := w.response()
						if err != nil || r.ID != want.ID || r.Status != want.Status || r.Flags != want.Flags || len(r.Payload) == 0 {
							t.Errorf("got %v %q, want %v and a text", r, r.Payload, want.Status)
						}
					default:
						w.expect(m.Hex)
					}
				}
				w.CloseWrite()
				w.ends()
				w.Close()
			})
		})
	}
}

// handler hands the substreams of a protocol to a test.
type handler struct{ streams chan protocol.Stream }

func (h handler) Receive(c actor.Context) {
	if m, ok := c.Message().(actors.SubstreamOpened); ok {
		if s, ok := m.Stream.Take(); ok {
			h.streams <- s
		}
	}
}

// serveByHand is a client of ours, and a server that is played by hand on the
// substreams that come.
func serveByHand(t *testing.T, cfg gamelan.Config) (*pair, <-chan protocol.Stream) {
	return serveByHandAs(t, "", cfg)
}

// serveByHandAs is serveByHand with a user agent of the server.
func serveByHandAs(t *testing.T, agent string, cfg gamelan.Config) (*pair, <-chan protocol.Stream) {
	net := gamelantest.NewNetwork(t)
	h := handler{make(chan protocol.Stream, 100)}
	p := &pair{net: net, service: new(service)}
	p.server = net.Start(gamelan.Config{}, gamelan.WithProtocol(testService, func(*gamelan.Node) actor.Actor { return h }))
	p.client = net.Start(cfg)
	net.Connect(p.client, p.server)
	if agent != "" {
		takeFor(t, p.client, p.server, agent)
	}
	p.calls = p.client.RPC().Client(p.server.ID(), testService)
	return p, h.streams
}

// takeFor has a node believe that a connected peer has this user agent, which no
// node of this library has.
func takeFor(t *testing.T, n, peer *gamelantest.Node, agent string) {
	t.Helper()
	ref, ok := n.Connection(peer.ID())
	if !ok {
		t.Fatalf("not connected to node %d", peer.Number)
	}
	synctest.Wait() // others have read it
	ref.UserAgent = agent
}

// accept plays the handshake of a server.
func accept(w rawSession) rawSession {
	w.t.Helper()
	w.expect(hello)
	w.send(accepted)
	return w
}

// What our client sends is what the recorded client of 6.2.0 sent, byte for byte.
//
// conforms: comms 92, 96
func TestBubbleRPCClientBytes(t *testing.T) {
	calls := map[string]func(*pair) error{
		"echo 6869": func(p *pair) error {
			r, err := rpc.Call[blob, blob](context.Background(), p.calls, 1, wrapperspb.Bytes([]byte("hi")))
			if err == nil && string(r.Value) != "hi" {
				err = fmt.Errorf("got %q", r.Value)
			}
			return err
		},
		"ping": func(p *pair) error { _, err := p.calls.Ping(context.Background()); return err },
		"fail": func(p *pair) error {
			_, err := rpc.Call[blob, blob](context.Background(), p.calls, 2, &blob{})
			if !errors.Is(err, rpc.NotFound) || !strings.Contains(err.Error(), "nothing here") {
				return fmt.Errorf("got %v, want not found", err)
			}
			return nil
		},
		"items 3 1 0 0": func(p *pair) error {
			n := byte(0)
			for item, err := range rpc.Items[testpb.Items, blob](context.Background(), p.calls, 3, &testpb.Items{Count: 3, Size: 1}) {
				if err != nil || !bytes.Equal(item.Value, []byte{n}) {
					return fmt.Errorf("got %v, %v, want item %d", item, err, n)
				}
				n++
			}
			_, err := rpc.Call[blob, blob](context.Background(), p.calls, 1, wrapperspb.Bytes([]byte{1}))
			return err
		},
	}
	for _, c := range readRecorded(t, "rpc-client-6.2.0") {
		call := calls[c.Case]
		if call == nil {
			continue
		}
		delete(calls, c.Case)
		t.Run(c.Case, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				p, streams := serveByHand(t, gamelan.Config{})
				var wg sync.WaitGroup
				wg.Go(func() {
					w := rawSession{t, <-streams}
					for _, m := range c.Order {
						if m.From == "rust" {
							w.expect(m.Hex)
						} else {
							w.send(m.Hex)
						}
					}
				})
				if err := call(p); err != nil {
					t.Error(err)
				}
				wg.Wait()
			})
		})
	}
	if len(calls) > 0 {
		t.Errorf("no recorded session for %d calls", len(calls))
	}
}

// What a client may do wrong, step by step. Afterwards nothing is left of it.
//
// conforms: comms 97, 98, 101-104; V 16, 17
func TestBubbleRPCBadClients(t *testing.T) {
	badRequest := func(w rawSession, id uint32) {
		w.t.Helper()
		if r := w.response(); r.Status != rpc.BadRequest || r.Flags != rpc.FIN || r.ID != id || len(r.Payload) == 0 {
			w.t.Errorf("got %+v, want a bad request", r)
		}
	}
	request := func(method, arg int) string { // id 1, deadline 5 s
		return fmt.Sprintf("0000000b 0801 10%02x 2005 5203 08%04x", method, arg)
	}
	call := func(w rawSession, method, arg int) {
		w.t.Helper()
		w.send(request(method, arg))
	}
	goesOn := func(w rawSession) {
		w.t.Helper()
		w.send(ping)
		w.expect(pong)
	}
	for name, f := range map[string]func(h *byHand){
		"hello of another version": func(h *byHand) {
			w := h.open()
			w.send("00000003 0a0101")
			w.expect("00000004 10011801")
			w.ends()
		},
		"hello too long":       func(h *byHand) { w := h.open(); w.last("00000401"); w.ends() },
		"hello undecodable":    func(h *byHand) { w := h.open(); w.last("00000002 0a05"); w.ends() },
		"hello never comes":    func(h *byHand) { w := h.open(); w.ends() },
		"half a hello":         func(h *byHand) { w := h.open(); w.last("000000"); w.ends() },
		"gone at once":         func(h *byHand) { h.open().Close() },
		"gone after the hello": func(h *byHand) { w := h.open(); w.send(hello); w.Close() },
		"gone in order":        func(h *byHand) { w := h.session(); w.CloseWrite(); w.ends() },
		"gone inside a frame":  func(h *byHand) { w := h.session(); w.send("00000100 0801"); w.Close() },
		"ended inside a frame": func(h *byHand) { w := h.session(); w.last("00000100 0801"); w.CloseWrite(); w.ends() },
		"gone during a call":   func(h *byHand) { w := h.session(); call(w, wait, 0xff7f); time.Sleep(time.Second); w.Close() },
		"ended during a call": func(h *byHand) {
			w := h.session()
			call(w, wait, 0xff7f)
			time.Sleep(time.Second)
			w.CloseWrite()
			w.ends()
		},
		"gone during a stream": func(h *byHand) { w := h.session(); call(w, endless, 0xff7f); w.response(); w.Close() },
		"undecodable request": func(h *byHand) {
			w := h.session()
			w.send("00000002 0801")
			w.send("00000001 08")
			w.response()
			w.ends()
		},
		"flags 8":           func(h *byHand) { w := h.session(); w.last("00000008 0801 1001 1808 2078"); w.ends() },
		"flags MORE":        func(h *byHand) { w := h.session(); w.last("00000008 0801 1001 1804 2078"); w.ends() },
		"flags 256":         func(h *byHand) { w := h.session(); w.last("00000009 0801 1001 188002 2078"); w.ends() },
		"a frame above all": func(h *byHand) { w := h.session(); w.last("00800401"); w.ends() },
		"a second request": func(h *byHand) {
			w := h.session()
			call(w, wait, 0xff7f)
			time.Sleep(time.Second)
			w.last(request(greet, 0))
			w.ends()
		},
		"a ping during a call": func(h *byHand) {
			w := h.session()
			call(w, wait, 0xff7f)
			time.Sleep(time.Second)
			w.last(ping)
			w.ends()
		},
		"a large one meanwhile": func(h *byHand) {
			w := h.session()
			call(w, wait, 0xff7f)
			time.Sleep(time.Second)
			w.last("00700000 0801" + strings.Repeat("00", 50))
			w.ends()
		},
		"half of a large one": func(h *byHand) { // it must make progress
			w := h.session()
			w.send("00700000 0801" + strings.Repeat("00", 50))
			badRequest(w, 1)
			time.Sleep(10 * time.Minute)
			w.ends()
		},
		"deadline 0": func(h *byHand) {
			w := h.session()
			w.send("00000004 0801 1001")
			badRequest(w, 1)
			w.send("00000002 1802")
			badRequest(w, 0)
			goesOn(w)
			w.Close()
		},
		"deadline of a year": func(h *byHand) { // counts as ten minutes
			w := h.session()
			w.send("0000000f 0801 1003 2080e7840f 5204 08ffff7f")
			began := time.Now()
			if r := w.response(); r.Status != rpc.Timeout || r.Flags != rpc.FIN || time.Since(began) < 9*time.Minute || time.Since(began) > 11*time.Minute {
				w.t.Errorf("got %+v after %v, want a timeout after 10m", r, time.Since(began))
			}
			goesOn(w)
			w.Close()
		},
		"a request above 6 MiB": func(h *byHand) {
			w := h.session()
			body := append(raw(w.t, "0807 1006 2078"), make([]byte, 6<<20)...)
			written := make(chan struct{})
			go func() {
				defer close(written)
				w.Write(frame.Append(nil, body))
			}()
			badRequest(w, 7)
			<-written
			goesOn(w)
			w.Close()
		},
		"a cancelled stream": func(h *byHand) {
			w := h.session()
			call(w, endless, 0xff7f)
			w.response()
			w.send("00000008 0801 1007 1801 2005")
			w.send("0000000b 0802 1001 2005 52030a0161")
			stray := 0
			for r := w.response(); r.ID != 2; r = w.response() {
				stray++
			}
			if stray == 0 {
				w.t.Log("no stray item")
			}
			w.Close()
		},
		"reads nothing": func(h *byHand) {
			w := h.session()
			call(w, endless, 0xff7f)
			time.Sleep(time.Second)
			gamelantest.Eventually(w.t, 8*time.Second, "the session to end", func() bool { return sessions(h.server) == 0 })
			w.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				h := newByHand(t, gamelan.Config{})
				f(h)
				h.served(0)
				h.mustGreet(t)
				h.idle(t)
				if _, why, banned := h.server.Peers().Banned(h.client.ID()); banned {
					t.Errorf("got a ban: %s", why)
				}
			})
		})
	}
}

// Limits: those who say nothing hold up nobody, what failed frees its place, and
// who is over a limit is told before he has said anything.
//
// conforms: comms 94, 95, 110
func TestBubbleRPCLimits(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		h := newByHand(t, gamelan.Config{})
		var silent []rawSession
		for range 4 {
			silent = append(silent, h.open())
		}
		h.served(4)
		w := h.open() // a fifth handshake at the same time
		w.expect(noRoom)
		w.ends()
		w.Close()
		other := h.net.Start(gamelan.Config{})
		h.net.Connect(other, h.server)
		began := time.Now()
		if _, err := rpc.Call[text, text](t.Context(), other.RPC().Client(h.server.ID(), testService), greet, &text{}); err != nil || time.Since(began) > time.Second {
			t.Errorf("got %v after %v from another peer's call", err, time.Since(began))
		}
		time.Sleep(11 * time.Second)
		h.served(1)
		for range 10 {
			silent = append(silent, h.session())
		}
		w = h.open()
		w.expect(noRoom)
		w.send(hello) // too late, and no harm
		w.CloseWrite()
		w.ends()
		for _, w := range silent {
			w.Close()
		}
		h.served(1)
		h.mustGreet(t)
		h.idle(t)
	})
}

// What a server may do wrong.
//
// conforms: comms 93, 101, 104, 105; V 17, 18
func TestBubbleRPCBadServers(t *testing.T) {
	rejected := func(reason rpc.Reason) func(error) bool {
		return func(err error) bool {
			var r *rpc.RejectedError
			return errors.As(err, &r) && r.Reason == reason
		}
	}
	protocolError := func(err error) bool { return errors.Is(err, rpc.ErrProtocol) }
	lost := func(err error) bool { return errors.Is(err, rpc.ErrSessionLost) }
	refuse := func(text string) func(rawSession) {
		return func(w rawSession) { // without waiting for the hello
			w.last(text)
			w.CloseWrite()
		}
	}
	answer := func(text string) func(rawSession) {
		return func(w rawSession) { accept(w); w.request(); w.last(text) }
	}
	for name, tt := range map[string]struct {
		serve func(rawSession)
		want  func(error) bool
	}{
		"rejects: version":         {refuse("00000004 10011801"), rejected(rpc.UnsupportedVersion)},
		"rejects: no sessions":     {refuse(noRoom), rejected(rpc.NoServerSessions)},
		"rejects: reason 3":        {refuse("00000004 10011803"), rejected(rpc.NoClientSessions)},
		"rejects: reason 4":        {refuse("00000004 10011804"), rejected(rpc.ProtocolUnsupported)},
		"rejects: reason 9":        {refuse("00000004 10011809"), rejected(rpc.ReasonUnknown)},
		"rejects: nothing said":    {refuse("00000000"), rejected(rpc.ReasonUnknown)},
		"accepts another version":  {refuse("00000002 0805"), protocolError},
		"long answer to the hello": {refuse("00000401"), func(err error) bool { return errors.Is(err, frame.ErrTooLong) }},
		"undecodable answer to it": {refuse("00000001 08"), protocolError},
		"ends in the handshake":    {func(w rawSession) { w.CloseWrite() }, lost},
		// The reset may overtake the agreement on the protocol.
		"resets in the handshake":  {func(w rawSession) { w.Close() }, func(err error) bool { return lost(err) || errors.Is(err, mux.ErrReset) }},
		"resets before the answer": {func(w rawSession) { accept(w); w.request(); w.Close() }, lost},
		"ends before the answer":   {func(w rawSession) { accept(w); w.request(); w.CloseWrite() }, lost},
		"ends inside the answer":   {func(w rawSession) { accept(w); w.request(); w.send("00000010 0801"); w.CloseWrite() }, lost},
		"another id":               {answer("00000004 0805 1801"), protocolError},
		"an id of 17 bits":         {answer("00000006 08818004 1801"), protocolError},
		"unknown flags":            {answer("00000004 0801 1808"), protocolError},
		"an unasked pong":          {answer("00000004 0801 1802"), protocolError},
		"an undecodable response":  {answer("00000001 08"), protocolError},
		"an undecodable payload":   {answer("00000008 0801 1801 5202 0a7f"), protocolError},
		"a frame above all":        {answer("00800401"), func(err error) bool { return errors.Is(err, frame.ErrTooLong) }},
		"seventeen chunks":         {answer(strings.Repeat("00000007 0801 1804 520161", 17)), protocolError},
		"a status that is unknown": {answer("00000006 0801 1063 1801"), func(err error) bool { return errors.Is(err, rpc.Status(99)) }},
		"an error with bad text": {answer("0000000a 0801 1007 1801 52021b0a"), func(err error) bool {
			return errors.Is(err, rpc.NotFound) && !strings.ContainsAny(err.Error(), "\x1b\n")
		}},
		"never answers the hello":   {func(w rawSession) {}, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		"never answers the request": {func(w rawSession) { accept(w); w.request() }, func(err error) bool { return errors.Is(err, rpc.Timeout) }},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				p, streams := serveByHand(t, gamelan.Config{})
				done := make(chan struct{})
				go func() {
					for {
						select {
						case s := <-streams:
							tt.serve(rawSession{t, s})
						case <-done:
							return
						}
					}
				}()
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				if _, err := p.greet(ctx, "you"); err == nil || !tt.want(err) {
					t.Errorf("got %v", err)
				}
				close(done)
				if _, why, banned := p.client.Peers().Banned(p.server.ID()); banned {
					t.Errorf("got a ban: %s", why)
				}
				if _, ok := p.client.Connection(p.server.ID()); !ok {
					t.Error("got no connection any more")
				}
				p.idle(t)
			})
		})
	}
}

// A server that does not answer: without a deadline of the caller the client
// gives up after the deadline that it sent and the grace period; the session goes
// on, and what comes late is skipped.
//
// conforms: comms 105, 106, 108
func TestBubbleRPCLateAnswers(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		p, streams := serveByHand(t, gamelan.Config{RPC: gamelan.RPCConfig{ClientSessions: 1}})
		began := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := p.greet(context.Background(), "first")
			if took := time.Since(began); !errors.Is(err, rpc.Timeout) || took < 180*time.Second || took > 182*time.Second {
				t.Errorf("got %v after %v, want a timeout after 120s and 60s", err, took)
			}
		})
		w := accept(rawSession{t, <-streams})
		if r := w.request(); r.ID != 1 || r.Deadline != 120 {
			t.Errorf("got %+v, want request 1 with 120s", r)
		}
		// A second caller waits for the session, not for the answer beside it.
		wg.Go(func() {
			if got, err := p.greet(context.Background(), "second"); err != nil || got != "hi" {
				t.Errorf("got %q, %v", got, err)
			}
		})
		if r := w.request(); r.ID != 1 || r.Flags != rpc.FIN || time.Since(began) < 180*time.Second {
			t.Errorf("got %+v after %v, want the first call stopped", r, time.Since(began))
		}
		if r := w.request(); r.ID != 2 || r.Flags != 0 {
			t.Errorf("got %+v, want request 2", r)
		}
		w.send("0000000a 0801 1801 52040a026869") // late
		w.send("0000000a 0802 1801 52040a026869")
		wg.Wait()
		w.Close()
		p.idle(t)
	})
}

// A stream that its reader leaves: the server is told within two seconds, what it
// had sent is skipped however much it is, and the session goes on.
//
// conforms: comms 107
func TestBubbleRPCStreamLeft(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		p, streams := serveByHand(t, gamelan.Config{RPC: gamelan.RPCConfig{ClientSessions: 1}})
		var wg sync.WaitGroup
		left := make(chan time.Time, 1)
		wg.Go(func() {
			for item, err := range rpc.Items[number, number](t.Context(), p.calls, count, wrapperspb.UInt64(0)) {
				if err != nil || item.Value != 1 {
					t.Errorf("got %v, %v", item, err)
				}
				break
			}
			left <- time.Now()
			if got, err := p.greet(t.Context(), "next"); err != nil || got != "hi" {
				t.Errorf("got %q, %v", got, err)
			}
		})
		w := accept(rawSession{t, <-streams})
		w.request()
		w.send(strings.Repeat("00000006 0801 5202 0801", 500))
		if r := w.request(); r.ID != 1 || r.Flags != rpc.FIN || time.Since(<-left) > 2*time.Second {
			t.Errorf("got %+v, want the stream stopped", r)
		}
		w.send(strings.Repeat("00000006 0801 5202 0801", 500))
		if r := w.request(); r.Flags != rpc.ACK {
			t.Errorf("got %+v, want a ping", r)
		}
		w.send(pong)
		if r := w.request(); r.ID != 2 || r.Flags != 0 {
			t.Errorf("got %+v, want request 2", r)
		}
		w.send("0000000a 0802 1801 52040a026869")
		wg.Wait()
		w.Close()
		p.idle(t)
	})
}

// The request after a stream meets the end of a session with another implementation: it is
// made once more on another, but not a third time, and not when something was read of the
// answer. Our nodes drop no request with a reset, so that is not repeated. Their end in
// order says that they have not run the request, even if it was the first of its session.
//
// conforms: comms 149
func TestBubbleRPCRepeated(t *testing.T) {
	for _, end := range []string{"ends", "resets", "ends again", "resets again", "ends in the answer", "ours resets", "ours ends", "ours ends again"} {
		t.Run(end, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				how, ours := strings.CutPrefix(end, "ours ")
				agent := "tari/test"
				if ours {
					agent = ""
				}
				how, twice := strings.CutSuffix(how, " again")
				lost := how == "ends in the answer" || ours && how == "resets" || !ours && twice
				p, streams := serveByHandAs(t, agent, gamelan.Config{RPC: gamelan.RPCConfig{ClientSessions: 1}})
				var wg sync.WaitGroup
				wg.Go(func() {
					for range rpc.Items[number, number](bounded(t), p.calls, count, wrapperspb.UInt64(0)) {
						t.Error("got an item")
					}
					got, err := p.greet(bounded(t), "next")
					if lost {
						if !errors.Is(err, rpc.ErrSessionLost) {
							t.Errorf("got %q, %v, want a lost session", got, err)
						}
					} else if err != nil || got != "hi" {
						t.Errorf("got %q, %v", got, err)
					}
				})
				w := accept(rawSession{t, <-streams})
				w.request()
				w.send("00000004 0801 1801")
				w.request()
				ends := func(w rawSession) {
					if how == "resets" {
						w.Close()
						return
					}
					if how == "ends in the answer" {
						w.send("00000007 0802 1804 520161") // a chunk
					}
					w.CloseWrite()
				}
				next := func() rawSession {
					w := accept(come(t, streams))
					if r := w.request(); r.ID != 1 || r.Method != greet {
						t.Errorf("got %+v, want the request once more", r)
					}
					return w
				}
				ends(w)
				if twice {
					ends(next())
				}
				if !lost {
					next().hi(1)
				}
				wg.Wait()
				if n := len(streams); n != 0 {
					t.Errorf("got %d more tries, want none", n)
				}
				p.idle(t)
			})
		})
	}
}

// At most three handshakes of ours are under way with a peer, whatever the number
// of services and calls.
//
// conforms: V 18
func TestBubbleRPCPendingHandshakes(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		p, streams := serveByHand(t, gamelan.Config{})
		other := handler{make(chan protocol.Stream, 100)}
		if err := p.server.Register(t.Context(), "test/rpc/2", func(*gamelan.Node) actor.Actor { return other }); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 20 {
			calls := p.calls
			if i%2 == 0 {
				calls = p.client.RPC().Client(p.server.ID(), "test/rpc/2")
			}
			wg.Go(func() {
				if _, err := calls.Ping(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v, want the end of the context", err)
				}
			})
		}
		time.Sleep(time.Minute)
		if n := len(streams) + len(other.streams); n != 3 {
			t.Errorf("got %d substreams opened, want 3", n)
		}
		cancel()
		wg.Wait()
		for len(streams) > 0 {
			(<-streams).Close()
		}
		for len(other.streams) > 0 {
			(<-other.streams).Close()
		}
		time.Sleep(time.Minute)
	})
}

// lateContext is a context that ends after its deadline, as each does on a machine
// with much to do.
type lateContext struct {
	context.Context
	deadline time.Time
}

func (c lateContext) Deadline() (time.Time, bool) { return c.deadline, true }

// A call whose deadline has passed says so, to those who look for the context's
// error and to those who look for the status, whatever ended it first: the
// caller's timer, the answer of a server whose timer was the first, or the end of
// the session. What answers the call in time, or is its own fault, stays what it
// is.
//
// conforms: comms 106
func TestBubbleRPCDeadlinePassed(t *testing.T) {
	const deadline = 2 * time.Second
	theirs := errors.New("theirs")
	request := func(w rawSession) { accept(w).request() }
	at := func(after time.Duration, what func(rawSession)) func(rawSession) {
		return func(w rawSession) {
			request(w)
			time.Sleep(after)
			what(w)
		}
	}
	timedOut := func(w rawSession) { w.last("00000006 0801 1004 1801") }
	notFound := func(w rawSession) { w.last("00000006 0801 1007 1801") }
	both := []error{rpc.Timeout, context.DeadlineExceeded}
	for name, tt := range map[string]struct {
		late  time.Duration // of the context's end
		serve func(rawSession)
		want  []error
		not   error
	}{
		"our timer":                     {0, request, append(both, theirs), rpc.NotFound},
		"our timer, no handshake":       {0, func(rawSession) {}, append(both, theirs), rpc.NotFound},
		"the server's":                  {time.Second, at(deadline, timedOut), both, rpc.NotFound},
		"the server's, a while later":   {time.Second, at(deadline+time.Second/2, timedOut), both, rpc.NotFound},
		"the end of the session":        {time.Second, at(deadline, func(w rawSession) { w.Close() }), append(both, rpc.ErrSessionLost), rpc.NotFound},
		"another answer":                {time.Second, at(deadline, notFound), []error{rpc.NotFound}, rpc.Timeout},
		"a timeout before the deadline": {time.Second, at(time.Second, timedOut), []error{rpc.Timeout}, context.DeadlineExceeded},
		"an end before the deadline":    {time.Second, at(time.Second, func(w rawSession) { w.Close() }), []error{rpc.ErrSessionLost}, rpc.Timeout},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				p, streams := serveByHand(t, gamelan.Config{RPC: gamelan.RPCConfig{ClientSessions: 1}})
				go func() { tt.serve(rawSession{t, <-streams}) }()
				end := time.Now().Add(deadline)
				ctx, cancel := context.WithDeadlineCause(t.Context(), end.Add(tt.late), theirs)
				defer cancel()
				_, err := p.greet(lateContext{ctx, end}, "you")
				for _, want := range tt.want {
					if !errors.Is(err, want) {
						t.Errorf("got %v, want it to match %v", err, want)
					}
				}
				if errors.Is(err, tt.not) {
					t.Errorf("got %v, which matches %v", err, tt.not)
				}
				p.idle(t)
			})
		})
	}
}
