package gateway

import (
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/limit"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Limits of answers that wait for a proof.
const (
	waitFor       = 3 * time.Second // then the asker has given up
	maxWaiting    = 512
	maxWaitingPer = 64 // of an address
)

// waiting are answers of more than three times what came, to addresses whose proofs are stale.
// They wait for the echo of a probe. Such an asker asks each node once, so that a shorter
// answer would deprive it of the value.
type waiting struct {
	list   []*late // oldest first
	per    map[overlay.Address]int
	groups map[string]int // "" for addresses without a group
}

// late is an answer that waits.
type late struct {
	request *Request
	answer  overlay.Message
	until   time.Time
}

func newWaiting() *waiting {
	return &waiting{per: make(map[overlay.Address]int), groups: make(map[string]int)}
}

func (w *waiting) count(l *late, by int) {
	if w.per[l.request.Address] += by; w.per[l.request.Address] == 0 {
		delete(w.per, l.request.Address)
	}
	if w.groups[l.request.Group] += by; w.groups[l.request.Group] == 0 {
		delete(w.groups, l.request.Group)
	}
}

// wait has an answer wait. When there are too many, the oldest is dropped of the group that has
// most.
func (m *Machine) wait(now time.Time, r *Request, answer *overlay.Message) {
	w := m.waiting
	if w.per[r.Address] >= maxWaitingPer {
		m.drop(r, NoProof)
		return
	}
	if len(w.list) >= maxWaiting {
		m.giveUp(w.most())
	}
	l := &late{r, *answer, now.Add(waitFor)}
	w.list = append(w.list, l)
	w.count(l, 1)
}

// most returns the place of the oldest answer of the group that has most. Addresses without a
// group count as one with a larger share ([limit.Weight]).
func (w *waiting) most() (at int) {
	most := -1
	for i, l := range w.list {
		if n := limit.Weight(l.request.Group, w.groups[l.request.Group]); n > most {
			at, most = i, n
		}
	}
	return at
}

// giveUp drops an answer that waits.
func (m *Machine) giveUp(at int) {
	l := m.waiting.list[at]
	m.waiting.list = slices.Delete(m.waiting.list, at, at+1)
	m.waiting.count(l, -1)
	m.drop(l.request, NoProof)
}

// expire drops answers that have waited too long.
func (m *Machine) expire(now time.Time) {
	for len(m.waiting.list) > 0 && !m.waiting.list[0].until.After(now) {
		m.giveUp(0)
	}
}

// release sends the answers that wait for a proof of an address.
func (m *Machine) release(now time.Time, to overlay.Address) {
	w := m.waiting
	if w.per[to] == 0 {
		return
	}
	rest := w.list[:0]
	for _, l := range w.list {
		if l.request.Address != to {
			rest = append(rest, l)
			continue
		}
		w.count(l, -1)
		m.send(now, l.request, &l.answer)
	}
	clear(w.list[len(rest):])
	w.list = rest
}

// Waiting returns how many answers wait for a proof of the asker's address.
func (m *Machine) Waiting() int { return len(m.waiting.list) }
