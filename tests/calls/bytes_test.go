package calls

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
	"github.com/gamelan-p2p/gamelan/tests/interop/testpb"
)

// byHand is a node with the test service, and a client that speaks to it by hand.
type byHand struct {
	*kit.Pair
	t *testing.T
}

func newByHand(t *testing.T, cfg gamelan.Config) *byHand {
	return &byHand{kit.NewPair(t, cfg, gamelan.Config{}), t}
}

// open opens a substream to the service; nothing was said on it.
func (h *byHand) open() kit.RawSession {
	h.t.Helper()
	s, err := h.Client.OpenStream(h.t.Context(), h.Server.ID(), kit.TestService)
	if err != nil {
		h.t.Fatal(err)
	}
	return kit.RawSession{T: h.t, Stream: s}
}

// session opens a session.
func (h *byHand) session() kit.RawSession {
	h.t.Helper()
	w := h.open()
	w.Send(kit.Hello)
	w.Expect(kit.Accepted)
	return w
}

// served waits until the server has so many sessions.
func (h *byHand) served(n int) {
	h.t.Helper()
	gamelantest.Eventually(h.t, 30*time.Second, fmt.Sprintf("%d sessions", n), func() bool { return kit.Sessions(h.Server) == n })
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
	text, err := os.ReadFile("../vectors/comms/" + name + ".json")
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
var recordedService = rpc.Service{Protocol: kit.TestService, MaxResponse: rpc.MaxFrame, Methods: []rpc.Method{
	rpc.Unary(1, func(_ context.Context, in *kit.Blob) (*kit.Blob, error) { return in, nil }),
	rpc.Unary(2, func(context.Context, *kit.Blob) (*kit.Blob, error) {
		return nil, rpc.Errorf(rpc.NotFound, "nothing here")
	}),
	rpc.Stream(3, func(_ context.Context, in *testpb.Items) iter.Seq2[*kit.Blob, error] {
		return func(yield func(*kit.Blob, error) bool) {
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
	rpc.Unary(5, func(_ context.Context, in *testpb.Items) (*kit.Blob, error) {
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
				s, err := client.OpenStream(t.Context(), server.ID(), kit.TestService)
				if err != nil {
					t.Fatal(err)
				}
				w := kit.RawSession{T: t, Stream: s}
				for i, m := range c.Order {
					switch {
					case m.From == "go":
						w.Send(m.Hex)
					case strings.Contains(m.Hex, "..."):
						if r := w.Response(); r.ID != 1 || r.Flags != onecall.FIN || len(r.Payload) != 700_004 {
							t.Errorf("got id %d, flags %v, %d bytes", r.ID, r.Flags, len(r.Payload))
						}
					case own[c.Case] && i > 1:
						want, err := onecall.DecodeResponse(kit.Raw(t, m.Hex)[4:])
						r := w.Response()
						if err != nil || r.ID != want.ID || r.Status != want.Status || r.Flags != want.Flags || len(r.Payload) == 0 {
							t.Errorf("got %v %q, want %v and a text", r, r.Payload, want.Status)
						}
					default:
						w.Expect(m.Hex)
					}
				}
				w.CloseWrite()
				w.Ends()
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
func serveByHand(t *testing.T, cfg gamelan.Config) (*kit.Pair, <-chan protocol.Stream) {
	return serveByHandAs(t, "", cfg)
}

// serveByHandAs is serveByHand with a user agent of the server.
func serveByHandAs(t *testing.T, agent string, cfg gamelan.Config) (*kit.Pair, <-chan protocol.Stream) {
	net := gamelantest.NewNetwork(t)
	h := handler{make(chan protocol.Stream, 100)}
	p := &kit.Pair{Net: net, Service: new(kit.Service)}
	p.Server = net.Start(gamelan.Config{}, gamelan.WithProtocol(kit.TestService, func(*gamelan.Node) actor.Actor { return h }))
	p.Client = net.Start(cfg)
	net.Connect(p.Client, p.Server)
	if agent != "" {
		kit.TakeFor(t, p.Client, p.Server, agent)
	}
	p.Calls = p.Client.RPC().Client(p.Server.ID(), kit.TestService)
	return p, h.streams
}

// accept plays the handshake of a server that knows one version. A server of ours is offered another one as well.
func accept(w kit.RawSession) kit.RawSession {
	w.T.Helper()
	w.ExpectHello()
	w.Send(kit.Accepted)
	return w
}

// What our client sends is what the recorded client of 6.2.0 sent, byte for byte.
//
// conforms: comms 92, 96
func TestBubbleRPCClientBytes(t *testing.T) {
	calls := map[string]func(*kit.Pair) error{
		"echo 6869": func(p *kit.Pair) error {
			r, err := rpc.Call[kit.Blob, kit.Blob](context.Background(), p.Calls, 1, wrapperspb.Bytes([]byte("hi")))
			if err == nil && string(r.Value) != "hi" {
				err = fmt.Errorf("got %q", r.Value)
			}
			return err
		},
		"ping": func(p *kit.Pair) error { _, err := p.Calls.Ping(context.Background()); return err },
		"fail": func(p *kit.Pair) error {
			_, err := rpc.Call[kit.Blob, kit.Blob](context.Background(), p.Calls, 2, &kit.Blob{})
			if !errors.Is(err, rpc.NotFound) || !strings.Contains(err.Error(), "nothing here") {
				return fmt.Errorf("got %v, want not found", err)
			}
			return nil
		},
		"items 3 1 0 0": func(p *kit.Pair) error {
			n := byte(0)
			for item, err := range rpc.Items[testpb.Items, kit.Blob](context.Background(), p.Calls, 3, &testpb.Items{Count: 3, Size: 1}) {
				if err != nil || !bytes.Equal(item.Value, []byte{n}) {
					return fmt.Errorf("got %v, %v, want item %d", item, err, n)
				}
				n++
			}
			_, err := rpc.Call[kit.Blob, kit.Blob](context.Background(), p.Calls, 1, wrapperspb.Bytes([]byte{1}))
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
				p, streams := serveByHandAs(t, "tari/test", gamelan.Config{})
				var wg sync.WaitGroup
				wg.Go(func() {
					w := kit.RawSession{T: t, Stream: <-streams}
					for _, m := range c.Order {
						if m.From == "rust" {
							w.Expect(m.Hex)
						} else {
							w.Send(m.Hex)
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
	badRequest := func(w kit.RawSession, id uint32) {
		w.T.Helper()
		if r := w.Response(); r.Status != rpc.BadRequest || r.Flags != onecall.FIN || r.ID != id || len(r.Payload) == 0 {
			w.T.Errorf("got %+v, want a bad request", r)
		}
	}
	request := func(method, arg int) string { // id 1, deadline 5 s
		return fmt.Sprintf("0000000b 0801 10%02x 2005 5203 08%04x", method, arg)
	}
	call := func(w kit.RawSession, method, arg int) {
		w.T.Helper()
		w.Send(request(method, arg))
	}
	goesOn := func(w kit.RawSession) {
		w.T.Helper()
		w.Send(kit.Ping)
		w.Expect(kit.Pong)
	}
	for name, f := range map[string]func(h *byHand){
		"hello of another version": func(h *byHand) {
			w := h.open()
			w.Send("00000003 0a0101")
			w.Expect("00000004 10011801")
			w.Ends()
		},
		"hello too long":       func(h *byHand) { w := h.open(); w.Last("00000401"); w.Ends() },
		"hello undecodable":    func(h *byHand) { w := h.open(); w.Last("00000002 0a05"); w.Ends() },
		"hello never comes":    func(h *byHand) { w := h.open(); w.Ends() },
		"half a hello":         func(h *byHand) { w := h.open(); w.Last("000000"); w.Ends() },
		"gone at once":         func(h *byHand) { h.open().Close() },
		"gone after the hello": func(h *byHand) { w := h.open(); w.Send(kit.Hello); w.Close() },
		"gone in order":        func(h *byHand) { w := h.session(); w.CloseWrite(); w.Ends() },
		"gone inside a frame":  func(h *byHand) { w := h.session(); w.Send("00000100 0801"); w.Close() },
		"ended inside a frame": func(h *byHand) { w := h.session(); w.Last("00000100 0801"); w.CloseWrite(); w.Ends() },
		"gone during a call":   func(h *byHand) { w := h.session(); call(w, kit.Wait, 0xff7f); time.Sleep(time.Second); w.Close() },
		"ended during a call": func(h *byHand) {
			w := h.session()
			call(w, kit.Wait, 0xff7f)
			time.Sleep(time.Second)
			w.CloseWrite()
			w.Ends()
		},
		"gone during a stream": func(h *byHand) { w := h.session(); call(w, kit.Endless, 0xff7f); w.Response(); w.Close() },
		"undecodable request": func(h *byHand) {
			w := h.session()
			w.Send("00000002 0801")
			w.Send("00000001 08")
			w.Response()
			w.Ends()
		},
		"flags 8":           func(h *byHand) { w := h.session(); w.Last("00000008 0801 1001 1808 2078"); w.Ends() },
		"flags MORE":        func(h *byHand) { w := h.session(); w.Last("00000008 0801 1001 1804 2078"); w.Ends() },
		"flags 256":         func(h *byHand) { w := h.session(); w.Last("00000009 0801 1001 188002 2078"); w.Ends() },
		"a frame above all": func(h *byHand) { w := h.session(); w.Last("00800401"); w.Ends() },
		"a second request": func(h *byHand) {
			w := h.session()
			call(w, kit.Wait, 0xff7f)
			time.Sleep(time.Second)
			w.Last(request(kit.Greet, 0))
			w.Ends()
		},
		"a ping during a call": func(h *byHand) {
			w := h.session()
			call(w, kit.Wait, 0xff7f)
			time.Sleep(time.Second)
			w.Last(kit.Ping)
			w.Ends()
		},
		"a large one meanwhile": func(h *byHand) {
			w := h.session()
			call(w, kit.Wait, 0xff7f)
			time.Sleep(time.Second)
			w.Last("00700000 0801" + strings.Repeat("00", 50))
			w.Ends()
		},
		"half of a large one": func(h *byHand) { // it must make progress
			w := h.session()
			w.Send("00700000 0801" + strings.Repeat("00", 50))
			badRequest(w, 1)
			time.Sleep(10 * time.Minute)
			w.Ends()
		},
		"deadline 0": func(h *byHand) {
			w := h.session()
			w.Send("00000004 0801 1001")
			badRequest(w, 1)
			w.Send("00000002 1802")
			badRequest(w, 0)
			goesOn(w)
			w.Close()
		},
		"deadline of a year": func(h *byHand) { // counts as ten minutes
			w := h.session()
			w.Send("0000000f 0801 1003 2080e7840f 5204 08ffff7f")
			began := time.Now()
			if r := w.Response(); r.Status != rpc.Timeout || r.Flags != onecall.FIN || time.Since(began) < 9*time.Minute || time.Since(began) > 11*time.Minute {
				w.T.Errorf("got %+v after %v, want a timeout after 10m", r, time.Since(began))
			}
			goesOn(w)
			w.Close()
		},
		"a request above 6 MiB": func(h *byHand) {
			w := h.session()
			body := append(kit.Raw(w.T, "0807 1006 2078"), make([]byte, 6<<20)...)
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
			call(w, kit.Endless, 0xff7f)
			w.Response()
			w.Send("00000008 0801 1007 1801 2005")
			w.Send("0000000b 0802 1001 2005 52030a0161")
			stray := 0
			for r := w.Response(); r.ID != 2; r = w.Response() {
				stray++
			}
			if stray == 0 {
				w.T.Log("no stray item")
			}
			w.Close()
		},
		"reads nothing": func(h *byHand) {
			w := h.session()
			call(w, kit.Endless, 0xff7f)
			time.Sleep(time.Second)
			gamelantest.Eventually(w.T, 8*time.Second, "the session to end", func() bool { return kit.Sessions(h.Server) == 0 })
			w.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				h := newByHand(t, gamelan.Config{})
				f(h)
				h.served(0)
				h.MustGreet(t)
				h.Idle(t)
				if _, why, banned := h.Server.Peers().Banned(h.Client.ID()); banned {
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
		var silent []kit.RawSession
		for range 4 {
			silent = append(silent, h.open())
		}
		h.served(4)
		w := h.open() // a fifth handshake at the same time
		w.Expect(kit.NoRoom)
		w.Ends()
		w.Close()
		other := h.Net.Start(gamelan.Config{})
		h.Net.Connect(other, h.Server)
		began := time.Now()
		if _, err := rpc.Call[kit.Text, kit.Text](t.Context(), other.RPC().Client(h.Server.ID(), kit.TestService), kit.Greet, &kit.Text{}); err != nil || time.Since(began) > time.Second {
			t.Errorf("got %v after %v from another peer's call", err, time.Since(began))
		}
		time.Sleep(11 * time.Second)
		h.served(1)
		for range 10 {
			silent = append(silent, h.session())
		}
		w = h.open()
		w.Expect(kit.NoRoom)
		w.Send(kit.Hello) // too late, and no harm
		w.CloseWrite()
		w.Ends()
		for _, w := range silent {
			w.Close()
		}
		h.served(1)
		h.MustGreet(t)
		h.Idle(t)
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
	refuse := func(text string) func(kit.RawSession) {
		return func(w kit.RawSession) { // without waiting for the hello
			w.Last(text)
			w.CloseWrite()
		}
	}
	answer := func(text string) func(kit.RawSession) {
		return func(w kit.RawSession) { accept(w); w.Request(); w.Last(text) }
	}
	for name, tt := range map[string]struct {
		serve func(kit.RawSession)
		want  func(error) bool
	}{
		"rejects: version":         {refuse("00000004 10011801"), rejected(rpc.UnsupportedVersion)},
		"rejects: no sessions":     {refuse(kit.NoRoom), rejected(rpc.NoServerSessions)},
		"rejects: reason 3":        {refuse("00000004 10011803"), rejected(rpc.NoClientSessions)},
		"rejects: reason 4":        {refuse("00000004 10011804"), rejected(rpc.ProtocolUnsupported)},
		"rejects: reason 9":        {refuse("00000004 10011809"), rejected(rpc.ReasonUnknown)},
		"rejects: nothing said":    {refuse("00000000"), rejected(rpc.ReasonUnknown)},
		"accepts another version":  {refuse("00000002 0805"), protocolError},
		"long answer to the hello": {refuse("00000401"), func(err error) bool { return errors.Is(err, frame.ErrTooLong) }},
		"undecodable answer to it": {refuse("00000001 08"), protocolError},
		"ends in the handshake":    {func(w kit.RawSession) { w.CloseWrite() }, lost},
		// The reset may overtake the agreement on the protocol.
		"resets in the handshake":  {func(w kit.RawSession) { w.Close() }, func(err error) bool { return lost(err) || errors.Is(err, mux.ErrReset) }},
		"resets before the answer": {func(w kit.RawSession) { accept(w); w.Request(); w.Close() }, lost},
		"ends before the answer":   {func(w kit.RawSession) { accept(w); w.Request(); w.CloseWrite() }, lost},
		"ends inside the answer":   {func(w kit.RawSession) { accept(w); w.Request(); w.Send("00000010 0801"); w.CloseWrite() }, lost},
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
		"never answers the hello":   {func(w kit.RawSession) {}, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		"never answers the request": {func(w kit.RawSession) { accept(w); w.Request() }, func(err error) bool { return errors.Is(err, rpc.Timeout) }},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				p, streams := serveByHand(t, gamelan.Config{})
				done := make(chan struct{})
				go func() {
					for {
						select {
						case s := <-streams:
							tt.serve(kit.RawSession{T: t, Stream: s})
						case <-done:
							return
						}
					}
				}()
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				if _, err := p.Greet(ctx, "you"); err == nil || !tt.want(err) {
					t.Errorf("got %v", err)
				}
				close(done)
				if _, why, banned := p.Client.Peers().Banned(p.Server.ID()); banned {
					t.Errorf("got a ban: %s", why)
				}
				if _, ok := p.Client.Connection(p.Server.ID()); !ok {
					t.Error("got no connection any more")
				}
				p.Idle(t)
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
			_, err := p.Greet(context.Background(), "first")
			if took := time.Since(began); !errors.Is(err, rpc.Timeout) || took < 180*time.Second || took > 182*time.Second {
				t.Errorf("got %v after %v, want a timeout after 120s and 60s", err, took)
			}
		})
		w := accept(kit.RawSession{T: t, Stream: <-streams})
		if r := w.Request(); r.ID != 1 || r.Deadline != 120 {
			t.Errorf("got %+v, want request 1 with 120s", r)
		}
		// A second caller waits for the session, not for the answer beside it.
		wg.Go(func() {
			if got, err := p.Greet(context.Background(), "second"); err != nil || got != "hi" {
				t.Errorf("got %q, %v", got, err)
			}
		})
		if r := w.Request(); r.ID != 1 || r.Flags != onecall.FIN || time.Since(began) < 180*time.Second {
			t.Errorf("got %+v after %v, want the first call stopped", r, time.Since(began))
		}
		if r := w.Request(); r.ID != 2 || r.Flags != 0 {
			t.Errorf("got %+v, want request 2", r)
		}
		w.Send("0000000a 0801 1801 52040a026869") // late
		w.Send("0000000a 0802 1801 52040a026869")
		wg.Wait()
		w.Close()
		p.Idle(t)
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
			for item, err := range rpc.Items[kit.Number, kit.Number](t.Context(), p.Calls, kit.Count, wrapperspb.UInt64(0)) {
				if err != nil || item.Value != 1 {
					t.Errorf("got %v, %v", item, err)
				}
				break
			}
			left <- time.Now()
			if got, err := p.Greet(t.Context(), "next"); err != nil || got != "hi" {
				t.Errorf("got %q, %v", got, err)
			}
		})
		w := accept(kit.RawSession{T: t, Stream: <-streams})
		w.Request()
		w.Send(strings.Repeat("00000006 0801 5202 0801", 500))
		if r := w.Request(); r.ID != 1 || r.Flags != onecall.FIN || time.Since(<-left) > 2*time.Second {
			t.Errorf("got %+v, want the stream stopped", r)
		}
		w.Send(strings.Repeat("00000006 0801 5202 0801", 500))
		if r := w.Request(); r.Flags != onecall.ACK {
			t.Errorf("got %+v, want a ping", r)
		}
		w.Send(kit.Pong)
		if r := w.Request(); r.ID != 2 || r.Flags != 0 {
			t.Errorf("got %+v, want request 2", r)
		}
		w.Send("0000000a 0802 1801 52040a026869")
		wg.Wait()
		w.Close()
		p.Idle(t)
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
					for range rpc.Items[kit.Number, kit.Number](kit.Bounded(t), p.Calls, kit.Count, wrapperspb.UInt64(0)) {
						t.Error("got an item")
					}
					got, err := p.Greet(kit.Bounded(t), "next")
					if lost {
						if !errors.Is(err, rpc.ErrSessionLost) {
							t.Errorf("got %q, %v, want a lost session", got, err)
						}
					} else if err != nil || got != "hi" {
						t.Errorf("got %q, %v", got, err)
					}
				})
				w := accept(kit.RawSession{T: t, Stream: <-streams})
				w.Request()
				w.Send("00000004 0801 1801")
				w.Request()
				ends := func(w kit.RawSession) {
					if how == "resets" {
						w.Close()
						return
					}
					if how == "ends in the answer" {
						w.Send("00000007 0802 1804 520161") // a chunk
					}
					w.CloseWrite()
				}
				next := func() kit.RawSession {
					w := accept(come(t, streams))
					if r := w.Request(); r.ID != 1 || r.Method != kit.Greet {
						t.Errorf("got %+v, want the request once more", r)
					}
					return w
				}
				ends(w)
				if twice {
					ends(next())
				}
				if !lost {
					next().Hi(1)
				}
				wg.Wait()
				if n := len(streams); n != 0 {
					t.Errorf("got %d more tries, want none", n)
				}
				p.Idle(t)
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
		p, streams := serveByHandAs(t, "tari/test", gamelan.Config{})
		other := handler{make(chan protocol.Stream, 100)}
		if err := p.Server.Register(t.Context(), "test/rpc/2", func(*gamelan.Node) actor.Actor { return other }); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 20 {
			calls := p.Calls
			if i%2 == 0 {
				calls = p.Client.RPC().Client(p.Server.ID(), "test/rpc/2")
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
	request := func(w kit.RawSession) { accept(w).Request() }
	at := func(after time.Duration, what func(kit.RawSession)) func(kit.RawSession) {
		return func(w kit.RawSession) {
			request(w)
			time.Sleep(after)
			what(w)
		}
	}
	timedOut := func(w kit.RawSession) { w.Last("00000006 0801 1004 1801") }
	notFound := func(w kit.RawSession) { w.Last("00000006 0801 1007 1801") }
	both := []error{rpc.Timeout, context.DeadlineExceeded}
	for name, tt := range map[string]struct {
		late  time.Duration // of the context's end
		serve func(kit.RawSession)
		want  []error
		not   error
	}{
		"our timer":                     {0, request, append(both, theirs), rpc.NotFound},
		"our timer, no handshake":       {0, func(kit.RawSession) {}, append(both, theirs), rpc.NotFound},
		"the server's":                  {time.Second, at(deadline, timedOut), both, rpc.NotFound},
		"the server's, a while later":   {time.Second, at(deadline+time.Second/2, timedOut), both, rpc.NotFound},
		"the end of the session":        {time.Second, at(deadline, func(w kit.RawSession) { w.Close() }), append(both, rpc.ErrSessionLost), rpc.NotFound},
		"another answer":                {time.Second, at(deadline, notFound), []error{rpc.NotFound}, rpc.Timeout},
		"a timeout before the deadline": {time.Second, at(time.Second, timedOut), []error{rpc.Timeout}, context.DeadlineExceeded},
		"an end before the deadline":    {time.Second, at(time.Second, func(w kit.RawSession) { w.Close() }), []error{rpc.ErrSessionLost}, rpc.Timeout},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				p, streams := serveByHand(t, gamelan.Config{RPC: gamelan.RPCConfig{ClientSessions: 1}})
				go func() { tt.serve(kit.RawSession{T: t, Stream: <-streams}) }()
				end := time.Now().Add(deadline)
				ctx, cancel := context.WithDeadlineCause(t.Context(), end.Add(tt.late), theirs)
				defer cancel()
				_, err := p.Greet(lateContext{ctx, end}, "you")
				for _, want := range tt.want {
					if !errors.Is(err, want) {
						t.Errorf("got %v, want it to match %v", err, want)
					}
				}
				if errors.Is(err, tt.not) {
					t.Errorf("got %v, which matches %v", err, tt.not)
				}
				p.Idle(t)
			})
		})
	}
}
