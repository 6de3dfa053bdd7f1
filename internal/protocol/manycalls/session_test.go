package manycalls_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/protocol/manycalls"
)

// end is one end of a session under test, with what it has sent and not delivered.
type end struct {
	t     *testing.T
	s     *manycalls.Session
	wire  []byte // frames for the other end
	calls map[uint64]*call

	charges []charge
}

type charge struct {
	c      *manycalls.Call
	serial int
	n      int
}

// call is what the test knows of a call, at one end.
type call struct {
	c        *manycalls.Call
	sending  [][]byte // messages that wait; the first may have gone in part
	sent     int      // of the first
	lastSent bool
	in       []byte // of the message that comes
	queue    []message
	want     [][]byte // messages that the other end was given to send
	got      int
}

type message struct {
	body []byte
	cost int
}

func (e *end) send(f *manycalls.Frame) { e.wire = manycalls.Append(e.wire, f) }

// write sends what may go of a call's messages.
func (e *end) write(k *call, client bool) {
	for len(k.sending) > 0 && !k.c.Over() {
		m := k.sending[0]
		n, shared, ok := e.s.Part(k.c, len(m), len(m)-k.sent)
		if !ok {
			return
		}
		f := manycalls.Frame{Call: k.c.ID, Kind: manycalls.Message, Shared: uint64(shared), Payload: m[k.sent : k.sent+n]}
		if k.sent == 0 && n < len(m) {
			f.Length = uint64(len(m))
		}
		if client && !k.lastSent {
			f.Kind, k.lastSent = manycalls.Open, true
			f.Window = uint64(window)
		}
		e.send(&f)
		if k.sent += n; k.sent == len(m) {
			k.sending, k.sent = k.sending[1:], 0
		}
	}
}

const window = 8 << 10

// deliver has the other end receive one frame.
func (e *end) deliver(to *end, client bool) bool {
	e.wire = e.s.Control(e.wire)
	if len(e.wire) == 0 {
		return false
	}
	n := int(binary.BigEndian.Uint32(e.wire))
	f, err := manycalls.Decode(e.wire[4 : 4+n])
	if err != nil {
		e.t.Fatal(err)
	}
	f.Payload = bytes.Clone(f.Payload)
	e.wire = e.wire[4+n:]
	ev, err := to.s.Received(&f)
	if err != nil {
		e.t.Fatalf("%+v: %v", f, err)
	}
	if ev.Call == nil || ev.All() {
		return true
	}
	k := to.calls[ev.Call.ID]
	if k == nil {
		k = &call{c: ev.Call}
		to.calls[ev.Call.ID] = k
	}
	if f.Kind != manycalls.Open && f.Kind != manycalls.Message {
		return true
	}
	k.in = append(k.in, f.Payload...)
	if ev.Charge > 0 {
		to.charges = append(to.charges, charge{ev.Call, ev.Serial, ev.Charge})
	}
	if ev.Whole {
		k.queue = append(k.queue, message{k.in, ev.Cost})
		k.in = nil
	}
	return true
}

