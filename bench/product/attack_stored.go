package product

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Of the attack by stored messages.
const (
	storedKeys   = 155 // identities for each of which one message is stored
	storedLength = 54_000
	askAgain     = 2 * time.Second // as often as one peer may

	handOutLetters = 5 // for each honest receiver
	handOutEvery   = 250 * time.Millisecond
	handOutWithin  = 5 * time.Second
	fetchAgain     = 100 * time.Millisecond
	ownLength      = 60_000
)

// storedAnswersFromTor has clients ask for a message stored for each, all the time, and read
// nothing and acknowledge nothing. Beside that honest receivers fetch five messages, and the node
// sends messages of its own. All come from loopback. A stroke is a request.
func storedAnswersFromTor() attack {
	return storedAnswers("stored-answers-tor", false, func(int) string { return "127.0.0.1" })
}

// storedAnswersFromFiveSources does the same from five addresses in as many networks. Honest peers
// come from other networks.
func storedAnswersFromFiveSources() attack {
	const sources = 5
	return storedAnswers("stored-answers-5-sources", true, func(i int) string { return fmt.Sprintf("127.8.%d.1", i%sources) })
}

func storedAnswers(name string, placed bool, from func(i int) string) attack {
	return attack{
		name: name, placed: placed, config: gamelan.Config{DHT: &gamelan.DHTConfig{}, Floor: gamelan.NoFloor},
		stage: fetchesBeside,
		prepare: func(_ context.Context, seed string) (func(context.Context, *atomic.Uint64) error, error) {
			return func(ctx context.Context, count *atomic.Uint64) error {
				var key atomic.Int64
				return atATime(storedKeys, func() error {
					i := int(key.Add(1)) - 1
					return repeat(ctx, func() error { return askOnly(ctx, seed, from(i), storedKey(i), count) })
				})
			}, nil
		},
	}
}

// storedKey is the secret key of an identity for which a message is stored.
func storedKey(i int) *identity.Secret {
	secret, err := identity.NewSecret(rand.NewChaCha8([32]byte{byte(i), 's'}))
	if err != nil {
		panic(err) // the source of randomness never fails
	}
	return secret
}

// askOnly connects, asks for stored messages until the connection ends, and reads nothing.
func askOnly(ctx context.Context, seed, from string, secret *identity.Secret, count *atomic.Uint64) error {
	c, err := enterAs(ctx, seed, from, secret, identity.FeatureNone)
	if err != nil {
		return err
	}
	defer c.Close()
	opening, err := negotiate.AppendOptimistic(nil, protocol.MessagingID)
	if err != nil {
		return err
	}
	const open = 1 // the flag of the first frame on a substream
	if err := writeMux(c, open, opening); err != nil {
		return err
	}
	for ctx.Err() == nil {
		e, err := wire.Compose(wire.Draft{
			Type: wire.TypeStoredRequest, Expires: uint64(time.Now().Add(time.Hour).Unix()),
			Body: wire.AppendBody(nil, wire.StoredRequest{RequestID: rand.Uint32()}.Append(nil)), // equal ones would be duplicates
		}, nil, nil)
		if err != nil {
			return err
		}
		if err := writeMux(c, 0, frame.Append(nil, e.Append(nil))); err != nil {
			return nil // the node has ended the connection; come again
		}
		count.Add(1)
		pause(ctx, askAgain)
	}
	return nil
}

// writeMux writes data on the first substream of a connection, without a session that would
// acknowledge what comes.
func writeMux(c net.Conn, flags uint16, data []byte) error {
	b := make([]byte, 12, 12+len(data))
	binary.BigEndian.PutUint16(b[2:], flags)
	binary.BigEndian.PutUint32(b[4:], 1) // the substream
	binary.BigEndian.PutUint32(b[8:], uint32(len(data)))
	_, err := c.Write(append(b, data...))
	return err
}

