package main

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemon"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

const (
	fakePeer = "00112233445566778899aabbcc"
	fakeKey  = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"
)

var fakeTime = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// fakeNode serves the API of a node that does not exist, on the socket in dir,
// until ctx ends.
func fakeNode(ctx context.Context, dir string) error {
	d := nodedir.Named(dir)
	k, err := d.Load()
	if err != nil {
		return err
	}
	var s inspect.Sections
	s.Section("node", func(context.Context) any {
		return models.Node{NodeID: k.Secret.NodeID().String(), Network: "localnet", Addresses: []string{"/ip4/127.0.0.1/tcp/4001"}}
	})
	slow := newFakeSlow()
	s.Section("peers", func(context.Context) any {
		slow.looked()
		return fakePeers()
	})
	s.Section("ledger", func(context.Context) any {
		return models.Ledger{Accepted: 1234, Ended: 1233, Reports: slices.Concat(fakeReports(), []models.Report{fakeStored(true)}, slow.open())}
	})
	s.Section("dht", func(context.Context) any { return fakeDHT() })
	network := newFakeNetwork()
	s.Section("network", func(context.Context) any { return network.state() })
	s.Section("saf", func(context.Context) any { return fakeStoreForward() })
	s.Section("kad", func(context.Context) any { return fakeKad() })
	s.Section("kad-peers", func(context.Context) any { return fakeKadContacts() })
	s.Section("kad-own", func(context.Context) any { return fakeKadOwn() })
	server, err := daemon.Serve(d,
		inspect.Options{Source: fakeSource{}, Sections: &s, Messages: fakeInbox{}},
		inspect.Actions{
			Sender: fakeSender{slow}, DHT: fakeDHTSender{slow},
			Verbs:       map[string]map[string]inspect.Verb{"network": network.actions(), "saf": fakeStoreForwardActions(), "kad": fakeKadActions()},
			Acknowledge: func(context.Context, []uint64) error { return nil },
		}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	<-ctx.Done()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	return server.Close(now)
}

func fakePeers() []models.Peer {
	return []models.Peer{
		{NodeID: fakePeer, PublicKey: fakeKey, UserAgent: "gamelan/0\x1b", Connection: new("c-1"), Addresses: []models.Address{
			{Addr: "/ip4/127.0.0.1/tcp/4000", Score: 1, LastAttempt: fakeTime, LastError: "old"},
			{Addr: "/ip4/127.0.0.1/tcp/4002", Score: 9, LastOK: fakeTime.Add(time.Second)},
		}},
		{NodeID: "9c01d2e4a1b2c3d4e5f6a7b8c9", Addresses: []models.Address{
			{Addr: "/ip4/127.0.0.1/tcp/4003", LastAttempt: time.Now().Add(-36 * time.Hour), LastError: "connection refused"},
		}},
		{NodeID: "aaaaaaaaaaaaaaaaaaaaaaaaaa", BannedUntil: time.Date(2126, 11, 21, 0, 0, 0, 0, time.UTC), BanReason: "bad signature"},
		{NodeID: "bbbbbbbbbbbbbbbbbbbbbbbbbb"},
	}
}

type fakeSource struct{}

func (fakeSource) Actors() []inspect.Actor {
	a := func(id, parent, name string, processed, restarts uint64) inspect.Actor {
		return inspect.Actor{
			ID: id, Parent: parent, Name: name, State: inspect.Running, Incarnation: 1 + restarts,
			StartedAt: fakeTime, Processed: processed, Restarts: restarts, Rate: new(float64(processed) / 8),
		}
	}
	conn := a("g/node/conns/"+fakePeer+"-1", "g/node/conns", fakePeer+"-1", 1200, 0)
	conn.Mailbox.Depth = 3
	return []inspect.Actor{
		a("g/node", "", "node", 10, 0),
		a("g/node/conns", "g/node", "conns", 12, 2),
		conn,
		a("g/node/listeners", "g/node", "listeners", 1, 0),
	}
}

func (fakeSource) Ask(_ context.Context, path string) (inspect.Detail, error) {
	if path == "g/node/conns" {
		return inspect.Detail{Line: "1 connection"}, nil
	}
	return inspect.Detail{}, nil
}

// fakeSender confirms every message, except those that say something else; on
// "leave" the process ends as if it had been killed, once the client asks what that message
// waits for: it has read the outcome of the one before.
type fakeSender struct{ slow *fakeSlow }

func (fakeSender) Resolve(ctx context.Context, peer string) (string, error) {
	if strings.HasPrefix(peer, "dddd") { // a search without an end
		select {
		case <-ctx.Done():
		case <-time.After(patience):
		}
	}
	if !strings.HasPrefix(fakePeer, peer) && !strings.HasPrefix(peer, fakeKey+"::") {
		return "", errors.New("no peer " + peer + " is known")
	}
	return fakePeer, nil
}

func (f fakeSender) Send(ctx context.Context, m inspect.SendRequest) (inspect.Pending, error) {
	switch body := string(m.Body); {
	case strings.HasPrefix(body, "fail"):
		return settled{Outcome: models.OutcomeFailed, Reason: "dial failed", Detail: "connection refused"}, nil
	case strings.HasPrefix(body, "doubt"):
		return settled{Outcome: models.OutcomeInDoubt, Reason: "connection lost"}, nil
	case body == "leave":
		waiting(f.slow.nextLook()).Wait(ctx)
		os.Exit(9)
	case body == "slow":
		return waiting(f.slow.nextLook()), nil
	}
	return settled{Outcome: models.OutcomeConfirmed}, nil
}

// waiting has no outcome until somebody looks at the peers.
type waiting <-chan struct{}

func (w waiting) Wait(ctx context.Context) models.Outcome {
	select {
	case <-w:
		return models.Outcome{Outcome: models.OutcomeConfirmed}
	case <-ctx.Done():
	case <-time.After(patience): // nobody has looked
	}
	return models.Outcome{Outcome: models.OutcomeFailed, Reason: "expired"}
}

// settled has its outcome already.
type settled models.Outcome

func (s settled) Wait(context.Context) models.Outcome { return models.Outcome(s) }

// fakeReports are one message of which a part is confirmed, one that went to
// nobody, and one under way.
func fakeReports() []models.Report {
	copies := func(outcomes ...string) (all []models.Copy) {
		for i, o := range outcomes {
			c := models.Copy{Peer: fakePeers()[i].NodeID, Outcome: models.Outcome{Outcome: o}, Tries: 1, At: fakeTime.Add(time.Second)}
			switch o {
			case models.OutcomeInDoubt:
				c.Reason, c.Tries = "connection lost", 2
			case models.OutcomeOpen:
				c.At, c.Tries = time.Time{}, 0
			}
			all = append(all, c)
		}
		return all
	}
	return []models.Report{
		{
			Tag: "00c0ffee00000002", To: "direct to " + fakePeer, Type: 7, Size: 9, Begin: fakeTime.Add(time.Minute), End: fakeTime.Add(2 * time.Minute),
			Reason: "peer not found", Detail: "nobody looks", Summary: "failed: peer not found: nobody looks", Copies: []models.Copy{},
		},
		{
			Tag: "00c0ffee00000001", To: "propagate to " + fakePeer, Destination: fakeKey, Type: 1225, Encrypted: true, Size: 2048,
			Begin: fakeTime, End: fakeTime.Add(1500 * time.Millisecond), Summary: "1 of 2 confirmed, 1 in doubt",
			Copies: copies(models.OutcomeConfirmed, models.OutcomeInDoubt),
		},
		{
			Tag: "00c0ffee00000003", To: "broadcast", Type: 1225, Size: 5, Begin: fakeTime.Add(3 * time.Minute), Summary: "0 of 1 confirmed, 1 open",
			Copies: copies(models.OutcomeOpen),
		},
	}
}

// fakeStored is a message that went to two nodes near its receiver, one of which has
// confirmed it, or none.
func fakeStored(confirmed bool) models.Report {
	x := fakeReports()[1]
	x.Tag, x.To, x.ToStore = "00c0ffee00000005", "to store for "+fakePeer+", or direct if it is connected", true
	x.Summary = "written to 1 neighbour that may store it, 1 in doubt"
	if !confirmed {
		x.Summary = "written to no neighbour that may store it, 2 in doubt"
		x.Copies[0].Outcome = x.Copies[1].Outcome
	}
	return x
}

func fakeDHT() models.DHT {
	return models.DHT{
		On: true, Protocol: "t/msg/0.1", PlainProtocol: "gamelan/msg/1", Forwarding: true, Types: []int32{225, 1225},
		Inbound: []models.DHTCount{
			{Reason: "delivered", Count: 1200},
			{Reason: "bad signature", Count: 1, LastAt: time.Now().Add(-time.Hour), LastPeer: fakePeer, LastError: "it\x1b does not verify"},
		},
		Outbound: &models.DHTOutbound{
			Sends: 3, Copies: 5, Confirmed: 3, InDoubt: 1, OpenSends: 1, OpenCopies: 1, Resent: 2, Paced: 4, Relayed: 6, RelayedTo: 7, Dropped: 8, Nobody: 5,
			Credit: models.Credit{Used: 5, Limit: 1 << 20},
		},
		Dedup: models.DHTDedup{Messages: 9, Capacity: 50000, Repeats: 10},
	}
}

// fakeDHTSender sends every message to the peers of the first report of
// fakeReports, with the same outcomes, except those that say something else.
type fakeDHTSender struct{ slow *fakeSlow }

// fakeSlow is a message that has no report until somebody has looked at the peer
// that it waits for.
type fakeSlow struct {
	mu    sync.Mutex
	begin time.Time
	seen  chan struct{}
	once  sync.Once

	peers chan struct{} // closed when somebody looks at the peers; nil: nobody waits for that
}

func newFakeSlow() *fakeSlow {
	return &fakeSlow{seen: make(chan struct{})}
}

func (f *fakeSlow) send() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begin = time.Now()
}