// TestSession plays calls of two ends in random orders: each message comes whole and in its order, no end ever breaks
// the other's limits, and when everything was taken, no credit is missing. There are 20 orders, and 60 with GAMELAN_LONG.
func TestSession(t *testing.T) {
	seeds := uint64(20)
	if os.Getenv("GAMELAN_LONG") != "" {
		seeds = 60
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 1))
		client := &end{t: t, s: manycalls.NewClient(1 << 20), calls: make(map[uint64]*call)}
		server := &end{t: t, s: manycalls.NewServer(1 << 20), calls: make(map[uint64]*call)}
		client.s.Share(manycalls.Shared)
		server.s.Share(manycalls.Shared)
		content := func() []byte {
			b := make([]byte, []int{0, 10, 1000, 5000, 70_000, 300_000, 600_000}[r.IntN(7)])
			for i := 0; i < len(b); i += 997 {
				b[i] = byte(r.Uint32())
			}
			return b
		}
		want := make(map[uint64][2][][]byte)
		step := func() bool {
			busy := false
			for range 40 {
				from, to, isClient := client, server, true
				if r.IntN(2) == 0 {
					from, to, isClient = server, client, false
				}
				switch r.IntN(5) {
				case 0, 1:
					busy = from.deliver(to, isClient) || busy
				case 2:
					for _, k := range from.calls {
						busy = busy || len(k.sending) > 0
						from.write(k, isClient)
					}
				case 3:
					if len(from.charges) > 0 {
						c := from.charges[0]
						from.charges = from.charges[1:]
						from.s.Charged(c.c, c.serial)
						busy = true
					}
				case 4:
					for id, k := range from.calls {
						if len(k.queue) == 0 {
							continue
						}
						m := k.queue[0]
						k.queue = k.queue[1:]
						side := 0
						if isClient {
							side = 1
						}
						if w := want[id][side]; k.got >= len(w) || !bytes.Equal(w[k.got], m.body) {
							t.Fatalf("seed %d: call %d: message %d differs", seed, id, k.got)
						}
						k.got++
						from.s.Taken(k.c, m.cost, 0)
						busy = true
					}
				}
			}
			return busy
		}
		for range 30 {
			c := client.s.Begin(window, nil)
			k := &call{c: c}
			client.calls[c.ID] = k
			bare := r.IntN(2)
			if bare == 1 {
				k.lastSent = true
				client.send(&manycalls.Frame{Call: c.ID, Kind: manycalls.Open, Window: window, Bare: true})
			}
			for range 1 - bare + r.IntN(4) {
				k.sending = append(k.sending, content())
			}
			w := [2][][]byte{k.sending, nil}
			for range r.IntN(5) {
				w[1] = append(w[1], content())
			}
			want[c.ID] = w
			client.write(k, true) // calls are opened in the order of their ids
			step()
			if s := server.calls[c.ID]; s != nil {
				server.s.Grow(s.c, r.IntN(2)*window)
				s.sending, s.want = w[1], w[1]
			}
		}
		for idle := 0; idle < 20; {
			for id, k := range server.calls {
				if len(k.sending) == 0 && k.want == nil && len(want[id][1]) > 0 {
					k.sending, k.want = want[id][1], want[id][1]
				}
			}
			if idle++; step() {
				idle = 0
			}
		}
		for id, w := range want {
			if s, c := server.calls[id], client.calls[id]; s == nil || s.got != len(w[0]) || c.got < len(w[1]) {
				t.Fatalf("seed %d: call %d is not over: %+v, %+v of %d, %d", seed, id, s, c, len(w[0]), len(w[1]))
			}
			client.s.End(client.calls[id].c)
			server.s.End(server.calls[id].c)
		}
		for client.deliver(server, true) || server.deliver(client, false) {
		}
		// All shared credit is back: a first message of its size goes at once.
		c := client.s.Begin(0, nil)
		sum := 0
		for ok := true; ok && sum < manycalls.First+manycalls.Shared; {
			var n int
			n, _, ok = client.s.Part(c, 1<<20, 1<<20-sum)
			sum += n
		}
		if sum != manycalls.First+manycalls.Shared {
			t.Fatalf("seed %d: %d bytes of credit, want %d", seed, sum, manycalls.First+manycalls.Shared)
		}
	}
}

