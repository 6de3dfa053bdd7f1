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

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/messaging"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// writersVariable holds [writers] in a process that does nothing else.
const writersVariable = "GAMELAN_BENCH_WRITERS"

// writers are peers that send messages of the DHT which were made before, on the
// wire of a node with the DHT and without anything above it. They begin when a byte
// comes on standard input and end with that. The receiver's windows alone hold
// them back.
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
	failed := make(chan error, len(w.Keys))
	var all []*writer
	for _, key := range w.Keys {
		secret, err := identity.SecretFromBytes(key)
		if err != nil {
			return err
		}
		frames, err := w.compose(secret)
		if err != nil {
			return err
		}
		one, err := dial(w.Seed, secret)
		if err != nil {
			return err
		}
		one.frames = frames
		all = append(all, one)
	}
	return untilTold("ready", func() error {
		for _, one := range all {
			go func() { failed <- one.write() }()
		}
		return nil
	}, failed)
}

// compose makes the messages of one of them.
func (w writers) compose(secret *identity.Secret) ([]messaging.Entry[struct{}], error) {
	frames := make([]messaging.Entry[struct{}], w.Different)
	header := wire.DomainHeader{Type: benchType}.Append(nil)
	body := payload(w.Size)
	for i := range frames {
		binary.LittleEndian.PutUint64(body, uint64(i))
		d := wire.Draft{
			Type: wire.TypeDomain, Sign: true, Expires: uint64(time.Now().Add(time.Hour).Unix()), Body: wire.AppendBody(nil, header, body),
		}
		if w.Sealed {
			d.Destination, d.EncryptFor = wire.To(w.To), w.To
		}
		e, err := wire.Compose(d, secret, rand.Reader)
		if err != nil {
			return nil, err
		}
		frames[i].Body = e.Append(nil)
	}
	return frames, nil
}

// writer writes its frames to one peer, again and again.
type writer struct {
	session *mux.Session
	stream  *mux.Stream
	frames  []messaging.Entry[struct{}]
}

// dial sets up a connection and a substream for messages.
func dial(seed string, secret *identity.Secret) (*writer, error) {
	session, err := dialSession(seed, secret)
	if err != nil {
		return nil, err
	}
	return writerOn(session)
}

// writerOn opens a substream for messages.
func writerOn(session *mux.Session) (*writer, error) { return writerOf(session, protocol.MessagingID) }

// writerOf is writerOn with another protocol of messages.
func writerOf(session *mux.Session, id protocol.ID) (*writer, error) {
	s, err := session.Open()
	if err != nil {
		return nil, errors.Join(err, session.Close())
	}
	if _, err := negotiate.Open(s, []protocol.ID{id}); err != nil {
		return nil, errors.Join(err, session.Close())
	}
	return &writer{session: session, stream: s}, nil
}

// dialSession sets up a connection whose peer's substreams are read and forgotten.
func dialSession(seed string, secret *identity.Secret) (*mux.Session, error) {
	cfg, err := setUp(secret, identity.FeatureNode, nowhere)
	if err != nil {
		return nil, err
	}
	return dialAs(seed, loopback, cfg)
}

// dialAs is dialSession from an address of loopback, with a set-up.
func dialAs(seed, from string, cfg upgrade.Config) (*mux.Session, error) {
	to, err := peerstore.ParseSeed(seed)
	if err != nil {
		return nil, err
	}
	conn, err := knock(context.Background(), seed, from)
	if err != nil {
		return nil, err
	}
	r, err := upgrade.Outbound(context.Background(), conn, cfg, to.Key)
	if err != nil {
		return nil, err
	}
	go swallowSession(r.Session, cfg)
	return r.Session, nil
}

// loopback is where connections come from.
const loopback = "127.0.0.1"

// nowhere is an address that nobody dials.
var nowhere = ma.StringCast("/ip4/127.0.0.1/tcp/1")

func (w *writer) write() error {
	for {
		if _, err := messaging.WriteFrames(w.stream, w.frames); err != nil {
			return err
		}
	}
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
