package control

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/words"
)

// dhtSender sends the API's messages over the DHT through a node.
type dhtSender struct {
	node *gamelan.Node
	said *recentlySent
}

func newDHTSender(n *gamelan.Node) dhtSender { return dhtSender{n, new(recentlySent)} }

// recentlySent remembers the last messages that were sent to several peers unsigned and
// unencrypted. Nodes identify such a message by its bytes.
type recentlySent struct {
	mu   sync.Mutex
	has  map[[32]byte]bool
	ring [dht.LedgerKept][32]byte
	next int
}

// repeated reports whether the message was sent before, and remembers it.
func (s *recentlySent) repeated(m *dht.Message) bool {
	sum := sha256.New()
	sum.Write(binary.BigEndian.AppendUint32(nil, uint32(m.Type)))
	sum.Write(m.Body)
	h := [32]byte(sum.Sum(nil))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has == nil {
		s.has = make(map[[32]byte]bool)
	}
	if s.has[h] {
		return true
	}
	delete(s.has, s.ring[s.next])
	s.has[h], s.ring[s.next] = true, h
	s.next = (s.next + 1) % len(s.ring)
	return false
}

// Prepare checks a request. If it has an address of the receiver, Prepare adds that to the
// known peers.
func (s dhtSender) Prepare(ctx context.Context, r inspect.DHTRequest) (inspect.DHTSend, error) {
	if !s.node.DHT().Enabled() {
		return nil, trunk.VerbError(actors.ErrNoDHT, "")
	}
	m := dht.Message{Type: TextType, Encrypt: r.Encrypt, Sign: r.Sign, Limit: r.Timeout, Tag: r.Tag}
	if r.Type != nil {
		m.Type = *r.Type
	}
	if m.Type == dht.TypePing {
		return nil, bad(HintType, "type %d is that of pings, which nodes send by themselves", dht.TypePing)
	}
	if r.Store && r.Strategy != "" {
		return nil, bad("leave the strategy out", "store chooses the peers itself")
	}
	how, err := ParseStrategy(r.Strategy)
	if err != nil {
		return nil, err
	}
	var to identity.PublicKey
	switch {
	case r.To != "":
		key, err := s.receiver(ctx, r.To)
		if err != nil {
			return nil, err
		}
		to = key
	case how.NeedsKey(), r.Encrypt, r.Store:
		return nil, bad("name the receiver with to=KEY", "no recipient")
	}
	m.To = how.Of(to)
	switch {
	case r.Store:
		m.To, m.Encrypt = dht.StoreFor{To: to}, true
	case how.Name != "direct": // the receiver of a direct message is the peer itself
		m.Destination = to
	}
	return func(ctx context.Context, body []byte) (func(context.Context) models.Report, error) {
		if len(body) > MaxDHTBody {
			return nil, fmt.Errorf("%s bytes, and over the DHT a message has at most %s; send it in parts", inspect.Number(uint64(len(body))), inspect.Number(MaxDHTBody))
		}
		m := m
		m.Body = body
		sending, err := s.node.DHT().Submit(ctx, m)
		if err != nil {
			return nil, errors.New(words.Sentence(err))
		}
		repeated := how.Name != "direct" && !m.Encrypt && !m.Sign && s.said.repeated(&m)
		return func(ctx context.Context) models.Report {
			r := s.node.Inspection().Report(sending.Wait(ctx))
			r.Repeated = repeated
			return r
		}, nil
	}, nil
}

// toItself returns the error of a message from the node to itself.
func toItself() error { return bad(HintOther, "%s", words.Sentence(actors.ErrSelf)) }

// receiver returns the key of a receiver given as a public key, known or not, as a known
// node id, or as KEY::ADDRESS.
func (s dhtSender) receiver(ctx context.Context, text string) (key identity.PublicKey, err error) {
	if key, err = identity.ParsePublicKey(text); err == nil {
		if key == s.node.PublicKey() {
			return key, toItself()
		}
		return key, nil
	}
	id, err := s.node.Peers().Given(ctx, text, true)
	switch {
	case errors.Is(err, actors.ErrSelf):
		return key, toItself()
	case err != nil:
		return key, trunk.NotFound(err, HintReceiver)
	}
	if p, ok := s.node.Peers().Get(id); ok && !p.Key.IsZero() {
		return p.Key, nil
	}
	return key, &inspect.Error{Code: inspect.CodeUnknownPeer, Message: "the public key of that node is not known", Hint: "give the key itself"}
}
