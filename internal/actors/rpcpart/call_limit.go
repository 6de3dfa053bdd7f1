package rpcpart

import (
	"errors"
	"fmt"
	"sync"
)

// callLimit bounds the calls of all peers that run at once. A source may have at most half of what the others leave,
// so that there is always room for another.
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
	switch {
	case p.key.calls >= l.perPeer:
		return errors.New(full("calls of one peer", l.perPeer, "[rpc] max_peer_calls"))
	case p.source.calls > 0 && 2*p.source.calls >= l.most-l.all+p.source.calls, l.all >= l.most:
		return fmt.Errorf("%d calls run, %d of them from one source, which leaves room for others (at most %d: [rpc] max_calls)", l.all, p.source.calls, l.most)
	}
	p.count(1)
	return nil
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
	p.source.sessions--
	p.key.sessions--
	p.forget()
}

func (p *callPlaces) count(n int) {
	p.limit.all += n
	p.source.calls += n
	p.key.calls += n
}

func (p *callPlaces) forget() {
	if *p.source == (callers{}) {
		delete(p.limit.of, holder{Source: p.holder.Source})
	}
	if *p.key == (callers{}) {
		delete(p.limit.of, holder{Key: p.holder.Key})
	}
}
