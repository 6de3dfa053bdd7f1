package kad_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/kad"
)

// The table of a client is slow to take in who has answered. The client's first lookup of its
// own id still begins with that contact, so that it meets the others.
func TestJoinWithSlowTable(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		l := newLab(t, kad.HubOptions{Delay: time.Millisecond}, kad.StandaloneOptions{Fault: func(path, at string) {
			switch { // the lookup would end in between, if it had nobody to ask
			case at == "*kad.contactAnswered" && strings.HasSuffix(path, "/c5/table"):
				time.Sleep(10 * time.Millisecond)
			case at == "kad.lookupEnded" && strings.HasSuffix(path, "/c5/lookups"):
				time.Sleep(20 * time.Millisecond)
			}
		}})
		for range 5 {
			l.add(nil)
			time.Sleep(time.Minute)
		}
		slow := l.add(nil)
		time.Sleep(time.Minute)
		if n := slow.View().Len(); slow.State().String() != "ready" || n != 5 {
			t.Errorf("got a client that is %v with %d contacts, want all 5", slow.State(), n)
		}
	})
}
