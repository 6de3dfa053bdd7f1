package product

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// writersVariable holds [writers] in a process that does nothing else.
const writersVariable = "GAMELAN_BENCH_WRITERS"

// writers are peers that send messages of the DHT which were made before: nodes
// without the DHT, whose plain messages are what a DHT reads as envelopes. They
// begin when a byte comes on standard input and end with that.
type writers struct {
	Seed      string             // of the node that they write to
	Secrets   []*identity.Secret `json:"-"`
	Keys      [][]byte           // the secrets, for the other process
	Size      int                // of a message
	Different int                // messages of each peer, which it sends in turn
	Sealed    bool               // encrypted for the holder of To, else signed
	To        identity.PublicKey
}

// startWriters starts the process, and returns when all are connected and have
// made their messages.
func startWriters(ctx context.Context, w writers) (*otherProcess, error) {
	for _, s := range w.Secrets {
		w.Keys = append(w.Keys, s.Bytes())
	}
	text, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	return startOther(ctx, writersVariable+"="+string(text))
}

// Writers is the other process of ReceiveDHT: it does that and reports true if
// this is one.
func Writers() (was bool, err error) {
	text, was := os.LookupEnv(writersVariable)
	if !was {
		return false, nil
	}
	var w writers
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return true, err
	}
	return true, w.run()
}

func (w writers) run() error {
	s := shared(context.Background())
	failed := make(chan error, len(w.Keys))
	var all []*gamelan.Node
	for _, key := range w.Keys {
		secret, err := identity.SecretFromBytes(key)
		if err != nil {
			return err
		}
		frames, err := w.compose(secret)
		if err != nil {
			return err
		}
		n, err := s.start(gamelan.Config{Secret: secret, Listen: []string{gamelan.ListenNowhere}},
			gamelan.WithHandler(func(node *gamelan.Node) actor.Actor {
				return &writer{node: node, frames: frames, window: credit * 3 / 4 / (len(frames[0]) + overhead), failed: failed}
			}))
		if err != nil {
			return err
		}
		id, err := n.AddSeed(s.ctx, w.Seed)
		if err != nil {
			return err
		}
		if _, err := n.Dial(s.ctx, id); err != nil {
			return err
		}
		if err := tell(n, writeTo{id}); err != nil {
			return err
		}
		all = append(all, n)
	}
	return untilTold("ready", func() error {
		for _, n := range all {
			if err := tell(n, begin{}); err != nil {
				return err
			}
		}
		return nil
	}, failed)
}

// compose makes the messages of one of them.
func (w writers) compose(secret *identity.Secret) ([][]byte, error) {
	frames := make([][]byte, w.Different)
	header := dht.DomainHeader{Type: benchType}.Append(nil)
	body := payload(w.Size)
	for i := range frames {
		binary.LittleEndian.PutUint64(body, uint64(i))
		d := dht.Draft{
			Type: dht.TypeDomain, Sign: true, Expires: uint64(time.Now().Add(time.Hour).Unix()), Body: dht.AppendBody(nil, header, body),
		}
		if w.Sealed {
			d.Destination, d.EncryptFor = dht.To(w.To), w.To
		}
		e, err := dht.Compose(d, secret, rand.Reader)
		if err != nil {
			return nil, err
		}
		frames[i] = e.Append(nil)
	}
	return frames, nil
}

// writer is an actor that keeps a window of its frames under way to one peer.
type writer struct {
	node   *gamelan.Node
	to     identity.NodeID
	frames [][]byte
	window int
	sent   uint64
	failed chan<- error
}

type writeTo struct{ peer identity.NodeID }

func (w *writer) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case writeTo:
		w.to = m.peer
	case begin:
		for range w.window {
			w.send(c)
		}
	case actors.Sent:
		if m.Outcome.Kind != protocol.Confirmed {
			select {
			case w.failed <- fmt.Errorf("message %d: got %v, want confirmed", m.ID, m.Outcome):
			default:
			}
			return
		}
		w.send(c)
	}
}

func (w *writer) send(c actor.Context) {
	frame := w.frames[w.sent%uint64(len(w.frames))]
	w.sent++
	w.node.SendFrom(c, actors.SendBody{ID: w.sent, Peer: w.to, Body: frame})
}

// untilTold says, with a line, that this process is ready, calls begin when a byte comes on
// standard input, and returns at its end.
func untilTold(ready string, begin func() error, failed <-chan error) error {
	fmt.Println(ready)
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadByte(); err != nil {
		return nil // not needed any more
	}
	if err := begin(); err != nil {
		return err
	}
	ended := make(chan error)
	go func() {
		_, err := io.Copy(io.Discard, in)
		ended <- err
	}()
	select {
	case err := <-failed:
		return errors.Join(err, <-ended)
	case err := <-ended:
		return err
	}
}
