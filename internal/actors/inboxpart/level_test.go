package inboxpart

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
)

// walked is the level of a box found by looking at all it has.
func walked(b *Box) actors.InboxLevel {
	v := actors.InboxLevel{InHand: len(b.hands), Dropped: b.dropped}
	for _, e := range b.list {
		switch e.state {
		case gone:
			continue
		case read:
			v.Bytes += int64(e.size)
			continue
		default:
			v.Messages++
			v.Bytes += int64(e.size)
			if e.from.peer != none {
				v.DHT++
				v.DHTBytes += int64(e.size)
			}
		}
		if v.Oldest == 0 {
			v.Oldest = e.at
		}
	}
	for _, w := range b.queue {
		v.Waiting++
		v.WaitingBytes += int64(w.Size)
		if v.Oldest == 0 || w.At < v.Oldest {
			v.Oldest = w.At
		}
	}
	for _, l := range b.listeners {
		if l.copier != nil {
			v.Copies++
		} else {
			v.Listeners++
		}
	}
	return v
}

// TestBoxLevelIsWhatAWalkFinds takes boxes through 20,000 random events each.
func TestBoxLevelIsWhatAWalkFinds(t *testing.T) {
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 1))
		b := NewBox(Limits{Bytes: 40_000, Messages: 3000, DHT: true})
		now, next := time.Unix(1_700_000_000, 0), uint64(0)
		var there, hands []uint64
		var after uint64 // of the copies
		for step := range 20_000 {
			id := random.Uint64N(6)
			switch random.IntN(12) {
			default:
				var over *Over
				if random.IntN(3) == 0 {
					over = &Over{Peer: identity.NodeID{byte(random.IntN(3))}, Author: identity.PublicKey{byte(random.IntN(4))}}
				}
				if v, _ := b.Arrive(next+1, Entry{Size: 10 + random.IntN(20), At: int64(step + 1), Over: over}); v == Admit {
					next++
					b.Written([]uint64{next})
					there = append(there, next)
				}
			case 0:
				b.Listen(id, id%2 == 0, after, "")
			case 1:
				hands = append(hands, b.Pull(now, id, 200)...)
			case 2, 3:
				n := min(len(hands), random.IntN(100))
				b.Ack(hands[:n])
				hands = hands[n:]
			case 4:
				if len(there) > 0 && random.IntN(3) == 0 {
					i := random.IntN(len(there))
					b.Ack(there[i:min(len(there), i+3)])
				}
			case 5:
				seqs, _, _ := b.Copy(id, after, 50)
				if len(seqs) > 0 {
					after = seqs[0]
				}
			case 6:
				if random.IntN(30) == 0 {
					b.Leave(id)
				} else {
					b.Finish(now, id)
				}
			case 7:
				now = now.Add(time.Duration(random.IntN(20)) * time.Second)
			}
			admitted := b.Admitted(next + 1)
			next += uint64(len(admitted))
			there = append(there, admitted...)
			b.Written(admitted)
			if got, want := b.Level(), walked(b); !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, step %d: got %+v, want %+v", seed, step, got, want)
			}
			there = slices.Delete(there, 0, max(0, len(there)-500))
		}
	}
}

// TestBoxLevelPassesOverAMessageOnce: what is acknowledged and kept for a copy is
// not looked at again for each message that comes.
func TestBoxLevelPassesOverAMessageOnce(t *testing.T) {
	const n = 10_000
	b := NewBox(Limits{Bytes: 1 << 30, Messages: 2 * n})
	b.Listen(1, true, 0, "")
	for seq := range uint64(n) {
		b.Load(seq+1, Entry{Size: 10, At: 1})
		b.Ack([]uint64{seq + 1})
	}
	b.Load(n+1, Entry{Size: 10, At: 7})
	if got := b.Level(); got.Oldest != 7 || got.Messages != 1 || b.read.messages != n {
		t.Fatalf("got %+v and %d read, want one message and %d read", got, b.read.messages, n)
	}
	for i := range b.list[:n] {
		b.list[i].state = kept // whoever looks at these again finds them
	}
	if got := b.Level().Oldest; got != 7 {
		t.Errorf("got oldest %d from entries that were passed over before, want 7", got)
	}
}

// TestUntakenBesideTheShelf: what is on the shelf waits for no listener.
func TestUntakenBesideTheShelf(t *testing.T) {
	b := NewBox(Limits{Bytes: 1000, Messages: 100, Attempts: 2})
	for seq, topic := range []string{"", "jobs", "jobs", "others"} {
		b.Load(uint64(seq+1), Entry{Size: 10, Topic: topic})
	}
	for _, seq := range []uint64{1, 2, 4} {
		b.Tried(seq, Tries{N: 2, Own: true})
	}
	if v := b.Level(); v.Dead != 3 || len(v.Untaken) != 1 || v.Untaken["jobs"] != 1 {
		t.Errorf("got %+v, want three on the shelf, and one of jobs that waits", v)
	}
	b.Retry([]uint64{2})
	if v := b.Level(); v.Dead != 2 || v.Untaken["jobs"] != 2 {
		t.Errorf("got %+v, want both of jobs to wait", v)
	}
}
