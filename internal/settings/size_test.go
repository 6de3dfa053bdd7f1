package settings

import "testing"

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"1B": 1, "64 KiB": 64 << 10, "1mib": 1 << 20, " 2GiB ": 2 << 30, "1TiB": 1 << 40} {
		if got, err := parseSize(text); got != want || err != nil {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
	for n, want := range map[int64]string{0: "0B", 1: "1B", 1536: "1536B", 1 << 20: "1MiB", 3 << 30: "3GiB"} {
		if got := formatSize(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
