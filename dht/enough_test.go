package dht_test

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/protocol"
)

func TestConditions(t *testing.T) {
	report := func(kinds ...protocol.OutcomeKind) (r dht.Report) {
		for _, k := range kinds {
			r.Copies = append(r.Copies, dht.Copy{Outcome: protocol.Outcome{Kind: k}})
		}
		return r
	}
	const yes, lost, open = protocol.Confirmed, protocol.Failed, protocol.OutcomeKind(0)
	for name, test := range map[string]struct {
		report              dht.Report
		first, two, quarter bool
	}{
		"not sent yet":        {report(), false, false, false},
		"nothing known":       {report(open, open, open, open), false, false, false},
		"one failed":          {report(lost, open, open, open), true, false, false},
		"one confirmed":       {report(open, yes, open, open), true, false, true},
		"one of five":         {report(open, yes, open, open, open), true, false, false},
		"two confirmed":       {report(yes, yes, open, open), true, true, true},
		"two of many":         {report(yes, yes, lost, lost, lost, lost, lost, lost, lost), true, true, false},
		"confirmed, one peer": {report(yes), true, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			got := [3]bool{dht.AnyOutcome(test.report), dht.ConfirmedBy(2)(test.report), dht.ConfirmedShare(0.25)(test.report)}
			if want := [3]bool{test.first, test.two, test.quarter}; got != want {
				t.Errorf("any outcome, two, a quarter: got %v, want %v", got, want)
			}
		})
	}
}
