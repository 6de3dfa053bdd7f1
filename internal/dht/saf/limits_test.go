package saf_test

import (
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
)

// TestLeastBytes: the defaults have room for the longest message.
func TestLeastBytes(t *testing.T) {
	l := saf.Default()
	least := l.LeastBytes()
	for _, n := range []int64{l.Bytes, l.SourceBytes, l.DestinationBytes, l.PairBytes} {
		if n < least {
			t.Errorf("got %d bytes, want at least %d", n, least)
		}
	}
	l.Message = saf.MostMessage
	if got := l.LeastBytes(); got <= saf.MostMessage || got <= least {
		t.Errorf("got %d bytes for the longest message, want more", got)
	}
}
