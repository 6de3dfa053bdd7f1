package kit

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/internal/nodetest"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// RawSession is one end of an RPC session, by hand.
type RawSession struct {
	T *testing.T
	protocol.Stream
}

func (w RawSession) Send(text string) {
	w.T.Helper()
	if _, err := w.Write(Raw(w.T, text)); err != nil {
		w.T.Errorf("send %.40s: %v", text, err)
	}
}

// Last sends what the peer ends the substream for, perhaps before the write has
// returned.
func (w RawSession) Last(text string) {
	w.T.Helper()
	_, _ = w.Write(Raw(w.T, text))
}

// Expect reads exactly these bytes.
func (w RawSession) Expect(text string) {
	w.T.Helper()
	want := Raw(w.T, text)
	got := make([]byte, len(want))
	if n, err := io.ReadFull(w, got); err != nil || !bytes.Equal(got, want) {
		w.T.Errorf("got %.80x, %v, want %.80x", got[:n], err, want)
	}
}

// Response reads one response.
func (w RawSession) Response() onecall.Response {
	w.T.Helper()
	r, err := onecall.DecodeResponse(w.Frame())
	if err != nil {
		w.T.Errorf("response: %v", err)
	}
	return r
}

// ExpectHello wants the hello of a client, which offers the version of every peer, and maybe another one.
func (w RawSession) ExpectHello() {
	w.T.Helper()
	if got := fmt.Sprintf("%x", w.Frame()); got != "0a0100" && got != "0a020001" {
		w.T.Errorf("got the hello %s", got)
	}
}

func (w RawSession) Request() onecall.Request {
	w.T.Helper()
	r, err := onecall.DecodeRequest(w.Frame())
	if err != nil {
		w.T.Errorf("request: %v", err)
	}
	return r
}

// Frame reads the payload of a frame.
func (w RawSession) Frame() []byte {
	w.T.Helper()
	var head [4]byte
	if _, err := io.ReadFull(w, head[:]); err != nil {
		w.T.Errorf("frame: %v", err)
		return nil
	}
	body := make([]byte, int(head[0])<<24|int(head[1])<<16|int(head[2])<<8|int(head[3]))
	if _, err := io.ReadFull(w, body); err != nil {
		w.T.Errorf("frame of %d: %v", len(body), err)
	}
	return body
}

// Ends wants the end of the session, in order or not.
func (w RawSession) Ends() {
	w.T.Helper()
	began := time.Now()
	b := make([]byte, 1)
	if n, err := w.Read(b); n > 0 || err == nil {
		w.T.Errorf("got %x, want the end", b[:n])
	} else if took := time.Since(began); took > 11*time.Second {
		w.T.Errorf("got the end after %v", took)
	}
}

// Hi answers the request with this id, as greet does.
func (w RawSession) Hi(id int) {
	w.T.Helper()
	w.Send(fmt.Sprintf("0000000a 08%02x 1801 52040a026869", id))
}

