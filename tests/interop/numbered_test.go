package interop

import (
	"encoding/binary"
	"fmt"
	"maps"
	"strconv"
	"testing"
)

// Messages of eight bytes or more begin with their number, big-endian; byte i
// of the rest is the low byte of number + i. Tari's nodes make and check the
// same.

func numbered(number uint64, size int) []byte {
	body := make([]byte, max(size, 8))
	binary.BigEndian.PutUint64(body, number)
	for i := 8; i < size; i++ {
		body[i] = byte(number + uint64(i))
	}
	return body[:size]
}

// run is n numbers in sequence, beginning with first.
type run struct{ first, n uint64 }

func (r *run) UnmarshalJSON(b []byte) error {
	_, err := fmt.Sscanf(string(b), "[%d,%d]", &r.first, &r.n)
	return err
}

// arrived is what came of one peer, on either side.
type arrived struct {
	Count   uint64
	Bytes   uint64
	Damaged uint64
	Short   map[string]uint64 // by size, below eight bytes
	Runs    []run             // in order of arrival
}

func (a *arrived) add(body []byte) {
	a.Count++
	a.Bytes += uint64(len(body))
	if len(body) < 8 {
		if a.Short == nil {
			a.Short = make(map[string]uint64)
		}
		a.Short[strconv.Itoa(len(body))]++
		return
	}
	number := binary.BigEndian.Uint64(body)
	for i := 8; i < len(body); i++ {
		if body[i] != byte(number+uint64(i)) {
			a.Damaged++
			break
		}
	}
	if n := len(a.Runs); n > 0 && a.Runs[n-1].first+a.Runs[n-1].n == number {
		a.Runs[n-1].n++
	} else {
		a.Runs = append(a.Runs, run{number, 1})
	}
}

func (a *arrived) clone() arrived {
	c := *a
	c.Short, c.Runs = maps.Clone(a.Short), append([]run(nil), a.Runs...)
	return c
}

// times counts how often each number arrived.
func (a *arrived) times() map[uint64]int {
	times := make(map[uint64]int)
	for _, r := range a.Runs {
		for n := r.first; n < r.first+r.n; n++ {
			times[n]++
		}
	}
	return times
}

// wantAll fails the test unless all numbers from first on arrived once, in
// order and undamaged, and nothing else did.
func (a *arrived) wantAll(t *testing.T, where string, first, count uint64) {
	t.Helper()
	if len(a.Runs) != 1 || a.Runs[0] != (run{first, count}) || a.Damaged != 0 || a.Count != count {
		t.Errorf("%s: got %s, want %d messages in order from %d", where, a, count, first)
	}
}

// wantOrder fails the test if a number came after a greater one.
func (a *arrived) wantOrder(t *testing.T, where string) {
	t.Helper()
	for i := 1; i < len(a.Runs); i++ {
		if before := a.Runs[i-1].first + a.Runs[i-1].n - 1; a.Runs[i].first <= before {
			t.Errorf("%s: got %d after %d in %s, want ascending numbers", where, a.Runs[i].first, before, a)
			break
		}
	}
	if a.Damaged != 0 {
		t.Errorf("%s: got %d damaged messages, want none", where, a.Damaged)
	}
}

// String is short however much arrived.
func (a *arrived) String() string {
	runs := a.Runs
	if len(runs) > 5 {
		runs = runs[:5]
	}
	return fmt.Sprintf("%d messages, %d bytes, %d damaged, in %d runs %v, short %v", a.Count, a.Bytes, a.Damaged, len(a.Runs), runs, a.Short)
}
