package render

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// TestHereAndNextAgree: of no cause of a dial does the line here send to another place than the line Next.
func TestHereAndNextAgree(t *testing.T) {
	const none, some = "none", "some"
	ends := map[string][3]string{ // after the counts: when nobody is reached, when others are; what helps when others are
		codes.DialForbidden.Name:  {},
		codes.FilesGone.Name:      {},
		codes.DialProxy.Name:      {},
		codes.DialNoPort.Name:     {},
		codes.DialBanned.Name:     {},
		codes.DialUnlisted.Name:   {},
		codes.DialExcluded.Name:   {},
		codes.DialNoAddress.Name:  {},
		codes.Draining.Name:       {},
		codes.DialRefused.Name:    {"the fault is there", "the fault is there", "check that the peer is running"},
		codes.DialOtherKey.Name:   {"the fault is there", "the fault is there", "check the peer's key"},
		codes.DialForeign.Name:    {"the fault is there", "the fault is there", "check the port"},
		codes.DialMute.Name:       {"the fault is there", "the fault is there", "it may be overloaded"},
		codes.DialHungUp.Name:     {"the fault is there", "the fault is there", "the status and the log of the other node"},
		codes.DialSecret.Name:     {"the fault is there", "the fault is there", "compare the files"},
		codes.DialTurnedAway.Name: {"the fault is there", "the fault is there", "lift the ban there"},
		codes.DialUnresolved.Name: {"nothing of the name", "nothing of the name", "check the name"},
		codes.DialProhibited.Name: {"may stop all that it sends", "is there or on the way", "open the port"},
		codes.DialNoRoute.Name:    {"its network first", "its network works, and the way to this address does not", "check the address"},
		codes.DialNoAnswer.Name:   {"its network first", "the fault is there or on the way", "check that the address is right"},
		codes.DialFailed.Name:     {"of 2 other peers", "(not 00112233445566", "look at the log of both"},
	}
	for c := range codes.All() {
		if !strings.HasPrefix(c.Name, "dial_unseen") && (strings.HasPrefix(c.Name, "dial_") || c == codes.FilesGone) {
			if _, ok := ends[c.Name]; !ok {
				t.Errorf("%s is a cause of a dial, and not in the table", c.Name)
			}
		}
	}
	for name, want := range ends {
		for i, reached := range []string{none, some} {
			w := models.Why{Because: new(codes.Named(name).Notice("why")), Others: &models.WhyOthers{Away: 2}}
			if reached == some {
				w.Others = &models.WhyOthers{Reached: 1, Away: 1, Who: "00112233445566778899aabbcc"}
			}
			var b bytes.Buffer
			o := &Output{Out: &b, Err: &b}
			here, next := o.hereText(&w), stepFor(&w)
			if (want[i] == "") != (here == "") || !strings.Contains(here, want[i]) {
				t.Errorf("%s, %s reached: got %q, want %q", name, reached, here, want[i])
			}
			if i == 1 && !strings.Contains(next, want[2]) {
				t.Errorf("%s: got the next step %q, want %q", name, next, want[2])
			}
			nears := strings.Contains(next, "this machine") || strings.Contains(next, "proxy.address") || strings.Contains(next, "ulimit")
			if strings.Contains(here, "there") && nears || strings.Contains(here, "its network works") && nears {
				t.Errorf("%s, %s reached: the line here says %q, the line Next %q", name, reached, here, next)
			}
			if strings.Contains(here, "its network first") && !nears {
				t.Errorf("%s: the line here says %q, the line Next %q", name, here, next)
			}
		}
	}
}

// TestWhyBlocked: the line here says that others cannot connect to this node, and Next what helps.
func TestWhyBlocked(t *testing.T) {
	var b bytes.Buffer
	o := &Output{Out: &b, Err: &b}
	w := models.Why{NodeID: carolID, PublicKey: carolKey, Addresses: 1, NotReached: new(codes.NotReached.Notice("others cannot connect to this node: 2 nodes could not at 11.1.0.10:18189", "18189"))}
	if err := Why(o, w, WhyOptions{Now: screenTime}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"here      others cannot connect to this node: 2 nodes could not at 11.1.0.10:18189", "open TCP port 18189 in the firewall of this machine"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("got\n%s\nwant %q", b.String(), want)
		}
	}
}
