package kad_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// post is a network of a user's: a channel for each member.
type post struct {
	boxes map[kad.Address]chan kad.Incoming
}

// letterbox is a member of a post, as its user writes it.
type letterbox struct {
	post *post
	at   kad.Address
	key  [32]byte
	end  chan struct{} // closed by Close
	bad  chan struct{} // closed when it breaks by itself
}

var errSplit = &overlay.DecodeError{Stage: overlay.StageFrame, Cause: io.ErrUnexpectedEOF}

func (b *letterbox) Addresses() []kad.Address { return []kad.Address{b.at} }

func (b *letterbox) Receive(ctx context.Context) (kad.Incoming, error) {
	select {
	case in := <-b.post.boxes[b.at]:
		if in.Address == "" {
			return in, errSplit
		}
		return in, nil
	case <-b.end:
		return kad.Incoming{}, io.EOF
	case <-b.bad:
		return kad.Incoming{}, io.ErrClosedPipe
	case <-ctx.Done():
		return kad.Incoming{}, ctx.Err()
	}
}

func (b *letterbox) Send(ctx context.Context, o kad.Outgoing) error {
	to, ok := b.post.boxes[o.Address]
	if !ok {
		return errors.New("no such box")
	}
	in := kad.Incoming{
		Packet: kad.Packet{Address: b.at, PublicKey: b.key, Message: o.Message, Size: 100},
		From:   kad.Contact{ID: overlay.NodeID(b.key), PublicKey: b.key, Addresses: []kad.Address{b.at}},
	}
	if b.key == ([32]byte{}) { // of the overlay Seed
		in.From = overlay.SeedContact(o.Message.Sender, b.at)
	}
	select {
	case to <- in:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *letterbox) Close() error {
	close(b.end)
	return nil
}

// A network of the user's, whose calls block, carries clients: values are found, a message that
// is no message is counted, a gateway that ends is opened again, and one that cannot be opened
// fails the start.
func TestGatewayOfTheUser(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{})
		p := &post{boxes: map[kad.Address]chan kad.Incoming{}}
		opened := make([]*letterbox, 4)
		at := func(i int) kad.Address { return kad.Address(fmt.Sprintf("/memory/%d", i+1)) }
		for i := range opened {
			p.boxes[at(i)] = make(chan kad.Incoming, 8)
		}
		for i := range opened {
			l.add(func(c *kad.Config) {
				c.Networks = []kad.Network{kad.Blocking(kad.BlockingOptions{
					Label: "post", Limits: kad.Limits{Private: true},
					Open: func(context.Context) (kad.Gateway, error) {
						opened[i] = &letterbox{post: p, at: at(i), key: c.PublicKey, end: make(chan struct{}), bad: make(chan struct{})}
						return opened[i], nil
					},
				})}
			})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		r, err := l.clients[1].Put(t.Context(), []byte("value"))
		if err != nil || r.Accepted != 3 {
			t.Fatalf("got %+v, %v, want three holders", r, err)
		}
		l.get(l.clients[2], r.Key, "value")
		p.boxes["/memory/3"] <- kad.Incoming{}
		synctest.Wait()
		if n := l.clients[2].Stats().Malformed; n != 1 {
			t.Errorf("got %d bad messages counted, want 1", n)
		}

		was := opened[2]
		close(was.bad)
		time.Sleep(time.Minute)
		synctest.Wait()
		if opened[2] == was {
			t.Error("got a gateway that was not opened again")
		}
		r, err = l.clients[2].Put(t.Context(), []byte("after"))
		if err != nil || r.Accepted != 3 {
			t.Errorf("got %+v, %v after that, want three holders", r, err)
		}

		none := errors.New("no post today")
		for _, open := range []func(context.Context) (kad.Gateway, error){nil, func(context.Context) (kad.Gateway, error) { return nil, none }} {
			_, err := kad.Start(t.Context(), l.host, kad.Config{Name: "late", Networks: []kad.Network{kad.Blocking(kad.BlockingOptions{Label: "post", Open: open})}})
			if open == nil && !errors.Is(err, kad.ErrConfig) || open != nil && !errors.Is(err, none) {
				t.Errorf("got %v, want why it cannot be opened", err)
			}
		}
	})
}

// slowbox takes its time to send a STORE, as a link with little room does.
type slowbox struct {
	*letterbox
	pace time.Duration
}

func (b *slowbox) Send(ctx context.Context, o kad.Outgoing) error {
	if o.Message.Verb == overlay.Store {
		select {
		case <-time.After(b.pace):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return b.letterbox.Send(ctx, o)
}

// slowSeeds starts clients of the overlay Seed of which the first sends a STORE at a pace.
func slowSeeds(t *testing.T, n int, pace time.Duration) *lab {
	t.Helper()
	l := newLab(t, kad.HubOptions{}, kad.StandaloneOptions{})
	p := &post{boxes: map[kad.Address]chan kad.Incoming{}}
	address := func(i int) kad.Address { return kad.Address(fmt.Sprintf("/memory/%d", i+1)) }
	for i := range n {
		p.boxes[address(i)] = make(chan kad.Incoming, 64)
	}
	for i := range n {
		at := address(i)
		l.add(func(c *kad.Config) {
			c.Overlay, c.PublicKey = kad.Seed, [32]byte{}
			c.Networks = []kad.Network{kad.Blocking(kad.BlockingOptions{
				Label: "post", Limits: kad.Limits{Private: true},
				Open: func(context.Context) (kad.Gateway, error) {
					box := &letterbox{post: p, at: at, end: make(chan struct{}), bad: make(chan struct{})}
					if i > 0 {
						return box, nil
					}
					return &slowbox{box, pace}, nil
				},
			})}
		})
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	return l
}

// A client whose put has ended sends what the report says was sent, although it is closed at
// once: the overlay Seed has no answer to a STORE that a put could wait for.
func TestCloseSendsWhatWasPut(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		const holders, pace = 5, 100 * time.Millisecond
		l := slowSeeds(t, 1+holders, pace)
		c := l.clients[0]
		r, err := c.PutOpaque(t.Context(), []byte("name"), []byte("value"))
		if err != nil || r.Accepted != holders {
			t.Fatalf("got %+v, %v, want %d holders", r, err, holders)
		}
		begun := time.Now()
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != holders*pace {
			t.Errorf("closing took %v, want %v", took, holders*pace)
		}
		synctest.Wait()
		for _, other := range l.clients[1:] {
			if got := kad.Local(t, other, r.Key); got == nil || string(got.Value) != "value" {
				t.Errorf("%s: got %v, want the value that was put", other.Name(), got)
			}
		}
	})
}

// A network that stands still delays the end of a client for two seconds.
func TestCloseWithStandingNetwork(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		c := slowSeeds(t, 3, time.Hour).clients[0]
		if _, err := c.PutOpaque(t.Context(), []byte("name"), []byte("value")); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("closing took %v, want two seconds", took)
		}
	})
}
