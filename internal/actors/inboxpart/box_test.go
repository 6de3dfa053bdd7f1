package inboxpart

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/identity"
)

// TestBox runs the box against testdata/*.txt; -rewrite writes what it does into
// them. After each event comes what the box decides, and then how full it is.
// Sizes are 10 unless given; names of listeners become numbers.
func TestBox(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &boxScript{box: NewBox(Limits{Bytes: 100, Messages: 5}), now: time.Unix(1_700_000_000, 0)}
		datadriven.RunTest(t, path, s.run)
	})
}

type boxScript struct {
	box  *Box
	now  time.Time
	next uint64
}

// over is the source of messages with the argument peer.
// topic returns the argument topic of a command.
func topic(d *datadriven.TestData) (topic string) {
	if d.HasArg("topic") {
		for _, a := range d.CmdArgs {
			if a.Key == "topic" {
				topic = a.Vals[0]
			}
		}
	}
	return topic
}

func (s *boxScript) over(t *testing.T, d *datadriven.TestData) *Over {
	var peer, author string
	d.MaybeScanArgs(t, "peer", &peer)
	d.MaybeScanArgs(t, "author", &author)
	if peer == "" {
		return nil
	}
	o := new(Over)
	copy(o.Peer[:], peer)
	copy(o.Author[:], author)
	return o
}

func (s *boxScript) admitted() []uint64 {
	seqs := s.box.Admitted(s.next)
	s.next += uint64(len(seqs))
	return seqs
}

func (s *boxScript) run(t *testing.T, d *datadriven.TestData) string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	list := func(name string, seqs []uint64) {
		if len(seqs) > 0 {
			say("%s %s", name, strings.Trim(fmt.Sprint(seqs), "[]"))
		}
	}
	var numbers []uint64
	for _, a := range d.CmdArgs {
		if n, err := strconv.ParseUint(a.Key, 10, 64); err == nil {
			numbers = append(numbers, n)
		}
	}
	id := uint64(0)
	if len(d.CmdArgs) > 0 {
		id = uint64(d.CmdArgs[0].Key[0])
	}
	size, most, after, times := 10, 100, uint64(0), 0
	d.MaybeScanArgs(t, "times", &times)
	d.MaybeScanArgs(t, "size", &size)
	d.MaybeScanArgs(t, "most", &most)
	d.MaybeScanArgs(t, "after", &after)
	switch d.Cmd {
	case "limits": // bytes=N messages=N [attempts=N]
		var l Limits
		var bytes int
		d.ScanArgs(t, "bytes", &bytes)
		d.ScanArgs(t, "messages", &l.Messages)
		d.MaybeScanArgs(t, "attempts", &l.Attempts)
		l.Bytes, l.DHT = int64(bytes), d.HasArg("dht")
		s.box = NewBox(l)
	case "succeed": // N… that are deleted
		before := s.box
		s.box = NewBox(before.limits)
		s.box.Succeed(before, numbers)
	case "load": // N… [size=N]
		for _, n := range numbers {
			s.box.Load(n, Entry{size, int64(n), s.over(t, d), topic(d)})
		}
	case "again": // N… [size=N] [peer=NAME [author=NAME]]
		for _, n := range numbers {
			s.box.Again(n, Entry{size, int64(n), s.over(t, d), topic(d)})
		}
	case "arrive": // N… [size=N] [peer=NAME [author=NAME]]
		for _, n := range numbers {
			v, forget := s.box.Arrive(n, Entry{size, int64(n), s.over(t, d), topic(d)})
			if v == Admit {
				s.next = n + 1
			}
			say("%d %s", n, [...]string{Admit: "admit", Wait: "wait", Drop: "drop"}[v])
			list("forget", forget)
		}
	case "written":
		s.box.Written(numbers)
	case "listen", "copy-from": // NAME
		say("%v", s.box.Listen(id, d.Cmd == "copy-from", after, topic(d)))
	case "crowd": // N
		for n := range numbers[0] {
			s.box.Listen(1000+n, false, 0, "")
		}
	case "pull": // NAME [most=N]
		list(d.CmdArgs[0].Key, s.box.Pull(s.now, id, most))
	case "copy": // NAME after=N [most=N]
		seqs, lost, forget := s.box.Copy(id, after, most)
		list(d.CmdArgs[0].Key, seqs)
		list("forget", forget)
		if lost > 0 {
			say("lost %d", lost)
		}
	case "ack":
		forget, copied := s.box.Ack(numbers)
		list("forget", forget)
		list("copied", copied)
		list("write", s.admitted())
	case "decline": // NAME N…
		for _, n := range numbers {
			s.box.Decline(s.now, id, n)
		}
	case "tried": // N… times=N
		for _, n := range numbers {
			s.box.Tried(n, Tries{times, d.HasArg("own")})
		}
	case "renew": // NAME N…
		for _, n := range numbers {
			say("%d %v", n, s.box.Renew(s.now, id, n))
		}
	case "tries":
		for _, n := range numbers {
			t := s.box.Tries(n)
			say("%d %d%s", n, t.N, map[bool]string{true: " own"}[t.Own])
		}
	case "untouched": // NAME N…
		s.box.Untouched(id, numbers)
	case "shelf":
		list("shelf", s.box.Shelf())
	case "retry":
		list("retried", s.box.Retry(numbers))
	case "damaged":
		for _, n := range numbers {
			say("%d %v", n, s.box.Damaged(n))
		}
		list("write", s.admitted())
	case "leave":
		list("forget", s.box.Leave(id))
		list("write", s.admitted())
	case "wait": // DURATION
		by, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(by)
	case "finish":
		list("forget", s.box.Finish(s.now, id))
		list("write", s.admitted())
	case "due":
		if at, ok := s.box.Due(); ok {
			say("in %v", at.Sub(s.now))
		} else {
			say("nothing")
		}
	default:
		t.Fatalf("no command %q", d.Cmd)
	}
	l := s.box.Level()
	over := ""
	if l.DHT > 0 {
		over = fmt.Sprintf(" (%d, %d bytes over the dht)", l.DHT, l.DHTBytes)
	}
	say("-- %d messages, %d bytes%s, oldest %d, %d in hand, %d wait (%d), %d listeners, %d copies, %d dropped, full %v",
		l.Messages, l.Bytes, over, l.Oldest, l.InHand, l.Waiting, l.WaitingBytes, l.Listeners, l.Copies, l.Dropped, s.box.Full())
	return strings.Join(out, "\n")
}

