package saf_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/saf"
)

// faults returns the faults of limits, a line each.
func faults(l saf.Limits) string {
	var b strings.Builder
	for _, e := range l.Faults() {
		b.WriteString(e.Error() + "\n")
	}
	return b.String()
}

// TestFaults: the default is valid, and each fault is named, all at once.
func TestFaults(t *testing.T) {
	if got := faults(saf.Default()); got != "" {
		t.Errorf("the default: %s", got)
	}
	changes := map[string]func(*saf.Limits){
		"Messages is 0; it may be 1 to 10000000":        func(l *saf.Limits) { l.Messages = 0 },
		"SourceMessages is -1;":                         func(l *saf.Limits) { l.SourceMessages = -1 },
		"DestinationMessages is 10000001;":              func(l *saf.Limits) { l.DestinationMessages = 10_000_001 },
		"Message is 4194305; it may be 1 to 4194304":    func(l *saf.Limits) { l.Message = 4<<20 + 1 },
		"Answer is 51; it may be 1 to 50":               func(l *saf.Limits) { l.Answer = 51 },
		"DestinationBytes is 524288; it must have room": func(l *saf.Limits) { l.DestinationBytes = 524288 },
		"PairMessages is 0;":                            func(l *saf.Limits) { l.PairMessages = 0 },
		"PairBytes is 7;":                               func(l *saf.Limits) { l.PairBytes = 7 },
		"SourceBytes is -1;":                            func(l *saf.Limits) { l.SourceBytes = -1 },
		"; it may be 1s to":                             func(l *saf.Limits) { l.Low = 0 },
		"High is 8785h0m0s;":                            func(l *saf.Limits) { l.High = 8785 * time.Hour },
		"Grace is 4m59s; it may be 5m0s to 8784h0m0s":   func(l *saf.Limits) { l.Grace = 299 * time.Second },
	}
	all := saf.Default()
	for want, change := range changes {
		l := saf.Default()
		change(&l)
		if got := faults(l); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if want != "Message is 4194305; it may be 1 to 4194304" {
			change(&all)
		}
	}
	got := faults(all)
	for want := range changes {
		if !strings.HasPrefix(want, "Message is") && !strings.Contains(got, want) {
			t.Errorf("several faults: got %q, want %q too", got, want)
		}
	}
}