func (f *fakeSlow) open() []models.Report {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.begin.IsZero() {
		return nil
	}
	r := fakeReports()[2]
	r.Tag, r.Begin, r.Copies[0].Peer = "00c0ffee00000004", f.begin, fakePeers()[1].NodeID
	return []models.Report{r}
}

// nextLook returns a channel that is closed when somebody looks at the peers.
func (f *fakeSlow) nextLook() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.peers = make(chan struct{})
	return f.peers
}

func (f *fakeSlow) looked() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.peers != nil {
		close(f.peers)
		f.peers = nil
	}
	if !f.begin.IsZero() {
		f.once.Do(func() { close(f.seen) })
	}
}

func (f fakeDHTSender) Prepare(_ context.Context, r inspect.DHTRequest) (inspect.DHTSend, error) {
	if r.Type != nil && *r.Type == 404 {
		return nil, &inspect.Error{Code: inspect.CodeUnknownPeer, Message: "no peer of that type", Hint: "take another"}
	}
	return func(ctx context.Context, body []byte) (func(context.Context) models.Report, error) {
		x := fakeReports()[1]
		switch string(body) {
		case "slow":
			f.slow.send()
			return func(ctx context.Context) models.Report {
				select {
				case <-f.slow.seen:
				case <-ctx.Done():
				case <-time.After(patience): // nobody has looked
				}
				x.Copies = x.Copies[1:]
				return x
			}, nil
		case "nobody":
			x = fakeReports()[0]
		case "good":
			x.Copies = x.Copies[:1]
		case "leave":
			f.slow.send()
			waiting(f.slow.nextLook()).Wait(ctx) // who has confirmed the message before
			waiting(f.slow.nextLook()).Wait(ctx)
			os.Exit(9)
		case "stored", "lost":
			x = fakeStored(string(body) == "stored")
		}
		return func(context.Context) models.Report { return x }, nil
	}, nil
}

