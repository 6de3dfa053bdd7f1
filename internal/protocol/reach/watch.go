// Package reach decides what a node does when the addresses of its machine change.
package reach

import (
	"net/netip"
	"slices"
	"time"
)

const (
	// Look is the time between two looks at the machine's addresses.
	Look = 2 * time.Second
	// TellPause is the least time between two changes of what the node tells others.
	TellPause = 30 * time.Second
)

// Interface is an address of the machine.
type Interface struct {
	Addr netip.Addr
	Down bool // nothing is plugged in there
}

// Effects are the actions after a look.
type Effects struct {
	Added, Gone []netip.Addr // of the machine; the connections over those that are gone are dead
	Unplugged   []netip.Addr // the connections over them may be dead
	Way         bool         // there may be a new way to others since the look before: an address had come, or something was plugged in again
	Tell        bool         // tell others the present addresses
}

// Watch compares the looks. The zero Watch has not looked yet. It is not safe for concurrent use.
type Watch struct {
	looked      bool
	known       map[netip.Addr]*known
	announcedAt time.Time // when others were told last
	due         bool      // something is to be told
	way         bool      // there may be a new way to others
}

type known struct {
	down    bool
	missing bool // at the last look
}

// Want has the next look that may do so tell others.
func (w *Watch) Want() { w.due = true }

// Failed has the next look tell others: they could not be told.
func (w *Watch) Failed() { w.due, w.announcedAt = true, time.Time{} }

// Look compares the addresses with those of the last look. An address is gone when two looks in a
// row have missed it. The first look changes nothing.
func (w *Watch) Look(now time.Time, present []Interface) (f Effects) {
	first, way := !w.looked, false
	f.Way = w.way
	if first {
		w.looked, w.known = true, make(map[netip.Addr]*known)
	}
	for _, i := range present {
		k := w.known[i.Addr]
		switch {
		case k == nil:
			w.known[i.Addr] = &known{down: i.Down}
			if !first {
				f.Added = append(f.Added, i.Addr)
				way = way || !i.Down && beyond(i.Addr)
			}
		case i.Down && !k.down:
			f.Unplugged = append(f.Unplugged, i.Addr)
			fallthrough
		default:
			way = way || k.down && !i.Down && beyond(i.Addr)
			k.down, k.missing = i.Down, false
		}
	}
	for a, k := range w.known {
		switch {
		case slices.ContainsFunc(present, func(i Interface) bool { return i.Addr == a }):
		case k.missing:
			delete(w.known, a)
			f.Gone = append(f.Gone, a)
		default:
			k.missing = true
		}
	}
	w.way = way // the route comes after the address
	slices.SortFunc(f.Gone, netip.Addr.Compare)
	w.due = w.due || len(f.Added)+len(f.Gone) > 0
	if w.due && (w.announcedAt.IsZero() || now.Sub(w.announcedAt) >= TellPause) {
		w.due, w.announcedAt, f.Tell = false, now, true
	}
	return f
}

// beyond reports whether others may be reached from an address.
func beyond(ip netip.Addr) bool { return !ip.IsLoopback() && !ip.IsLinkLocalUnicast() }
