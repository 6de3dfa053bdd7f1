package processes

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

const answers protocol.ID = "/test/answer/1"

// answerer answers the first line of a substream, ends its half and returns: it
// does not wait for the end of the client's half.
type answerer struct{ n int }

func (a *answerer) Receive(c actor.Context) {
	m, ok := c.Message().(actors.SubstreamOpened)
	if !ok {
		supervisor.Unhandled(c)
		return
	}
	s, ok := m.Stream.Take()
	if !ok {
		return
	}
	a.n++
	supervisor.Go(c, fmt.Sprint("answer-", a.n), s, func(context.Context) error {
		line, err := bufio.NewReader(s).ReadString('\n')
		if err != nil {
			return err
		}
		if _, err := io.WriteString(s, "answer to "+line); err != nil {
			return err
		}
		return s.CloseWrite()
	})
}

// No answer of a task that ends its half and returns is lost, and no call of the
// client fails, whether the client ends its half or not, on fresh connections
// over TCP and on one that is used again.
func TestAnswerThenReturn(t *testing.T) {
	t.Parallel()
	server, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{"/ip4/127.0.0.1/tcp/0"}},
		gamelan.WithProtocol(answers, func(*gamelan.Node) actor.Actor { return new(answerer) }))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close(context.Background())
	for range 8 {
		client, err := gamelan.Start(t.Context(), gamelan.Config{Listen: []string{gamelan.ListenNowhere}})
		if err != nil {
			t.Fatal(err)
		}
		peer, err := client.Peers().AddSeed(t.Context(), server.Seed())
		if err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			askLine(t, client, peer, i%2 == 0)
		}
		client.Close(context.Background())
	}
}

func askLine(t *testing.T, client *gamelan.Node, peer identity.NodeID, ends bool) {
	t.Helper()
	s, err := client.OpenStream(t.Context(), peer, answers)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := io.WriteString(s, "one\n"); err != nil {
		t.Fatalf("write: %v", err)
	}
	if ends {
		if err := s.CloseWrite(); err != nil {
			t.Fatalf("end: %v", err)
		}
	}
	if got, err := io.ReadAll(s); string(got) != "answer to one\n" || err != nil {
		t.Fatalf("with our half ended %t: got %q, %v, want the answer and its end", ends, got, err)
	}
}
