package dhtpart_test

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// fake is an actor that keeps what it hears.
type fake struct{ heard *record }

// record is what a fake has heard.
type record struct {
	mu       sync.Mutex
	messages []any
}

func (f fake) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case actor.AutoReceiveMessage, actor.SystemMessage:
	case publish:
		supervisor.Publish(c, m.event)
	default:
		f.heard.mu.Lock()
		defer f.heard.mu.Unlock()
		f.heard.messages = append(f.heard.messages, m)
	}
}

// part is a part of the node. It replies to each message of the type M with what ask
// returns, unless that is nil.
type part[M any] struct{ ask func(M) any }

func (p part[M]) Receive(c actor.Context) {
	if m, ok := c.Message().(M); ok {
		if what := p.ask(m); what != nil {
			c.Send(c.Sender(), what)
		}
	}
}

// publish has a fake publish an event.
type publish struct{ event any }

func known(n byte) peerstore.Peer {
	return peerstore.Peer{Key: identity.PublicKey{n}, ID: identity.PublicKey{n}.NodeID(), Features: identity.FeatureNode}
}

// count is how many messages of a type were heard.
func count[T any](r *record) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.messages {
		if _, ok := m.(T); ok {
			n++
		}
	}
	return n
}
