package openfiles

import "testing"

func TestCrowded(t *testing.T) {
	for _, c := range []struct {
		fd   uintptr
		most uint64
		want bool
	}{
		{29, 40, false},
		{30, 40, true},
		{991, 1024, false},
		{992, 1024, true},
		{5, 0, false}, // unknown
		{1 << 20, ^uint64(0), false},
	} {
		if got := crowded(c.fd, c.most); got != c.want {
			t.Errorf("file %d of %d: got %v, want %v", c.fd, c.most, got, c.want)
		}
	}
}

func TestGone(t *testing.T) {
	for _, c := range []struct {
		used int
		most uint64
		want bool
	}{
		{29, 40, false},
		{30, 40, true},
		{921, 1024, false},
		{922, 1024, true},
		{5, 0, false}, // unknown
	} {
		if got := Gone(c.used, c.most); got != c.want {
			t.Errorf("%d of %d used: got %v, want %v", c.used, c.most, got, c.want)
		}
	}
}
