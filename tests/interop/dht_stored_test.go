package interop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
)

// startWallet starts a client of ours, connected to nobody.
func startWallet(t *testing.T, cfg gamelan.StoreForwardConfig, opts ...gamelan.Option) *member {
	t.Helper()
	return startMemberAs(t, gamelan.Config{Client: true, DHT: &gamelan.DHTConfig{}, StoreForward: cfg}, opts...)
}

// storage describes what the node stores for others.
func (m *member) storage() models.StoreForwardServer {
	m.t.Helper()
	s := m.DHT().StoreForward(m.t.Context()).Server
	if s == nil {
		m.t.Fatal("got no store, want one")
	}
	return *s
}

// answers is how many requests for stored messages the node has answered.
func (m *member) answers() uint64 {
	by := m.storage().Requests
	return by["answered"] + by["answered later"]
}

// fetch asks those peers, or whom it chooses, for stored messages.
func (m *member) fetch(t *testing.T, peers ...identity.NodeID) dht.Fetched {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), connectLimit)
	defer cancel()
	f, err := m.DHT().FetchStored(ctx, peers...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// leaves writes sealed messages for somebody who is away to that many neighbours, as a user
// does: "stored 7".
func (m *member) leaves(key identity.PublicKey, first, count, neighbours int) {
	m.t.Helper()
	for i := first; i < first+count; i++ {
		r := m.mustSend(dht.Message{To: dht.StoreFor{To: key}, Body: []byte(stored(i)), Encrypt: true}, neighbours)
		if !r.ToStore {
			m.t.Errorf("got %s, want it written to nodes that may store it", r.String())
		}
	}
}

// wantOnce checks that numbered messages were delivered once each, marked as stored and with
// their authors, and returns them.
func (m *member) wantOnce(t *testing.T, authors []identity.PublicKey, servers ...identity.NodeID) {
	t.Helper()
	times := make(map[string]int)
	for _, d := range m.heard.Delivered() {
		body := string(d.Body)
		if !strings.HasPrefix(body, "stored ") {
			continue
		}
		if times[body]++; times[body] > 1 {
			t.Errorf("%q: got it again, want it once", body)
		}
		if !d.Stored || !slices.Contains(authors, d.From) || !slices.Contains(servers, d.Peer) || !d.Encrypted {
			t.Errorf("%q: got stored %v, from %s, brought by %s, want it stored, from %v, by %v", body, d.Stored, d.From, d.Peer, authors, servers)
		}
	}
}

// settled waits until a Tari node with one task has handled what others wrote to it before.
func (p *tari) settled(t *testing.T, theirs []*tari, ours []*member) {
	t.Helper()
	for _, from := range theirs {
		body := fmt.Sprintf("settled %d", len(p.delivered()))
		from.mustPost(letter{to: "key", peer: p, messageType: domainType}, body)
		p.delivery(body)
	}
	for _, from := range ours {
		body := fmt.Sprintf("settled %d", len(p.delivered()))
		from.mustSend(dht.Message{To: dht.Direct{Peer: p.id}, Body: []byte(body)}, 1)
		p.delivery(body)
	}
}

// A node of rc.5 stores what others write to a client of ours that is away, one of ours and
// one of theirs. When the client comes it asks by itself, or when it is told to, and gets
// each message once; what it asks for again brings nothing new. Nobody else gets any.
//
// conforms: dht 98, 99, 107, 108; V 33
// feature: DHT: they store for us, and we ask when we connect and when we are told to
func TestTheyStoreForUs(t *testing.T) {
	t.Parallel()
	for name, quiet := range map[string]bool{"by itself": false, "when told": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, theirs := startTariDHT(t, "1.0.0-rc.5", "--dht-tasks", "1"), startTariDHT(t, "1.0.0-rc.5", "--dht-tasks", "1")
			ours := startMember(t, gamelan.DHTConfig{})
			w, other := startWallet(t, gamelan.StoreForwardConfig{NoRequests: quiet}), startWallet(t, gamelan.StoreForwardConfig{})
			defer wantNoBans(t, []*member{ours, w, other}, []*tari{server, theirs})
			meet(t, theirs, server)
			reach(t, ours, server, weDial)
			theirs.leaves(w.PublicKey(), 0, 3)
			ours.leaves(w.PublicKey(), 3, 3, 1)
			server.settled(t, []*tari{theirs}, []*member{ours})
			reach(t, other, server, theyDial)
			reach(t, w, server, weDial)
			if quiet {
				if got := w.heard.Bodies(); len(got) > 0 {
					t.Errorf("got %q before it was told to ask, want nothing", got)
				}
				gamelantest.Eventually(t, connectLimit, "the messages, when it is told to ask", func() bool {
					return w.fetch(t, server.id).Complete() && w.heard.Len() >= 6
				})
			}
			for i := range 6 {
				w.delivery(stored(i))
			}
			w.fetch(t, server.id) // joins the first run if that is under way
			again := w.fetch(t, server.id)
			if !again.Complete() || again.Delivered() > 0 {
				t.Errorf("a second fetch: got %+v, want nothing new and no error", again)
			}
			if got := other.fetch(t); !got.Complete() || got.Servers[0].Messages > 0 || other.heard.Len() > 0 {
				t.Errorf("another client: got %+v and %q, want nothing", got, other.heard.Bodies())
			}
			w.wantOnce(t, []identity.PublicKey{theirs.key, ours.PublicKey()}, server.id)
		})
	}
}

