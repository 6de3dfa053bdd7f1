package saf_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/saf"
)

// TestValidate: the default is valid, and each fault is named, all at once.
func TestValidate(t *testing.T) {
	if err := saf.Default().Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	faults := map[string]func(*saf.Limits){
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
	for want, change := range faults {
		l := saf.Default()
		change(&l)
		if err := l.Validate(); !errors.Is(err, saf.ErrLimits) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if want != "Message is 4194305; it may be 1 to 4194304" {
			change(&all)
		}
	}
	err := all.Validate()
	for want := range faults {
		if !strings.HasPrefix(want, "Message is") && !strings.Contains(err.Error(), want) {
			t.Errorf("several faults: got %v, want %q too", err, want)
		}
	}
}
