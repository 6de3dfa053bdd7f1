package rpcpart

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// callLimit bounds the calls of all peers that run at once. A source may have at most half of what the others leave,
// so that there is always room for another.
type callLimit struct {
	most, perPeer int
	mu            sync.Mutex
	all           int
	of            map[holder]int // by source, and by source and key
}

// enter takes a place. The caller gives it back once.
func (l *callLimit) enter(h holder) (leave func(), err error) {
	source := holder{Source: h.Source}
	key := holder{Key: h.Key}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.of[key] >= l.perPeer:
		return nil, errors.New(full("calls of one peer", l.perPeer, "[rpc] max_peer_calls"))
	case l.of[source] > 0 && 2*l.of[source] >= l.most-l.all+l.of[source], l.all >= l.most:
		return nil, fmt.Errorf("%d calls run, %d of them from one source, which leaves room for others (at most %d: [rpc] max_calls)", l.all, l.of[source], l.most)
	}
	l.all++
	l.of[source]++
	l.of[key]++
	var once atomic.Bool
	return func() {
		if once.Swap(true) {
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all--
		for _, h := range []holder{source, key} {
			if l.of[h]--; l.of[h] == 0 {
				delete(l.of, h)
			}
		}
	}, nil
}
