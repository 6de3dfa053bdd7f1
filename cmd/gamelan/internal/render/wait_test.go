package render

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

func TestWhatAMessageWaitsFor(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	open := models.Copy{Peer: "00112233445566778899aabbcc", Outcome: models.Outcome{Outcome: models.OutcomeOpen}}
	written := open
	written.Tries = 1
	end := "; it is given up at " + now.Add(57*time.Second).Local().Format(time.RFC3339) + "."
	for want, c := range map[string]struct {
		copies []models.Copy
		peer   models.Peer
	}{
		"Message 0a waits: its receiver is being searched for":                                                                                                             {},
		"Message 0a waits for 0011223344556677: connected, but has not confirmed it yet":                                                                                   {[]models.Copy{written}, models.Peer{Connection: new("c-1")}},
		"Message 0a waits for 0011223344556677: connected, and other messages go first":                                                                                    {[]models.Copy{open}, models.Peer{Connection: new("c-1")}},
		"Message 0a waits for 0011223344556677: not connected, and being dialled, without an answer so far: it is away, it hangs, or a firewall drops it":                  {[]models.Copy{open}, models.Peer{}},
		"Message 0a waits for 0011223344556677 and 1 other peer: not connected, and being dialled, without an answer so far: it is away, it hangs, or a firewall drops it": {[]models.Copy{open, written}, models.Peer{}},
		"Message 0a waits for 0011223344556677: not connected, and being dialled (ended 9s ago: closed)":                                                                   {[]models.Copy{open}, models.Peer{EndedAt: now.Add(-9 * time.Second), EndedWhy: "closed"}},
		"Message 0a waits for 0011223344556677: not connected, and being dialled, next at " + now.Add(time.Second).Local().Format(time.RFC3339): {
			[]models.Copy{open}, models.Peer{NextDialAt: now.Add(time.Second)},
		},
	} {
		r := models.Report{Tag: "0a", Begin: now.Add(-3 * time.Second), Copies: c.copies}
		var first *models.Copy
		if len(c.copies) > 0 {
			first = &c.copies[0]
		}
		if got := new(Output).Waiting(&r, first, &c.peer, time.Minute, now); got != want+end {
			t.Errorf("got %q, want %q", got, want+end)
		}
	}
}