type fakeInbox struct{}

func (fakeInbox) Listen(ctx context.Context, _ inspect.Listening) iter.Seq2[models.Message, error] {
	return func(yield func(models.Message, error) bool) {
		for i, body := range []string{"hello", "\x1b[31mred\r", "\xff\x00\x01"} {
			m := models.Message{Seq: uint64(i + 1), At: fakeTime.Add(time.Duration(i+1) * time.Second), From: fakeKey, Peer: fakePeer, Body: []byte(body)}
			if i == 2 {
				m.Lost = 7
			}
			if !yield(m, nil) {
				return
			}
		}
		for i, d := range []models.DHTMessage{
			{Origin: "9c01d2e4a1b2c3d4e5f6a7b8c9", Type: 1225, Encrypted: true, Copies: 1, SentAt: fakeTime.Add(-time.Minute)},
			{Origin: "9c01d2e4a1b2c3d4e5f6a7b8c9", Type: 225, Tag: "00c0ffee00000009", Copies: 2, SentAt: fakeTime.Add(-24 * time.Hour)},
			{Type: 1225, Copies: 1},
		} {
			m := models.Message{Seq: uint64(i + 4), At: fakeTime, Peer: fakePeer, Body: []byte("far"), DHT: &d}
			if d.Origin != "" {
				m.From = fakeKey
			}
			if !yield(m, nil) {
				return
			}
		}
		<-ctx.Done()
	}
}
