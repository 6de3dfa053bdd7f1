package comms

import (
	"errors"
	"io"
	"testing"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/peerbook"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// openStream is a substream that was opened late.
type openStream struct {
	protocol.Stream
	closed bool
}

func (s *openStream) Close() error {
	s.closed = true
	return nil
}

var _ io.Closer = (*openStream)(nil)

// TestSubstreamOfAChannelThatIsOver gives a channel up before it has its substream, as a request does
// when the peer answers none. What comes then is not used: the substream is reset, nothing is dialled, and
// the channel that has replaced it stays.
func TestSubstreamOfAChannelThatIsOver(t *testing.T) {
	const token = 7
	for name, arrive := range map[string]func(*link, *openStream){
		"substream": func(l *link, s *openStream) {
			m := actors.SubstreamOpened{Token: token, Conn: &actors.ConnRef{}, Stream: supervisor.Hand[protocol.Stream](s, nil)}
			l.substream(nil, m)
			m.Discard() // as a mailbox does after the turn
			if !s.closed {
				t.Error("got the substream open, want it reset")
			}
		},
		"connection": func(l *link, _ *openStream) {
			l.dialled(nil, dialling.PeerDialed{Token: token, Conn: &actors.ConnRef{}})
		},
		"no connection": func(l *link, _ *openStream) {
			l.dialled(nil, dialling.PeerDialed{Token: token, Err: errors.New("refused")})
		},
		"peer in the store": func(l *link, _ *openStream) { l.peerAdded(nil, peerbook.PeerAdded{Token: token}) },
		"no substream": func(l *link, _ *openStream) {
			l.failed(nil, connections.SubstreamFailed{Token: token, ConnectionLost: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := &channel{token: token}
			other := &channel{}
			l := &link{
				n: &Network{}, tokens: map[uint64]*channel{token: x}, out: map[identity.PublicKey]*channel{{}: other}, tasks: make(map[string]any),
			}
			x.end(nil, false)
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("got %v, want that nothing is done", p)
				}
			}()
			arrive(l, &openStream{})
			if len(l.tasks) != 0 || len(l.tokens) != 0 || l.out[x.key] != other {
				t.Errorf("got %d tasks, %d tokens and the channel %p, want none, and %p", len(l.tasks), len(l.tokens), l.out[x.key], other)
			}
		})
	}
}
