package config

import (
	"strings"
	"testing"
	"time"
)

// TestStoreForwardLimits: each fault of the limits is named, all at once.
func TestStoreForwardLimits(t *testing.T) {
	changes := map[string]func(*StoreForwardLimits){
		"SourceMessages: is negative;":                   func(l *StoreForwardLimits) { l.SourceMessages = -1 },
		"DestinationMessages: 10000001 is above":         func(l *StoreForwardLimits) { l.DestinationMessages = 10_000_001 },
		"Answer: 51 is above 50":                         func(l *StoreForwardLimits) { l.Answer = 51 },
		"DestinationBytes: 524288; it must have room":    func(l *StoreForwardLimits) { l.DestinationBytes = 524288 },
		"PairBytes: 7;":                                  func(l *StoreForwardLimits) { l.PairBytes = 7 },
		"SourceBytes: is negative":                       func(l *StoreForwardLimits) { l.SourceBytes = -1 },
		"Low: 1ms is below 1s":                           func(l *StoreForwardLimits) { l.Low = time.Millisecond },
		"High: 8785h0m0s is above":                       func(l *StoreForwardLimits) { l.High = 8785 * time.Hour },
		"Grace: 4m59s is below 5m0s":                     func(l *StoreForwardLimits) { l.Grace = 299 * time.Second },
		"Messages: 10000001 is above 10000000; lower it": func(l *StoreForwardLimits) { l.Messages = 10_000_001 },
	}
	all := Config{}
	for want, change := range changes {
		one := Config{}
		change(&one.StoreForward.Limits)
		if err := one.Validate(); err == nil || !strings.Contains(err.Error(), ": StoreForward.Limits."+want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want %q alone", err, want)
		}
		change(&all.StoreForward.Limits)
	}
	err := all.Validate()
	for want := range changes {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("several faults: got %v, want %q too", err, want)
		}
	}
	long := Config{}
	long.StoreForward.Limits.Message = 4<<20 + 1
	if err := long.Validate(); err == nil || !strings.Contains(err.Error(), "Message: 4194305 is above 4194304") {
		t.Errorf("got %v, want the longest message in it", err)
	}
}