// TestSessionRules: a frame that breaks the protocol is an error that says which.
func TestSessionRules(t *testing.T) {
	open := func(id uint64, n int) manycalls.Frame {
		return manycalls.Frame{Call: id, Kind: manycalls.Open, Payload: make([]byte, n)}
	}
	for name, x := range map[string]struct {
		server bool
		frames []manycalls.Frame
		want   error
	}{
		"a server opens":                {false, []manycalls.Frame{open(1, 0)}, manycalls.ErrMisplaced},
		"a client answers":              {true, []manycalls.Frame{{Call: 1, Kind: manycalls.Done}}, manycalls.ErrMisplaced},
		"an answer to no call":          {false, []manycalls.Frame{{Call: 1, Kind: manycalls.Message}}, manycalls.ErrMisplaced},
		"a call twice":                  {true, []manycalls.Frame{open(2, 0), open(2, 0)}, manycalls.ErrMisplaced},
		"a call that is older":          {true, []manycalls.Frame{open(2, 0), open(1, 0)}, manycalls.ErrMisplaced},
		"a message of an unopened call": {true, []manycalls.Frame{{Call: 1, Kind: manycalls.Message}}, manycalls.ErrMisplaced},
		"a message after the last":      {true, []manycalls.Frame{{Call: 1, Kind: manycalls.Open, Last: true}, {Call: 1, Kind: manycalls.Message}}, manycalls.ErrMisplaced},
		"an end after the last":         {true, []manycalls.Frame{{Call: 1, Kind: manycalls.Open, Last: true}, {Call: 1, Kind: manycalls.End}}, manycalls.ErrMisplaced},
		"an end within a message":       {true, []manycalls.Frame{{Call: 1, Kind: manycalls.Open, Length: 10}, {Call: 1, Kind: manycalls.End}}, manycalls.ErrMisplaced},
		"more than the message":         {true, []manycalls.Frame{{Call: 1, Kind: manycalls.Open, Length: 10}, {Call: 1, Kind: manycalls.Message, Payload: make([]byte, 11)}}, manycalls.ErrMisplaced},
		"a length that is too short":    {true, []manycalls.Frame{{Call: 1, Kind: manycalls.Open, Length: 10, Payload: make([]byte, 11)}}, manycalls.ErrMisplaced},
		"an absurd length":              {true, []manycalls.Frame{{Call: 1, Kind: manycalls.Open, Length: 1 << 63}}, manycalls.ErrMisplaced},
		"more than the credit":          {true, []manycalls.Frame{open(1, manycalls.First+1)}, manycalls.ErrCredit},
		"more than the shared credit": {true, []manycalls.Frame{
			{Call: 1, Kind: manycalls.Open, Length: 1 << 20, Shared: 60_000, Payload: make([]byte, 60_000)},
			{Call: 1, Kind: manycalls.Message, Shared: 60_000, Payload: make([]byte, 60_000)},
		}, manycalls.ErrCredit},
		"shared credit for the second message": {true, []manycalls.Frame{open(1, 1), {Call: 1, Kind: manycalls.Message, Shared: 1, Payload: make([]byte, 1)}}, manycalls.ErrCredit},
		"a bare call, and shared credit for its second message": {true, []manycalls.Frame{
			{Call: 1, Kind: manycalls.Open, Bare: true}, {Call: 1, Kind: manycalls.Message, Shared: 1, Payload: make([]byte, 1)}, {Call: 1, Kind: manycalls.Message, Shared: 1, Payload: make([]byte, 1)},
		}, manycalls.ErrCredit},
		"a bare call that has ended":            {true, []manycalls.Frame{{Call: 1, Kind: manycalls.Open, Bare: true}, {Call: 1, Kind: manycalls.End}, {Call: 1, Kind: manycalls.Message}}, manycalls.ErrMisplaced},
		"a huge window":                         {true, []manycalls.Frame{{Call: 1, Kind: manycalls.Open, Window: 1 << 60}}, manycalls.ErrCredit},
		"credit without end":                    {true, []manycalls.Frame{open(1, 0), {Call: 1, Kind: manycalls.Credit, Number: manycalls.MaxCredit}}, manycalls.ErrCredit},
		"more credit for all than there may be": {true, []manycalls.Frame{{Kind: manycalls.Credit, Number: manycalls.Shared + 1}}, manycalls.ErrCredit},
		"a leave of calls that are not there":   {false, []manycalls.Frame{{Kind: manycalls.Leave, Number: 1}}, manycalls.ErrMisplaced},
	} {
		s := manycalls.NewClient(1 << 20)
		if x.server {
			s = manycalls.NewServer(1 << 20)
		}
		s.Share(manycalls.Shared)
		var err error
		for i, f := range x.frames {
			if err != nil {
				t.Errorf("%s: frame %d: %v", name, i, err)
			}
			_, err = s.Received(&f)
		}
		if !errors.Is(err, x.want) || !errors.Is(err, manycalls.ErrProtocol) {
			t.Errorf("%s: got %v, want %v", name, err, x.want)
		}
	}
	s := manycalls.NewServer(1)
	for i := range manycalls.MaxCalls {
		if _, err := s.Received(&manycalls.Frame{Call: uint64(i + 1), Kind: manycalls.Open}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Received(&manycalls.Frame{Call: manycalls.MaxCalls + 1, Kind: manycalls.Open}); !errors.Is(err, manycalls.ErrTooMany) {
		t.Errorf("got %v of one call too many", err)
	}
}

// TestLeave: calls behind a server's Leave are refused, once, and those before it go on.
func TestLeave(t *testing.T) {
	client, server := manycalls.NewClient(1<<20), manycalls.NewServer(1<<20)
	server.Share(manycalls.Shared)
	first, second := client.Begin(0, "first"), client.Begin(0, "second")
	if _, err := server.Received(&manycalls.Frame{Call: first.ID, Kind: manycalls.Open}); err != nil {
		t.Fatal(err)
	}
	server.Leave()
	if e, err := server.Received(&manycalls.Frame{Call: second.ID, Kind: manycalls.Open, Shared: 5, Payload: make([]byte, 5)}); err != nil || e.Call != nil {
		t.Errorf("got %v, %v of a call after Leave", e, err)
	}
	frames := server.Control(nil)
	var refused []*manycalls.Call
	for len(frames) > 0 {
		n := int(binary.BigEndian.Uint32(frames))
		f, err := manycalls.Decode(frames[4 : 4+n])
		if err != nil {
			t.Fatal(err)
		}
		frames = frames[4+n:]
		if f.Kind == manycalls.Credit { // of bytes that this client has not sent
			continue
		}
		e, err := client.Received(&f)
		if err != nil {
			t.Fatal(err)
		}
		refused = append(refused, e.Refused...)
	}
	if fmt.Sprint(refused) != fmt.Sprint([]*manycalls.Call{second}) || !second.Over() || first.Over() {
		t.Errorf("refused %v", refused)
	}
	if client.Begin(0, nil) != nil {
		t.Error("a call began after Leave")
	}
}

// TestInPlace: a frame in place is the same frame.
func TestInPlace(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, manycalls.MaxPart} {
		f := manycalls.Frame{Call: 1 << 62, Kind: manycalls.Open, Number: 1 << 31, Deadline: 1 << 62, Last: true, Length: 1 << 62, Window: 1 << 62}
		if n > 127 {
			f = manycalls.Frame{Call: 1, Kind: manycalls.Message}
		}
		got := manycalls.AppendInPlace(make([]byte, manycalls.Room+n), &f)
		f.Payload = make([]byte, n)
		if want := manycalls.Append(nil, &f); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %x, want %x", n, got[:min(len(got), 100)], want[:min(len(want), 100)])
		}
	}
}

