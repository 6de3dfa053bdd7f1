package dht_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// A report prints as its summary, as a value and as a pointer.
func TestReportPrints(t *testing.T) {
	copies := []dht.Copy{{Outcome: protocol.Outcome{Kind: protocol.Confirmed}}, {Outcome: protocol.Outcome{Kind: protocol.InDoubt}}}
	for _, c := range []struct {
		report dht.Report
		want   string
	}{
		{dht.Report{Copies: copies}, "1 of 2 confirmed, 1 in doubt"},
		{dht.Report{Reason: dht.SendExpired, Err: errors.New("no time")}, "failed: expired: no time"},
	} {
		if got := fmt.Sprint(c.report); got != c.want {
			t.Errorf("got %q of a value, want %q", got, c.want)
		}
		if got := fmt.Sprint(&c.report); got != c.want {
			t.Errorf("got %q of a pointer, want %q", got, c.want)
		}
	}
}
