package main

import (
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// TestTimeOf: times as people write them.
func TestTimeOf(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"24h": "2026-03-09T12:00:00Z", "0s": "2026-03-10T12:00:00Z", "03:12": "2026-03-10T03:12:00Z", "03:12:30": "2026-03-10T03:12:30Z",
		"13:00":      "2026-03-09T13:00:00Z", // yesterday
		"2026-01-31": "2026-01-31T00:00:00Z", "2026-01-31 03:12": "2026-01-31T03:12:00Z", "2026-01-31T03:12:00Z": "2026-01-31T03:12:00Z",
		"": "", "yesterday": "", "-1h": "", "25:00": "", "3": "",
	} {
		got, err := timeOf("--from", text, now)
		if (err == nil) != (want != "") || err == nil && got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%q: got %v, %v, want %s", text, got, err, want)
		}
	}
}

// TestRatesSinceThen: rates are those since the look before, and an actor that was restarted has none of it.
func TestRatesSinceThen(t *testing.T) {
	before := []inspect.Actor{{ID: "a", Processed: 100, BusyTotal: 1e9}, {ID: "b", Incarnation: 1, Processed: 50}}
	now := []inspect.Actor{{ID: "a", Processed: 300, BusyTotal: 2e9}, {ID: "b", Incarnation: 2, Processed: 60}, {ID: "c", Processed: 5}}
	sinceThen(before, now, 2*time.Second)
	if now[0].Rate == nil || *now[0].Rate != 100 || *now[0].BusyPct != 50 || now[1].Rate != nil || now[2].Rate != nil {
		t.Errorf("got %+v", now)
	}
}
