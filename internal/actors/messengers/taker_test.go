package messengers

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/park"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// arrived is a substream of which a taker reads what has come.
type arrived struct {
	park.Stream
	b []byte
}

func (a *arrived) TryRead(p []byte) (n int, ok bool) {
	if len(a.b) > len(p) {
		return 0, false
	}
	n = copy(p, a.b)
	a.b = nil
	return n, true
}

// keeping keeps the bodies that it receives, and gives back their credit when it is told.
type keeping struct{ got *[]actors.Received }

func (k keeping) Receive(c actor.Context) {
	if m, ok := c.Message().(actors.Received); ok {
		*k.got = append(*k.got, m)
	}
}

// cracked is an Intake with a bug.
type cracked struct{ plainIntake }

func (*cracked) Message([]byte, *credit.Permit) any { panic("cracked") }

// takerRig is a taker of a parked substream, with an actor that keeps what it gets.
type takerRig struct {
	taker
	stream arrived
	got    []actors.Received
}

func newTakerRig(t *testing.T, intake func(*Messaging) Intake) *takerRig {
	discard := slog.New(slog.DiscardHandler)
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return discard }))
	x := new(takerRig)
	root, err := supervisor.Start(system, "take", supervisor.Spec{
		Name: "node", Kind: "keeping", New: func() actor.Actor { return keeping{&x.got} },
	}, supervisor.Options{Logger: discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Stop(context.Background(), nil) })
	room := &Room{Base: &base.Base{Settings: base.Settings{System: system}}}
	m := &Messaging{room: room}
	m.Handler.Open(root.PID())
	box := &inbox{room: room, protocol: m, account: credit.NewBudget(1 << 16).Account(1 << 12)}
	r := &reader{limit: 1 << 10, messages: messages{box: box, intake: intake(m)}, in: &incoming{parker: &park.Parker{Stream: &x.stream}}}
	x.taker.mu.Lock()
	x.taker.start(r)
	x.taker.mu.Unlock()
	return x
}

func plainly(m *Messaging) Intake { return &plainIntake{m, &actors.ConnRef{}} }

// TestTakerLeavesTheRest: whatever comes, and however little credit there is, a taker delivers
// whole messages in their order, and leaves the bytes behind them to a task.
func TestTakerLeavesTheRest(t *testing.T) {
	for seed := range uint64(500) {
		synctest.Test(t, func(t *testing.T) {
			x := newTakerRig(t, plainly)
			random := rand.New(rand.NewPCG(seed, 1))
			var b []byte
			var want [][]byte
			for range random.IntN(12) {
				body := bytes.Repeat([]byte{byte(len(want))}, random.IntN(1+random.IntN(400)))
				want = append(want, body)
				b = frame.Append(b, body)
			}
			b = b[:len(b)-random.IntN(1+len(b))*random.IntN(2)] // half of them are cut
			x.stream.b = bytes.Clone(b)
			taken := x.take()
			synctest.Wait()
			var read int
			for i, m := range x.got {
				if !bytes.Equal(m.Body, want[i]) {
					t.Fatalf("got body %d %x, want %x", i, m.Body, want[i])
				}
				read += frame.HeaderLen + len(m.Body)
			}
			x.messages.intake = nil
			ahead, broke := x.stop()
			if taken != (read == len(b)) || broke != nil {
				t.Errorf("got taken %t, %v of %d bytes with %d delivered", taken, broke, len(b), read)
			}
			if len(b) > takenLen {
				if read > 0 || len(x.stream.b) != len(b) {
					t.Errorf("got %d of %d bytes delivered and %d left on the substream, want all left", read, len(b), len(x.stream.b))
				}
			} else if !bytes.Equal(ahead, b[read:]) {
				t.Errorf("got %x left to the task, want %x", ahead, b[read:])
			}
			if x.take() {
				t.Error("a taker that was stopped has taken something")
			}
			for i := range x.got {
				x.got[i].Finish()
			}
			if used := x.box.account.Used(); used != 0 {
				t.Errorf("got %d bytes of credit held, want none", used)
			}
		})
	}
}

