package product

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// SendDHT is gamelan/dht-sent-SEAL-N: an actor sends messages of n bytes over the
// DHT, "clear", "signed" or "encrypted", a few hundred at a time, to one peer in
// a process of its own that only reads them. An operation is a send whose report
// says confirmed; CPU is the sender's alone.
func SendDHT(n int, seal string) harness.Case {
	return harness.Case{Name: "gamelan/dht-sent-" + seal + "-" + size(n), Run: func(m *harness.Meter) (err error) {
		s := &nodes{ctx: m.Context()}
		defer func() { err = errors.Join(err, s.close()) }()
		sink, err := startOther(s.ctx, sinkVariable+"=1")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, sink.stop()) }()
		var confirmed atomic.Uint64
		failed := make(chan error, 1)
		l := &letters{body: payload(n), confirmed: &confirmed, failed: failed}
		l.node, err = s.start(gamelan.Config{DHT: &gamelan.DHTConfig{}, Listen: []string{gamelan.ListenNowhere}},
			gamelan.WithType(benchType, func(*gamelan.Node) actor.Actor { return l }))
		if err != nil {
			return err
		}
		id, err := l.node.Peers().AddSeed(s.ctx, sink.ready)
		if err != nil {
			return err
		}
		conn, err := l.node.Dial(s.ctx, id)
		if err != nil {
			return err
		}
		l.message = dht.Message{
			To: dht.DirectKey{Key: conn.Key}, Type: benchType, Sign: seal == "signed", Encrypt: seal == "encrypted",
		}
		pid, ok := l.node.Actor(fmt.Sprintf("type-%d", benchType))
		if !ok {
			return errors.New("the node has no actor for the type")
		}
		l.node.System().Root.Send(pid, begin{})
		if err := until(m, func() bool { return confirmed.Load() > 0 || len(failed) > 0 }); err != nil {
			return err
		}
		m.SetBytes(n)
		err = m.Flow(confirmed.Load)
		select {
		case lost := <-failed:
			err = errors.Join(err, lost)
		default:
		}
		return err
	}}
}

// lettersWindow is how many messages are under way.
const lettersWindow = 300

// letters is an actor that keeps a window of messages over the DHT under way.
type letters struct {
	node      *gamelan.Node
	message   dht.Message
	body      []byte
	sent      uint64
	confirmed *atomic.Uint64
	failed    chan<- error
}

func (l *letters) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case begin:
		for range lettersWindow {
			l.send(c)
		}
	case dht.Sent:
		if m.Report.Count(protocol.Confirmed) != 1 {
			select {
			case l.failed <- fmt.Errorf("message %d: got %v, want confirmed", m.ID, &m.Report):
			default:
			}
			return
		}
		l.confirmed.Add(1)
		l.send(c)
	}
}

func (l *letters) send(c actor.Context) {
	l.sent++
	m := l.message
	m.Body = binary.LittleEndian.AppendUint64(make([]byte, 0, len(l.body)), l.sent)
	m.Body = append(m.Body, l.body[8:]...)
	l.node.DHT().SendFrom(c, l.sent, m)
}