// fetchesBeside stores the messages for the attackers. From a second before the attack until its
// end, honest receivers fetch messages from the node, and it sends messages of its own.
func fetchesBeside(ctx context.Context, n *gamelan.Node) (report func(*harness.Meter), err error) {
	s := &nodes{ctx: ctx}
	author, err := s.start(gamelan.Config{Listen: []string{gamelan.ListenNowhere}, DHT: &gamelan.DHTConfig{}, Floor: gamelan.NoFloor})
	if err == nil {
		err = connect(ctx, author, n)
	}
	for i := range storedKeys {
		if err == nil {
			err = storeAway(ctx, author, storedKey(i).PublicKey(), storedLength)
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	beside, cancel := context.WithCancel(ctx)
	var handed, sent shareOf
	var wg sync.WaitGroup
	wg.Go(func() {
		for tick := time.NewTicker(handOutEvery); beside.Err() == nil; <-tick.C {
			wg.Go(func() {
				began := time.Now()
				got, err := handOut(beside, author, n)
				handed.add(beside, err == nil && got == handOutLetters, time.Since(began))
			})
		}
	})
	wg.Go(func() {
		for beside.Err() == nil {
			within, cancel := context.WithTimeout(beside, handOutWithin)
			began := time.Now()
			report, err := n.DHT().Send(within, dht.Message{To: dht.Direct{Peer: author.ID()}, Type: benchType, Body: payload(ownLength)})
			cancel()
			sent.add(beside, err == nil && report.Count(protocol.Confirmed) == 1, time.Since(began))
			pause(beside, 20*time.Millisecond)
		}
	})
	time.Sleep(time.Second)
	handedBefore, handedTook := handed.take()
	sentBefore, _ := sent.take()
	return func(m *harness.Meter) {
		cancel()
		wg.Wait()
		during, took := handed.take()
		m.Report("control hand-outs %", handedBefore)
		m.Report("hand-outs %", during)
		m.Report("p50 of hand-outs ns", took)
		m.Report("p50 of hand-outs ratio", took/handedTook)
		own, _ := sent.take()
		m.Report("control own sends %", sentBefore)
		m.Report("own sends %", own)
		m.Report("answers given up", float64(n.DHT().StoreForward(ctx).Server.Requests["answers given up"]))
		_ = s.close()
	}, nil
}

// shareOf counts what succeeded, and how long it took.
type shareOf struct {
	mu   sync.Mutex
	all  int
	took []time.Duration
}

// add counts one, unless ctx has ended it.
func (s *shareOf) add(ctx context.Context, good bool, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !good && ctx.Err() != nil {
		return
	}
	s.all++
	if good {
		s.took = append(s.took, took)
	}
}

// take returns how many per cent succeeded since the last call, and the median of their times
// in ns.
func (s *shareOf) take() (good, median float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	good, median = 100*float64(len(s.took))/float64(max(s.all, 1)), p50(s.took)
	s.all, s.took = 0, nil
	return good, median
}

// storeAway sends a message for somebody who is away.
func storeAway(ctx context.Context, author *gamelan.Node, to identity.PublicKey, length int) error {
	report, err := author.DHT().Send(ctx, dht.Message{To: dht.StoreFor{To: to}, Type: benchType, Encrypt: true, Body: payload(length)})
	if err == nil && report.Count(protocol.Confirmed) == 0 {
		err = fmt.Errorf("a message to be stored: %s", report)
	}
	return err
}

// handOut has messages stored for a new identity, which then connects and fetches them. It returns
// how many have come.
func handOut(ctx context.Context, author, n *gamelan.Node) (got int, err error) {
	secret, err := identity.NewSecret(crand.Reader)
	if err != nil {
		return 0, err
	}
	for range handOutLetters {
		if err := storeAway(ctx, author, secret.PublicKey(), 100); err != nil {
			return 0, err
		}
	}
	within, cancel := context.WithTimeout(ctx, handOutWithin)
	defer cancel()
	var delivered atomic.Int64
	s := &nodes{ctx: ctx}
	defer func() { err = errors.Join(err, s.close()) }()
	receiver, err := s.start(gamelan.Config{
		Secret: secret, Client: true, Listen: []string{gamelan.ListenNowhere}, DHT: &gamelan.DHTConfig{}, Floor: gamelan.NoFloor,
	}, gamelan.WithType(benchType, func(*gamelan.Node) actor.Actor {
		return receive(func(c actor.Context) {
			if _, ok := c.Message().(dht.Received); ok {
				delivered.Add(1)
			}
		})
	}))
	if err == nil {
		err = connect(within, receiver, n)
	}
	for err == nil && delivered.Load() < handOutLetters {
		if _, err = receiver.DHT().FetchStored(within, n.ID()); delivered.Load() < handOutLetters {
			pause(within, fetchAgain) // the node may still be storing them
		}
	}
	return int(delivered.Load()), err
}