// TestTakerLeavesTooLong: a message above the limit is a task's, which ends the substream.
func TestTakerLeavesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTakerRig(t, plainly)
		tooLong := frame.Append(nil, make([]byte, 1<<10+1))
		x.stream.b = append(frame.Append(nil, make([]byte, 500)), tooLong...)
		if x.take() {
			t.Error("got it taken, want it left to a task")
		}
		synctest.Wait()
		if ahead, _ := x.stop(); len(x.got) != 1 || !bytes.Equal(ahead, tooLong) {
			t.Errorf("got %d messages and %d bytes left to the task, want one and %d", len(x.got), len(ahead), len(tooLong))
		}
	})
}

// unready is an Intake whose messages only a task reads.
type unready struct{ Intake }

// TestReaderStaysForWhatNoTakerTakes: a reader counts only messages for which parking pays.
func TestReaderStaysForWhatNoTakerTakes(t *testing.T) {
	for _, test := range []struct {
		intake Intake
		n      int
		counts bool
	}{
		{&plainIntake{}, takenLen - frame.HeaderLen, true},
		{&plainIntake{}, takenLen - frame.HeaderLen + 1, false},
		{unready{&plainIntake{}}, 1, false},
	} {
		r := reader{messages: messages{intake: test.intake, whole: supervisor.Bundle{nil}}, frames: frame.NewReader(bytes.NewReader(nil), 1), alone: 1}
		r.count(test.n)
		if got := r.alone == 2; got != test.counts || !got && r.alone != 0 {
			t.Errorf("%T, %d bytes: got %d alone, want it counted: %t", test.intake, test.n, r.alone, test.counts)
		}
	}
}

// opener opens intakes, of which the next one is other.
type opener struct {
	Receiver
	intakes []Intake
}

func (o *opener) Open(*actors.ConnRef) Intake {
	i := o.intakes[0]
	o.intakes = o.intakes[1:]
	return i
}

type staying struct{ Intake }

func (*staying) Stays() {}

// TestIntakeThatStays: the tasks of a substream that is parked now and then share an intake that stays, and no other.
func TestIntakeThatStays(t *testing.T) {
	for _, stays := range []bool{false, true} {
		o := &opener{intakes: []Intake{&plainIntake{}, &plainIntake{}}}
		if stays {
			o.intakes = []Intake{&staying{&plainIntake{}}, &staying{&plainIntake{}}}
		}
		b := &inbox{protocol: &Messaging{receiver: o}}
		in := new(incoming)
		if first, next := b.intake(in), b.intake(in); (first == next) != stays {
			t.Errorf("stays %v: the next task got the same intake: %v", stays, first == next)
		}
	}
}

// TestTakerPanics: a panic in a taker does not end the process; it is left to the task.
func TestTakerPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTakerRig(t, func(m *Messaging) Intake { return &cracked{plainIntake{m, nil}} })
		x.stream.b = frame.Append(nil, []byte("x"))
		for range 2 {
			if x.take() {
				t.Error("got it taken, want it left to a task")
			}
		}
		if used := x.box.account.Used(); used != 0 {
			t.Errorf("got %d bytes of credit held, want none", used)
		}
		_, broke := x.stop()
		p, ok := errors.AsType[*supervisor.PanicError](broke)
		if !ok || p.Value != "cracked" || !bytes.Contains(p.Stack, []byte("(*cracked).Message")) {
			t.Errorf("got panic %v for the task, want the taker's with its place", broke)
		}
	})
}

// TestTakerWithoutHandler leaves everything on the substream while there is no handler.
func TestTakerWithoutHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTakerRig(t, plainly)
		x.box.protocol.Handler.Close()
		x.stream.b = frame.Append(nil, []byte("x"))
		if x.take() || len(x.stream.b) == 0 {
			t.Error("got it taken, want it left on the substream")
		}
	})
}