// TestBoxLong takes 50,000 messages through a small box, acknowledged out of
// order by two listeners, one of which leaves now and then: each is handed out
// until it is acknowledged, in order for as long as nobody leaves, and the box
// keeps nothing of those that are gone.
func TestBoxLong(t *testing.T) {
	b := NewBox(Limits{Bytes: 1 << 20, Messages: 3000})
	now, next, sent, acked := time.Unix(1_700_000_000, 0), uint64(0), 0, make(map[uint64]bool)
	hands := map[uint64][]uint64{}
	for round := 0; len(acked) < 50_000; round++ {
		var ready []uint64
		for range 700 {
			if sent == 50_000 {
				break
			}
			sent++
			if v, _ := b.Arrive(next+1, Entry{Size: 100, At: int64(sent)}); v == Admit {
				next++
				ready = append(ready, next)
			}
		}
		b.Written(ready)
		for id := uint64(1); id <= 2; id++ {
			b.Listen(id, false, 0, "")
			got := b.Pull(now, id, 400)
			for i, seq := range got {
				if acked[seq] || i > 0 && got[i-1] >= seq {
					t.Fatalf("round %d: got %d handed out behind %v, acknowledged %v", round, seq, got[:i], acked[seq])
				}
			}
			hands[id] = append(hands[id], got...)
			if round%5 == 4 && id == 2 {
				b.Leave(id)
				hands[id] = nil
				continue
			}
			half := hands[id][len(hands[id])/2:]
			if round%2 == 1 {
				half = hands[id]
			}
			forget, _ := b.Ack(half)
			if len(forget) != len(half) {
				t.Fatalf("round %d: got %d forgotten, want %d", round, len(forget), len(half))
			}
			for _, seq := range half {
				acked[seq] = true
			}
			hands[id] = hands[id][:len(hands[id])-len(half)]
			admitted := b.Admitted(next + 1)
			next += uint64(len(admitted))
			b.Written(admitted)
		}
	}
	if l := b.Level(); l.Messages != 0 || l.Bytes != 0 || l.InHand != 0 || l.Waiting != 0 || len(b.hands) != 0 || len(b.lanes[""].overdue) != 0 {
		t.Errorf("got %+v at the end, want nothing", l)
	}
	if cap(b.list) > 20_000 {
		t.Errorf("got room for %d entries, want few", cap(b.list))
	}
}

// TestLeast: an empty box of the least size takes the record, and one that is smaller does not
// take a record over the DHT.
func TestLeast(t *testing.T) {
	for n := 1; n < 2000; n++ {
		for _, over := range []*Over{nil, {Peer: identity.NodeID{1}, Author: identity.PublicKey{2}}} {
			least := Least(int64(n), over != nil)
			arrive := func(bytes int64) Verdict {
				v, _ := NewBox(Limits{Bytes: bytes, Messages: 1, DHT: over != nil}).Arrive(1, Entry{Size: n, Over: over})
				return v
			}
			if v := arrive(least); v != Admit {
				t.Fatalf("%d of %d bytes, over the DHT %v: got %v, want it admitted", n, least, over != nil, v)
			}
			if v := arrive(least - 2); over != nil && n > 1 && v == Admit {
				t.Fatalf("%d of %d bytes over the DHT: got it admitted, want a smaller least", n, least-2)
			}
		}
	}
}