// Dribble sends the bytes one at a time, until the peer has had enough.
func (w RawSession) Dribble(text string, pause time.Duration) {
	for _, b := range Raw(w.T, text) {
		if _, err := w.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

// Raw is bytes, written in hexadecimal with spaces.
func Raw(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	Hello    = "00000003 0a0100"
	Accepted = "00000002 0800"
	NoRoom   = "00000004 10011802"
	Ping     = "00000004 18022078"
	Pong     = "00000002 1802"
)

// TakeFor has a node believe that a connected peer has this user agent, which no
// node of this library has.
func TakeFor(t *testing.T, n, peer *gamelantest.Node, agent string) {
	t.Helper()
	ref, ok := n.Connection(peer.ID())
	if !ok {
		t.Fatalf("not connected to node %d", peer.Number)
	}
	synctest.Wait() // others have read it
	ref.UserAgent = agent
}

// Bounded is for calls that may wait in vain.
func Bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Types of the requests and answers of the test service.
type (
	Text   = wrapperspb.StringValue
	Number = wrapperspb.UInt64Value
	Blob   = wrapperspb.BytesValue
)

const TestService protocol.ID = "test/rpc/1"

// Methods of the test service.
const (
	Greet   = 1  // text → text
	Count   = 2  // number → stream of so many numbers
	Wait    = 3  // number of ms → text, whatever ctx says while stubborn
	Fail    = 4  // text → an error with that text; "panic" panics
	Sized   = 5  // number → blob of that size
	Echo    = 6  // blob → blob
	Endless = 7  // number → stream of blobs of that size, for ever
	Ignore  = 18 // stream of blobs, of which it reads none, for ever
)

// Service is the test service and what it saw.
type Service struct {
	Running, Calls, Waits, Cancelled, items atomic.Int64
	Stubborn                                atomic.Bool
}

func (s *Service) Service() rpc.Service {
	return rpc.Service{Protocol: TestService, Methods: []rpc.Method{
		rpc.Unary(Greet, func(ctx context.Context, in *Text) (*Text, error) {
			s.Calls.Add(1)
			who, ok := rpc.CallerOf(ctx)
			if !ok || who.Peer.IsZero() {
				return nil, errors.New("no caller")
			}
			return wrapperspb.String("Hello, " + in.Value), nil
		}),
		rpc.Stream(Count, func(ctx context.Context, in *Number) iter.Seq2[*Number, error] {
			return func(yield func(*Number, error) bool) {
				s.Running.Add(1)
				defer s.Running.Add(-1)
				for i := range in.Value {
					if !yield(wrapperspb.UInt64(i), nil) {
						s.Cancelled.Add(1)
						return
					}
				}
			}
		}),
		rpc.Unary(Wait, func(ctx context.Context, in *Number) (*Text, error) {
			s.Waits.Add(1)
			s.Running.Add(1)
			defer s.Running.Add(-1)
			d := time.Duration(in.Value) * time.Millisecond
			if s.Stubborn.Load() {
				time.Sleep(d)
				return &Text{}, nil
			}
			select {
			case <-time.After(d):
				return wrapperspb.String("waited"), nil
			case <-ctx.Done():
				s.Cancelled.Add(1)
				return nil, ctx.Err()
			}
		}),
		rpc.Unary(Fail, func(_ context.Context, in *Text) (*Text, error) {
			switch {
			case in.Value == "panic":
				panic("on purpose")
			case strings.HasPrefix(in.Value, "private"):
				return nil, errors.New(in.Value)
			}
			return nil, rpc.Errorf(rpc.NotFound, "%s", in.Value)
		}),
		rpc.Unary(Sized, func(_ context.Context, in *Number) (*Blob, error) {
			return wrapperspb.Bytes(make([]byte, in.Value)), nil
		}),
		rpc.Unary(Echo, func(_ context.Context, in *Blob) (*Blob, error) { return in, nil }),
		rpc.Stream(Endless, func(ctx context.Context, in *Number) iter.Seq2[*Blob, error] {
			return func(yield func(*Blob, error) bool) {
				s.Running.Add(1)
				defer s.Running.Add(-1)
				for yield(wrapperspb.Bytes(make([]byte, in.Value)), nil) {
					s.items.Add(1)
				}
				s.Cancelled.Add(1)
			}
		}),
		rpc.ClientStream(Ignore, func(ctx context.Context, _ iter.Seq2[*Blob, error]) (*Text, error) {
			s.Running.Add(1)
			defer s.Running.Add(-1)
			<-ctx.Done()
			return nil, ctx.Err()
		}),
	}}
}

// Pair is a node that serves and one that calls it.
type Pair struct {
	Net            *gamelantest.Network
	Server, Client *gamelantest.Node
	Service        *Service
	Calls          *rpc.Client
}

func (p *Pair) Greet(ctx context.Context, name string) (string, error) {
	reply, err := rpc.Call[Text, Text](ctx, p.Calls, Greet, wrapperspb.String(name))
	return reply.GetValue(), err
}

func (p *Pair) MustGreet(t *testing.T) {
	t.Helper()
	if got, err := p.Greet(t.Context(), "again"); err != nil || got != "Hello, again" {
		t.Errorf("got %q, %v from a call afterwards", got, err)
	}
}

// Idle checks that nothing is left of calls: no credit, no method that runs.
func (p *Pair) Idle(t *testing.T) {
	t.Helper()
	gamelantest.Eventually(t, 5*time.Second, "no method running", func() bool { return p.Service.Running.Load() == 0 })
	for _, n := range []*gamelantest.Node{p.Server, p.Client} {
		gamelantest.Eventually(t, 5*time.Second, "no credit in use", func() bool {
			in, _, out, _ := nodetest.Trunk(n).Credit()
			return in == 0 && out == 0
		})
		for _, info := range n.Inspection().Tree().Snapshot() {
			if strings.Contains(info.Path, "/rpc") && info.LastFailure != nil && info.Contained == 0 {
				t.Errorf("%s failed: %v", info.Path, info.LastFailure)
			}
		}
	}
}

func (p *Pair) ClientSessions() (paths []string) {
	for _, info := range p.Client.Inspection().Tree().Snapshot() {
		if info.Kind == "rpcClientSession" {
			paths = append(paths, info.Path)
		}
	}
	return paths
}

func (p *Pair) IdleServer(t *testing.T) {
	t.Helper()
	gamelantest.Eventually(t, 5*time.Second, "nothing left at the server", func() bool {
		in, _, out, _ := nodetest.Trunk(p.Server).Credit()
		return p.Service.Running.Load() == 0 && in == 0 && out == 0 && Sessions(p.Server) == 0
	})
}

// NewPair starts a node that serves the test service and a connected one that calls it.
func NewPair(t *testing.T, server, client gamelan.Config) *Pair {
	net := gamelantest.NewNetwork(t)
	p := &Pair{Net: net, Service: new(Service)}
	p.Server = net.Start(server, gamelan.WithService(p.Service.Service()))
	p.Client = net.Start(client)
	net.Connect(p.Client, p.Server)
	p.Calls = p.Client.RPC().Client(p.Server.ID(), TestService)
	return p
}

// Sessions is how many RPC sessions the node serves.
func Sessions(n *gamelantest.Node) int { return len(SessionPaths(n)) }

// SessionPaths are the actors of the sessions that the node serves.
func SessionPaths(n *gamelantest.Node) (served []string) {
	for _, info := range n.Inspection().Tree().Snapshot() {
		if info.Kind == "rpcSession" {
			served = append(served, info.Path)
		}
	}
	return served
}
