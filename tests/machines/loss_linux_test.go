package machines

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/tests/machines/internal/internet"
)

// loss is a path that loses packets, while both ends send a message a second.
type loss struct {
	name  string
	path  internet.Path
	long  time.Duration // how long it is kept in the long form
	short time.Duration // … and in the short one; 0: it is not there
	holds bool          // the connection must not end in the long form
}

var losses = []loss{
	{"5 % loss at a round trip of 300 ms, ten minutes, traffic", internet.Path{Delay: 150 * time.Millisecond, Loss: 0.05}, 10 * time.Minute, 20 * time.Second, true},
	{"30 % loss at a round trip of 500 ms, five minutes, traffic", internet.Path{Delay: 250 * time.Millisecond, Loss: 0.3}, 5 * time.Minute, 0, false},
}

// absences counts how often an end lists no connection, and for how long at most.
type absences struct {
	n       int
	longest time.Duration
	since   time.Time // of the present one; zero: there is none
}

func (a *absences) look(connected bool, now time.Time) {
	switch {
	case !connected && a.since.IsZero():
		a.n, a.since = a.n+1, now
	case !a.since.IsZero():
		a.longest = max(a.longest, now.Sub(a.since))
		if connected {
			a.since = time.Time{}
		}
	}
}

// rows measures how a connection fares, and returns a row of the table for each end. Noticed and
// named have no meaning there.
func (l *loss) rows(t *testing.T, fault time.Duration) string {
	s := newScene(t)
	s.start(&event{})
	ends := []*view{{m: s.here, peer: s.there}, {m: s.there, peer: s.here}}
	var flows []*traffic
	for _, v := range ends {
		v.m.Run("send", v.peer.Key(), "before the loss")
		flows = append(flows, startTraffic(v.m, v.peer))
		v.before = v.connections()
	}
	kept, away := l.short, make([]absences, len(ends))
	if fault == longFault {
		kept = l.long
	}
	s.net.Internet.Everywhere(l.path)
	for begin := time.Now(); time.Since(begin) < kept; time.Sleep(lookEvery) {
		for i, v := range ends {
			away[i].look(v.m.Connected(v.peer), time.Now())
		}
	}
	s.net.Internet.Everywhere(internet.Path{})
	healing := time.Now()
	for (ends[0].healed == 0 || ends[1].healed == 0) && time.Since(healing) < healLimit {
		for _, v := range ends {
			v.send(time.Since(healing))
		}
		time.Sleep(lookEvery)
	}
	var b strings.Builder
	for i, v := range ends {
		if v.healed == 0 {
			t.Errorf("%s: no message got through within %v after the loss", v.m.Name, healLimit)
		}
		connection := "kept"
		if v.connections() != v.before {
			connection = fmt.Sprintf("another; away %d times, at most %.1f s", away[i].n, away[i].longest.Seconds())
			if l.holds && fault == longFault {
				t.Errorf("%s: %s; want the connection kept", v.m.Name, connection)
			}
		}
		fmt.Fprintf(&b, "| %s | %s | | | %s | %s | %s |\n", l.name, []string{"here", "peer"}[i], seconds(v.healed, false), connection, flows[i].result(t))
	}
	return b.String()
}
