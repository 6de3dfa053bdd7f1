package freeport_test

import (
	"sync"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/freeport"
)

// TestNobodyGetsAPortTwice: callers that ask at the same time get different ports.
func TestNobodyGetsAPortTwice(t *testing.T) {
	const callers, each = 40, 20
	got := make([][]int, callers)
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() {
			ports, err := freeport.Ports(each)
			if err != nil {
				t.Error(err)
			}
			got[i] = ports
		})
	}
	all.Wait()
	seen := map[int]bool{}
	for _, ports := range got {
		for _, p := range ports {
			if seen[p] {
				t.Errorf("got port %d twice", p)
			}
			seen[p] = true
		}
	}
	if len(seen) != callers*each {
		t.Errorf("got %d ports, want %d", len(seen), callers*each)
	}
}