// We store what others write to a client of rc.5 that is away, one of ours and one of theirs.
// It gets each message once, also in answers to encrypted requests. What is no request, and
// an answer without messages, changes nothing. Nobody else gets any.
//
// conforms: dht 92, 98, 99; V 33
// feature: DHT: we store for them, and answer clear and encrypted requests
func TestWeStoreForThem(t *testing.T) {
	t.Parallel()
	theirs := startTariDHT(t, "1.0.0-rc.5")
	reader, other := startTariClient(t), startTariClient(t)
	server, ours := startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{})
	defer wantNoBans(t, []*member{server, ours}, []*tari{theirs, reader, other})
	reach(t, server, theirs, theyDial)
	join(t, ours, server)
	theirs.leaves(reader.key, 0, 3)
	ours.leaves(reader.key, 3, 3, 1)
	gamelantest.Eventually(t, connectLimit, "all messages in our store", func() bool { return server.storage().Messages == 6 })
	reach(t, server, reader, theyDial)
	reach(t, server, other, weDial)

	reader.getsStored(server.PublicKey(), 6)
	for i := range 6 {
		d := reader.delivery(stored(i))
		author := theirs.key
		if i >= 3 {
			author = ours.PublicKey()
		}
		if !d.Stored || keyOf(d.Origin) != author || d.Source != server.ID() || keyOf(d.Destination) != reader.key {
			t.Errorf("%q: got %+v, want it stored, from %s, brought by %s", d.Body, d, author, server.ID())
		}
	}
	reader.askStored(server.PublicKey()) // for nothing
	other.askStored(server.PublicKey())
	reader.askByHand(server.PublicKey(), "encrypted", wire.StoredRequest{RequestID: 7, Limit: 50}.Append(nil))
	reader.askByHand(server.PublicKey(), "clear", []byte("\xff\xff\xff"))
	gamelantest.Eventually(t, connectLimit, "answers to four requests", func() bool { return server.answers() >= 4 })

	// What comes after nothing is still stored and given away.
	theirs.leaves(reader.key, 6, 1)
	gamelantest.Eventually(t, connectLimit, "the last message in our store", func() bool { return server.storage().Messages == 7 })
	reader.getsStored(server.PublicKey(), 7)
	server.mustSend(dht.Message{To: dht.Direct{Peer: other.id}, Body: []byte("last")}, 1)
	other.delivery("last")
	if got := reader.delivered(); len(got) != 7 {
		t.Errorf("got %d messages, want the 7 once each: %+v", len(got), got)
	}
	if got := other.delivered(); len(got) != 1 {
		t.Errorf("another client: got %+v, want only the last message", got)
	}
}

