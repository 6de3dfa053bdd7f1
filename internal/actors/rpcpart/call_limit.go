package rpcpart

import (
	"errors"
	"fmt"
	"sync"

	"github.com/gamelan-p2p/gamelan/internal/share"
)

// callLimit bounds the calls of all peers that run at once. A source may have at most half of what the others leave,
// so that there is always room for another. So may each key of [share.None] and of [share.Exempt]; all keys of either together may have
// as much as [share.ExemptSources].
//
// spec: V 39
type callLimit struct {
	most, perPeer int

	mu  sync.Mutex
	all int
	of  map[holder]*callers // by source, and by key
}

// callers counts calls of a source or of a key, and the sessions that may make some.
type callers struct{ calls, sessions int }

// callPlaces are the places of the calls of one session.
type callPlaces struct {
	limit       *callLimit
	holder      holder
	source, key *callers
	left        bool
}

// join begins a session. It is to leave.
func (l *callLimit) join(h holder) callPlaces {
	l.mu.Lock()
	defer l.mu.Unlock()
	callersOf := func(h holder) *callers {
		c := l.of[h]
		if c == nil {
			c = new(callers)
			l.of[h] = c
		}
		c.sessions++
		return c
	}
	return callPlaces{limit: l, holder: h, source: callersOf(holder{Source: h.Source}), key: callersOf(holder{Key: h.Key})}
}

// take takes a place. The caller gives it back once.
func (p *callPlaces) take() error {
	l := p.limit
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.key.calls >= l.perPeer {
		return errors.New(full("calls of one peer", l.perPeer, "[rpc] max_peer_calls"))
	}
	sources := 1
	if p.holder.Source <= share.Exempt { // the key is a source as well
		sources = share.ExemptSources
		if l.full(p.key, 1) {
			return l.refusal(p.key)
		}
	}
	if l.full(p.source, sources) {
		return l.refusal(p.source)
	}
	p.count(1)
	return nil
}

// full reports whether there is no place for one more call of somebody with the share of so many sources.
func (l *callLimit) full(c *callers, sources int) bool {
	return l.all >= l.most || c.calls > 0 && (sources+1)*c.calls >= sources*(l.most-l.all+c.calls)
}

func (l *callLimit) refusal(c *callers) error {
	return fmt.Errorf("%d calls run, %d of them from one source, which leaves room for others (at most %d: [rpc] max_calls)", l.all, c.calls, l.most)
}

// giveBack gives a place back, also after leave.
func (p *callPlaces) giveBack() {
	p.limit.mu.Lock()
	defer p.limit.mu.Unlock()
	p.count(-1)
	p.forget()
}

// leave says that the session takes no further place.
func (p *callPlaces) leave() {
	p.limit.mu.Lock()
	defer p.limit.mu.Unlock()
	if p.left {
		return
	}
	p.left = true
	p.key.sessions--
	p.source.sessions--
	p.forget()
}

func (p *callPlaces) count(n int) {
	p.limit.all += n
	p.key.calls += n
	p.source.calls += n
}

func (p *callPlaces) forget() {
	if *p.source == (callers{}) {
		delete(p.limit.of, holder{Source: p.holder.Source})
	}
	if *p.key == (callers{}) {
		delete(p.limit.of, holder{Key: p.holder.Key})
	}
}