// FuzzDecode: what decodes is encoded to what decodes to the same.
func FuzzDecode(f *testing.F) {
	f.Add(manycalls.Append(nil, &manycalls.Frame{Call: 1, Kind: manycalls.Open, Number: 7, Window: 5, Bare: true})[4:])
	f.Add(manycalls.Append(nil, &manycalls.Frame{Call: 1, Kind: manycalls.Open, Number: 7, Deadline: 100, Last: true, Length: 9, Shared: 1, Window: 5, Metadata: []manycalls.Pair{{"a", "b"}}, Payload: []byte("xyz")})[4:])
	f.Add(manycalls.Append(nil, &manycalls.Frame{Kind: manycalls.Leave, Number: 3})[4:])
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := manycalls.Decode(b)
		if err != nil {
			if !errors.Is(err, manycalls.ErrUndecodable) {
				t.Fatal(err)
			}
			return
		}
		y, err := manycalls.Decode(manycalls.Append(nil, &x)[4:])
		if err != nil || fmt.Sprintf("%+v", x) != fmt.Sprintf("%+v", y) {
			t.Fatalf("%+v became %+v, %v", x, y, err)
		}
	})
}

// FuzzSession: no bytes of a peer make a session hold more than its limits, or panic.
func FuzzSession(f *testing.F) {
	f.Add(manycalls.Append(nil, &manycalls.Frame{Call: 1, Kind: manycalls.Open, Length: 5000, Payload: make([]byte, 4096)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := manycalls.NewServer(1 << 20)
		s.Share(manycalls.Shared)
		for len(b) >= 4 {
			n := int(binary.BigEndian.Uint32(b))
			if n > len(b)-4 {
				return
			}
			x, err := manycalls.Decode(b[4 : 4+n])
			b = b[4+n:]
			if err != nil {
				return
			}
			e, err := s.Received(&x)
			if err != nil {
				return
			}
			if s.Calls() > manycalls.MaxCalls || e.Charge < 0 || e.Charge > 2<<20 {
				t.Fatalf("%d calls, a charge of %d", s.Calls(), e.Charge)
			}
			if e.Call != nil && !e.All() && e.TooLong {
				s.End(e.Call)
			}
			if e.Call != nil && !e.All() && e.Whole {
				s.Taken(e.Call, e.Cost, 0)
			}
		}
	})
}