// Of more than 50 messages each request brings 50: from a node of ours the oldest first and
// the rest with the next request, from one of rc.5 always the same ones.
//
// conforms: dht 98, 103
// feature: DHT: more than 50 stored messages, theirs and ours
// note: 1.0.0-rc.5: gives 50 of them again and again, never the others
func TestManyStored(t *testing.T) {
	t.Parallel()
	const count, most = 120, 50
	t.Run("we store", func(t *testing.T) {
		t.Parallel()
		author, reader, server := startTariDHT(t, "1.0.0-rc.5", "--dht-tasks", "1"), startTariClient(t), startMember(t, gamelan.DHTConfig{})
		defer wantNoBans(t, []*member{server}, []*tari{author, reader})
		reach(t, server, author, theyDial)
		author.leaves(reader.key, 0, count)
		gamelantest.Eventually(t, connectLimit, "all messages in our store", func() bool { return server.storage().Messages == count })
		reach(t, server, reader, theyDial)
		// More than 50 in one answer it would ban us for.
		got := reader.getsStored(server.PublicKey(), most)[:most]
		for i := range most { // the oldest first
			if !slices.ContainsFunc(got, func(d delivery) bool { return string(d.Body) == stored(i) }) {
				t.Errorf("got no %q in the first %d messages, want the oldest there", stored(i), most)
			}
		}
		for _, want := range []int{2 * most, count} {
			reader.getsStored(server.PublicKey(), want)
		}
		for i := range count {
			if n := reader.times(stored(i)); n != 1 {
				t.Errorf("%q: got it %d times, want once", stored(i), n)
			}
		}
	})
	t.Run("they store", func(t *testing.T) {
		t.Parallel()
		author, server := startTariDHT(t, "1.0.0-rc.5", "--dht-tasks", "1"), startTariDHT(t, "1.0.0-rc.5", "--dht-tasks", "1")
		w := startWallet(t, gamelan.StoreForwardConfig{NoRequests: true})
		defer wantNoBans(t, []*member{w}, []*tari{author, server})
		meet(t, author, server)
		author.leaves(w.PublicKey(), 0, count)
		// That of a later second comes first, whatever else they choose.
		server.settled(t, []*tari{author}, nil)
		time.Sleep(1100 * time.Millisecond)
		author.leaves(w.PublicKey(), count, 1)
		server.settled(t, []*tari{author}, nil)
		reach(t, w, server, weDial)
		gamelantest.Eventually(t, connectLimit, "the message that came last", func() bool {
			w.fetch(t, server.id)
			return w.times(stored(count)) == 1
		})
		if got := w.heard.Len(); got != most {
			t.Errorf("got %d messages, want %d", got, most)
		}
		if got := w.fetch(t, server.id); got.Delivered() > 0 {
			t.Errorf("got %+v, want nothing new", got)
		}
		w.wantOnce(t, []identity.PublicKey{author.key}, server.id)
	})
}

// A client of ours that comes back asks a node of rc.5 and two of ours, all of which store the
// same messages for it: it gets each once, and knows that it has them all.
//
// conforms: V 33
// feature: DHT: messages stored at both kinds of nodes come once
func TestStoredAtBothKinds(t *testing.T) {
	t.Parallel()
	const count = 10
	theirs := startTariDHT(t, "1.0.0-rc.5", "--dht-tasks", "1")
	first, second := startMember(t, gamelan.DHTConfig{}), startMember(t, gamelan.DHTConfig{})
	author, w := startMember(t, gamelan.DHTConfig{}), startWallet(t, gamelan.StoreForwardConfig{})
	defer wantNoBans(t, []*member{first, second, author, w}, []*tari{theirs})
	reach(t, author, theirs, weDial)
	join(t, author, first)
	join(t, author, second)
	author.leaves(w.PublicKey(), 0, count, 3)
	gamelantest.Eventually(t, connectLimit, "all messages in our stores", func() bool {
		return first.storage().Messages == count && second.storage().Messages == count
	})
	theirs.settled(t, nil, []*member{author})
	reach(t, w, theirs, weDial)
	join(t, w, first)
	join(t, w, second)
	f := w.fetch(t)
	if len(f.Servers) != 3 || !f.Complete() {
		t.Errorf("got %+v, want three servers that have nothing new", f)
	}
	for i := range count {
		w.delivery(stored(i))
	}
	if got := w.heard.Len(); got != count {
		t.Errorf("got %d messages, want %d", got, count)
	}
	w.wantOnce(t, []identity.PublicKey{author.PublicKey()}, theirs.id, first.ID(), second.ID())
}

