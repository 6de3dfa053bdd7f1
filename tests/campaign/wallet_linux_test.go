//go:build campaign

package campaign

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// wallet is a client that comes and goes. The receiver stores for it what the library sends.
type wallet struct {
	p       *pair
	node    *gamelan.Node
	servers []identity.NodeID // the receiver, and the sender on the command line: both may store for it
}

// startWallet starts the wallet of a pair.
func (p *pair) startWallet(ctx context.Context, dir string) (*wallet, error) {
	w := &wallet{p: p}
	hear := func(*gamelan.Node) actor.Actor { return w }
	var err error
	w.node, err = gamelan.Start(ctx, gamelan.Config{
		DataDir: filepath.Join(dir, "wallet"), Client: true, Floor: gamelan.NoFloor, DHT: &gamelan.DHTConfig{}, Private: p.private, Listen: []string{"/ip4/127.0.0.1/tcp/0"},
	}, gamelan.WithLogger(slog.New(slog.DiscardHandler)), gamelan.WithType(1225, hear))
	for _, seed := range []string{p.receiver.seed, p.command.seed} {
		var id identity.NodeID
		if err == nil {
			id, err = w.node.Peers().AddSeed(ctx, seed)
		}
		w.servers = append(w.servers, id)
	}
	return w, err
}

// Receive notes a message that was stored, or relayed while the wallet was connected.
func (w *wallet) Receive(c actor.Context) {
	m, ok := c.Message().(dht.Received)
	if !ok {
		return
	}
	n := 0
	if _, err := fmt.Sscanf(string(m.Body), "campaign:stored:%d:", &n); err != nil {
		return
	}
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	if w.p.printed["stored"] == nil {
		w.p.printed["stored"] = make(map[int][]print)
	}
	w.p.printed["stored"][n] = append(w.p.printed["stored"][n], print{0, time.Now()})
}

// come connects and goes away in turn.
func (w *wallet) come(ctx context.Context) {
	for ctx.Err() == nil {
		w.dial(ctx)
		pause(ctx, 10*time.Second)
		for _, id := range w.servers {
			_ = w.node.Disconnect(context.WithoutCancel(ctx), id)
		}
		pause(ctx, 10*time.Second)
	}
}

// dial connects to those servers that can be reached.
func (w *wallet) dial(ctx context.Context) {
	for _, id := range w.servers {
		within, done := context.WithTimeout(ctx, 10*time.Second)
		if _, err := w.node.Dial(within, id); err != nil {
			w.p.saying("the wallet cannot connect: " + err.Error())
		}
		done()
	}
}

// settle fetches until nothing has come for a while.
func (w *wallet) settle(ctx context.Context) {
	for end := time.Now().Add(4 * time.Minute); time.Now().Before(end) && w.missing() > 0; pause(ctx, 10*time.Second) {
		w.dial(ctx)
		f, err := w.node.DHT().FetchStored(ctx, w.servers...)
		if err != nil {
			w.p.saying("the wallet cannot fetch: " + err.Error())
		}
		for _, r := range f.Servers {
			if r.Err != nil {
				w.p.saying("the wallet's fetch: " + r.Err.Error())
			}
		}
	}
}

// missing returns how many confirmed messages have not come.
func (w *wallet) missing() (n int) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	for i, s := range w.p.journal["stored"] {
		if s.out == protocol.Confirmed && len(w.p.printed["stored"][i]) == 0 && !w.p.unstored(s.at) {
			n++
		}
	}
	return n
}

// sendStored sends messages to the wallet, which is away half of the time.
func (p *pair) sendStored(ctx context.Context, to identity.PublicKey) {
	var waits sync.WaitGroup
	for tick := time.NewTicker(500 * time.Millisecond); ctx.Err() == nil; <-tick.C {
		body, n := p.next("stored", 500)
		s, err := p.library.DHT().Submit(p.t.Context(), dht.Message{To: dht.StoreFor{To: to}, Encrypt: true, Type: 1225, Body: body})
		if err != nil {
			p.ended("stored", n, protocol.Failed)
			continue
		}
		waits.Go(func() {
			out, at := p.stored(s.Wait(p.t.Context()))
			p.endedAt("stored", n, out, at)
		})
	}
	waits.Wait()
}

// stored returns the outcome of a send, and its time: of the receiver's copy, which is the one that
// can be lost, or of another.
func (p *pair) stored(r dht.Report) (out protocol.OutcomeKind, at time.Time) {
	out, at = protocol.Failed, r.End
	for _, c := range r.Copies {
		switch {
		case c.Outcome.Kind == protocol.Confirmed && (out != protocol.Confirmed || c.Peer == p.peer):
			out, at = protocol.Confirmed, c.At
		case c.Outcome.Kind == protocol.InDoubt && out == protocol.Failed:
			out, at = protocol.InDoubt, c.At
		}
	}
	return out, at
}
