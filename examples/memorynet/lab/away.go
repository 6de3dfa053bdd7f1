package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// letterType is the message type of letters to a wallet.
const letterType = 1002

// letter returns a message that nodes near a member may store while it is away.
func letter(to *Member, number uint64) dht.Message {
	return dht.Message{
		To: dht.StoreFor{To: to.Key}, Encrypt: true, Type: letterType, Body: binary.BigEndian.AppendUint64(nil, number),
	}
}

// letterbox returns the actor of a member that records letters.
func (j *journal) letterbox(member int) gamelan.NewActor {
	return func(*gamelan.Node) actor.Actor {
		return actor.ReceiveFunc(func(c actor.Context) {
			if m, ok := c.Message().(dht.Received); ok && len(m.Body) == 8 {
				j.mu.Lock()
				j.letters[binary.BigEndian.Uint64(m.Body)]++
				j.mu.Unlock()
				j.notify()
			}
		})
	}
}

// newLetters forgets the letters that have come, and returns a number above theirs.
func (j *journal) newLetters() (first uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for n := range j.letters {
		first = max(first, n+1)
	}
	j.letters = make(map[uint64]int)
	return first
}

// arrived returns how many different letters have come, and how many came again.
func (j *journal) arrived() (letters, again int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, n := range j.letters {
		letters, again = letters+1, again+n-1
	}
	return letters, again
}

// Away has the last wallet go away, other members write letters to it, and the wallet come
// back; when called again, the wallet before that. Its goal: the wallet gets each letter,
// once. Without wallets there is nothing to do.
func (l *Lab) Away(ctx context.Context, letters int) (Phase, error) {
	return l.phase(ctx, "away", func(ctx context.Context) (string, bool, error) {
		wallets := l.Wallets()
		if len(wallets) == 0 {
			return "there is no wallet", true, nil
		}
		w := wallets[len(wallets)-1-l.rounds%len(wallets)]
		first := l.log.newLetters()
		l.rounds++
		if err := l.leave(ctx, w); err != nil {
			return "", false, err
		}
		written, copies := 0, 0
		for i := range letters {
			from := l.nodes()[l.random.IntN(len(l.nodes()))]
			report, err := from.Node.DHT().Send(ctx, letter(w, first+uint64(i)))
			if err != nil {
				return "", false, fmt.Errorf("letter of %s: %w", from.Name, err)
			}
			if n := report.Count(protocol.Confirmed); n > 0 && report.ToStore {
				written, copies = written+1, copies+n
			}
		}
		got, again, err := l.comeBack(ctx, w, letters)
		if err != nil {
			return "", false, err
		}
		return fmt.Sprintf("%d letters to %s, which was away, were written to %.1f neighbours each that may store them; back, it got %d of %d, %d of them twice",
			written, w.Name, float64(copies)/float64(max(written, 1)), got, letters, again), written == letters && got == letters && again == 0, nil
	})
}

// leave stops a member, and waits until the others have noticed.
func (l *Lab) leave(ctx context.Context, m *Member) error {
	if err := m.Node.Close(ctx); err != nil {
		return fmt.Errorf("stop %s: %w", m.Name, err)
	}
	m.Node = nil
	l.until(ctx, "leave", func() (done, of int) {
		for _, other := range l.Members {
			if other.Node == nil {
				continue
			}
			of++
			if _, ok := other.Node.Connection(m.ID); !ok {
				done++
			}
		}
		return done, of
	})
	return ctx.Err()
}

// comeBack starts a member that knows one random node, and returns how many letters came and
// how many came again. In the end every neighbour that stores letters was asked.
func (l *Lab) comeBack(ctx context.Context, m *Member, letters int) (got, again int, err error) {
	known := l.nodes()[l.random.IntN(len(l.nodes()))]
	if err := l.start(ctx, l.log.index[m.ID], known.Node.Seed()); err != nil {
		return 0, 0, err
	}
	l.until(ctx, "away", func() (done, of int) {
		got, _ := l.log.arrived()
		return got, letters
	})
	if _, err := m.Node.DHT().FetchStored(ctx); err != nil && !errors.Is(err, gamelan.ErrNobodyToAsk) && ctx.Err() == nil {
		return 0, 0, fmt.Errorf("%s fetches stored messages: %w", m.Name, err)
	}
	got, again = l.log.arrived()
	return got, again, nil
}
