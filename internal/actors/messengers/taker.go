package messengers

import (
	"runtime/debug"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/internal/actors/park"
	"github.com/gamelan-p2p/gamelan/internal/protocol/frame"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// taker reads the messages of a parked substream on the goroutine that reads the connection,
// when they come alone, such as requests and their answers. A task would first have to be
// woken for each of them. The taker never waits. What needs more than that it leaves to a
// task: larger messages and parts of messages, a lack of credit, an actor that is not there
// yet, credit for the peer that has to be written.
type taker struct {
	mu     sync.Mutex // held while the taker works, and while a task begins or parks
	on     bool       // the substream is parked
	limit  int        // of a message
	stream park.Stream
	ready  readyIntake
	messages
	ahead []byte // read and left to the task
	broke error  // a panic, left to the task
}

// readyIntake is an Intake whose messages a taker may read.
type readyIntake interface {
	// Ready returns the actor that may receive any message now; nil: there is none, and Hear
	// would wait.
	Ready() *actor.PID
}

// Ready returns the handler of plain messages.
func (i *plainIntake) Ready() *actor.PID {
	pid, _ := i.messaging.Handler.Get()
	return pid
}

// takenLen is how many bytes a taker reads at a time. It leaves more of them to a task.
const takenLen = 2039

var takenBuffers = sync.Pool{New: func() any { return new([takenLen]byte) }}

// takes reports whether a taker of this intake takes a message of n bytes that comes alone.
func takes(i Intake, n int) bool {
	_, ok := i.(readyIntake)
	return ok && frame.HeaderLen+n <= takenLen
}

// start begins the work for a substream that is parked. The lock is held.
func (t *taker) start(r *reader) {
	if t.ready, t.on = r.intake.(readyIntake); t.on {
		t.stream, t.box, t.live, t.intake, t.limit = r.in.parker.Stream, r.box, r.live, r.intake, r.limit
	}
}

// stop ends the work, because a task begins. It returns what is left to the task.
func (t *taker) stop() (ahead []byte, broke error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ahead, broke = t.ahead, t.broke
	t.on, t.ahead, t.broke = false, nil, nil
	return ahead, broke
}

// take reads and delivers what has arrived. It returns false if a task has to begin.
func (t *taker) take() (taken bool) {
	if !t.mu.TryLock() { // a task is about to begin, or to park the substream
		return false
	}
	defer t.mu.Unlock()
	if !t.on {
		return false
	}
	defer func() {
		if p := recover(); p != nil {
			t.drop()
			t.broke, taken = &supervisor.PanicError{Value: p, Stack: debug.Stack(), Msg: "taker"}, false
		}
		t.on = taken
	}()
	to := t.ready.Ready()
	if to == nil {
		return false
	}
	buf := takenBuffers.Get().(*[takenLen]byte)
	defer takenBuffers.Put(buf)
	n, ok := t.stream.TryRead(buf[:])
	if !ok {
		return false
	}
	t.ahead = append(t.ahead, t.all(to, buf[:n])...)
	return len(t.ahead) == 0
}

// all delivers the messages in b to an actor. It returns what [messages.cut] leaves.
func (t *taker) all(to *actor.PID, b []byte) (rest []byte) {
	for {
		b = t.cut(b, t.limit)
		n := len(t.whole)
		if n == 0 {
			break
		}
		t.send(to, n)
	}
	t.permits, t.slab = nil, 0 // an idle substream keeps none
	return b
}