// warnings counts the warnings in a log that mention stored messages.
type warnings struct {
	slog.Handler
	mu  *sync.Mutex
	all *[]string
}

func newWarnings() warnings {
	return warnings{slog.NewTextHandler(logTo(), nil), new(sync.Mutex), new([]string)}
}

func (w warnings) Enabled(context.Context, slog.Level) bool { return true }
func (w warnings) WithAttrs(a []slog.Attr) slog.Handler     { w.Handler = w.Handler.WithAttrs(a); return w }

func (w warnings) WithGroup(name string) slog.Handler {
	w.Handler = w.Handler.WithGroup(name)
	return w
}

// Handle keeps what is worse than a piece of information.
func (w warnings) Handle(ctx context.Context, r slog.Record) error {
	if r.Level > slog.LevelInfo {
		w.mu.Lock()
		*w.all = append(*w.all, r.Message)
		w.mu.Unlock()
	}
	return w.Handler.Handle(ctx, r)
}

// repeated returns what was said more than once.
func (w warnings) repeated() (twice []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, s := range *w.all {
		if slices.Contains((*w.all)[:i], s) {
			twice = append(twice, s)
		}
	}
	return twice
}

// Among nodes of 6.2.0, which answer no request, a client of ours asks three times and then no
// more when it connects; a fetch still tries, and says that there is no answer. A node of ours
// stores for a node of 6.2.0 that never asks. Nothing fails that worked before, nobody is
// banned, and no warning comes twice.
//
// conforms: V 21, 33
// feature: DHT: nodes that store nothing are asked three times, and nobody is banned
func TestNobodyStores(t *testing.T) {
	t.Parallel()
	p, q := startTariDHT(t, "6.2.0"), startTariDHT(t, "6.2.0", "--dht-tasks", "1")
	said := newWarnings()
	w := startWallet(t, gamelan.StoreForwardConfig{}, gamelan.WithLogger(slog.New(said)))
	m := startMember(t, gamelan.DHTConfig{})
	defer wantNoBans(t, []*member{w, m}, []*tari{p, q})
	reach(t, m, p, weDial)
	reach(t, w, p, weDial)
	requests := func() uint64 { return w.DHT().StoreForward(t.Context()).Client.Requests }
	gamelantest.Eventually(t, connectLimit, "a request when it connects", func() bool { return requests() == 1 })

	p.mustPost(letter{to: "propagate", peer: q, seal: "encrypted", messageType: domainType, exclude: []identity.PublicKey{w.PublicKey()}}, "for one who never asks")
	reach(t, m, q, theyDial)
	p.mustPost(letter{to: "propagate", peer: q, seal: "encrypted", messageType: domainType, exclude: []identity.PublicKey{w.PublicKey()}}, "relayed")
	q.delivery("relayed")

	for asked := uint64(1); asked < saf.SilentAfter; { // one may join the run that is under way
		f := w.fetch(t, p.id)
		if len(f.Servers) != 1 || !errors.Is(f.Servers[0].Err, saf.ErrUnanswered) {
			t.Fatalf("got %+v, want no answer", f)
		}
		asked = requests()
	}
	for range 2 {
		if err := w.Disconnect(t.Context(), p.id); err != nil {
			t.Fatal(err)
		}
		reach(t, w, p, weDial)
		time.Sleep(2 * saf.AutoSpread)
	}
	if got := requests(); got != saf.SilentAfter {
		t.Errorf("got %d requests, want %d and then none of its own accord", got, saf.SilentAfter)
	}
	key := w.PublicKey()
	p.mustPost(letter{to: "key", key: &key, reader: &key, seal: "encrypted", messageType: domainType}, "as ever")
	w.delivery("as ever")
	if twice := said.repeated(); len(twice) > 0 {
		t.Errorf("got warnings again: %q, want each once", twice)
	}
}
