package dial

import (
	"net/netip"
	"time"
)

// Limits of dials that strangers cause.
const (
	// AimLimit is how many dials that strangers cause go to one IPv4 address, IPv6 /64 or
	// name within [AimTime].
	AimLimit = 4
	AimTime  = time.Minute
	// aimEntries is how many addresses are remembered. While all are recent, no other
	// address is dialled for strangers: more than the limits of all such dials together
	// reach in AimTime.
	aimEntries = 8192
)

// Aims counts the dials that strangers cause, by where they go, so that nobody turns this
// node, and others like it, on a third party. It is not safe for concurrent use.
type Aims struct {
	dials map[string][]time.Time // of the last AimTime, the oldest first
	swept time.Time              // when what is older was removed
}

// NewAims returns an Aims that has seen no dial.
func NewAims() *Aims { return &Aims{dials: make(map[string][]time.Time)} }

// IP reports whether a dial to an IP address may begin, and counts it if so.
func (a *Aims) IP(now time.Time, ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	return err == nil && a.Name(now, p.String())
}

// Name is IP for a name, of which only a resolver or a proxy knows the address.
func (a *Aims) Name(now time.Time, name string) bool {
	recent := since(a.dials[name], now)
	if len(recent) >= AimLimit {
		a.dials[name] = recent
		return false
	}
	if len(recent) == 0 && len(a.dials) >= aimEntries {
		if now.Sub(a.swept) < time.Second {
			return false
		}
		a.swept = now
		for k, times := range a.dials {
			if len(since(times, now)) == 0 {
				delete(a.dials, k)
			}
		}
		if len(a.dials) >= aimEntries {
			return false
		}
	}
	a.dials[name] = append(recent, now)
	return true
}

// Len returns how many addresses are remembered.
func (a *Aims) Len() int { return len(a.dials) }

func since(times []time.Time, now time.Time) []time.Time {
	for len(times) > 0 && now.Sub(times[0]) >= AimTime {
		times = times[1:]
	}
	return times
}
