package outcomepart

import (
	"cmp"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/protocol/outcomes"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// news is what a peer is to be told.
type news struct {
	hellos  []outcomes.Hello
	results []result
}

// owed is what a peer has not been told yet.
type owed struct {
	news
	underWay int  // answers that are being written
	waits    bool // forgetOwed is due
}

// result is what became of a message.
type result struct {
	epoch  outcomes.Epoch
	number uint64
	result outcomes.Result
}

const (
	// maxOwed bounds the results that are owed to a peer that reads no answers. It asks for what is left out.
	maxOwed = 1 << 14
	// answersAhead is how many answers may be under way. What is to be answered meanwhile goes in the next.
	answersAhead = 8
	// answerGrace is how long answers wait for the connection of their peer.
	answerGrace = 5 * time.Second
)

// add adds results. Of too many the oldest go.
func (w *news) add(all []result) {
	w.results = append(w.results, all...)
	if over := len(w.results) - maxOwed; over > 0 {
		w.results = slices.Delete(w.results, 0, over)
	}
}

// maxHellos bounds the hellos that are owed.
const maxHellos = 16

// hello adds a hello. Of too many the oldest goes: the peer asks.
func (w *news) hello(h outcomes.Hello) {
	if slices.Contains(w.hellos, h) {
		return
	}
	if len(w.hellos) == maxHellos {
		w.hellos = slices.Delete(w.hellos, 0, 1)
	}
	w.hellos = append(w.hellos, h)
}

// tell has peers told what became of their messages.
func (a *sender) tell(c actor.Context) {
	for id, news := range a.o.books.take() {
		if id == a.self.on.Peer {
			for news.any() {
				f, _ := outcomes.Decode(news.frame())
				a.heard(c, heard{a.self.on, f.Hello, f.Answer, nil})
			}
			continue
		}
		w := a.owed[id]
		if w == nil {
			w = new(owed)
			a.owed[id] = w
		}
		for _, h := range news.hellos {
			w.hello(h)
		}
		w.add(news.results)
		a.answer(c, id, w)
	}
}

// answer writes answers to a peer.
func (a *sender) answer(c actor.Context, id identity.NodeID, w *owed) {
	if _, connected := a.o.trunk.Connection(id); !connected {
		a.awaitPeer(c, id, w)
		return
	}
	for w.any() && w.underWay < answersAhead {
		frame := w.frame()
		serial := a.o.trunk.NewID()
		a.answers[serial] = id
		w.underWay++
		a.o.trunk.Answers().SendLent(c, messengers.SendBody{ID: serial, Peer: id, Body: frame})
	}
	if w.underWay == 0 {
		delete(a.owed, id)
	}
}

// awaitPeer has the results of a peer that has no connection wait for a moment: they may be those of messages
// on a connection that is not announced yet. Later the peer sends again what it waits for.
func (a *sender) awaitPeer(c actor.Context, id identity.NodeID, w *owed) {
	if !w.waits {
		w.waits = true
		supervisor.After(c, answerGrace, forgetOwed{id})
	}
}

func (a *sender) forgetOwed(c actor.Context, id identity.NodeID) {
	w := a.owed[id]
	if w == nil {
		return
	}
	w.waits = false
	if _, connected := a.o.trunk.Connection(id); connected {
		a.answer(c, id, w)
	} else {
		delete(a.owed, id)
	}
}

// answered takes the outcome of an answer. One that was lost is not repeated: the peer asks.
func (a *sender) answered(c actor.Context, m actors.Sent) {
	id, ok := a.answers[m.ID]
	if !ok {
		return
	}
	delete(a.answers, m.ID)
	if w := a.owed[id]; w != nil && w.underWay > 0 {
		w.underWay--
		a.answer(c, id, w)
	}
}

func (w *news) any() bool { return len(w.hellos) > 0 || len(w.results) > 0 }

// frame takes a hello, or as many results as a frame may have, in ranges.
func (w *news) frame() []byte {
	if len(w.hellos) > 0 {
		h := w.hellos[0]
		w.hellos = slices.Delete(w.hellos, 0, 1)
		return outcomes.AppendHello(nil, h)
	}
	sorted := slices.Clone(w.results[:min(len(w.results), outcomes.MaxRanges)]) // so that no limit of a frame is exceeded
	slices.SortFunc(sorted, func(a, b result) int {
		return cmp.Or(cmp.Compare(a.epoch, b.epoch), cmp.Compare(a.result, b.result), cmp.Compare(a.number, b.number))
	})
	var parts []outcomes.Part
	taken := 0
	for _, r := range sorted {
		last := len(parts) - 1
		if last < 0 || parts[last].Epoch != r.epoch || parts[last].Result != r.result {
			if len(parts) == outcomes.MaxParts {
				break
			}
			parts = append(parts, outcomes.Part{Epoch: r.epoch, Result: r.result})
			last++
		}
		parts[last].Of = outcomes.AppendNumber(parts[last].Of, r.number)
		taken++
	}
	w.results = w.remove(sorted[:taken])
	return outcomes.AppendAnswer(nil, parts)
}

// remove removes results that were taken out of the first ones.
func (w *news) remove(taken []result) []result {
	first := min(len(w.results), outcomes.MaxRanges)
	if len(taken) == first {
		return slices.Clone(w.results[first:])
	}
	gone := make(map[result]bool, len(taken))
	for _, r := range taken {
		gone[r] = true
	}
	return slices.DeleteFunc(w.results, func(r result) bool { return gone[r] })
}

// told says that the books have results for peers.
type told struct{}

// violated is a frame that breaks the rules.
type violated struct {
	on  *actors.ConnRef
	err error
	*credit.Permit
}
