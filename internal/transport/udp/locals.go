package udp

import (
	"net/netip"
	"sync"
)

// localsKept is how many senders are remembered at least; at most twice as many are.
const localsKept = 16_384

// locals remembers to which address of this machine each sender wrote.
type locals struct {
	mu          sync.Mutex
	recent, old map[netip.AddrPort]netip.Addr
}

func newLocals() *locals { return &locals{recent: map[netip.AddrPort]netip.Addr{}} }

// note takes the address from what came with a datagram.
func (l *locals) note(from netip.AddrPort, control []byte) {
	to, ok := destination(control)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.recent[from]; !known && len(l.recent) >= localsKept {
		l.old, l.recent = l.recent, map[netip.AddrPort]netip.Addr{}
	}
	l.recent[from] = to
}

// of returns the address from which a datagram to a sender has to leave.
func (l *locals) of(to netip.AddrPort) (netip.Addr, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from, ok := l.recent[to]
	if !ok {
		from, ok = l.old[to]
	}
	return from, ok
}
