package render

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// State returns a state and its cause: "online: 3 nodes are connected".
func State(state, cause string) string {
	if cause == "" {
		return state
	}
	return state + ": " + cause
}

// Bytes returns a number of bytes in its largest unit.
func Bytes(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.size {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/float64(u.size)), ".0") + " " + u.name
		}
	}
	return fmt.Sprintf("%d B", n)
}

// shortAge returns a duration in its largest unit.
func shortAge(d time.Duration) string {
	switch d = max(d, 0); {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// shortWords cuts s after the last word that fits.
func shortWords(s string, width int) string {
	if i := strings.Index(s, "; "); i >= 0 { // without the advice
		s = s[:i]
	}
	r := []rune(inspect.Escape(s))
	if len(r) <= width {
		return string(r)
	}
	short := string(r[:width])
	if i := strings.LastIndexByte(short, ' '); i > 0 {
		short = short[:i]
	} else {
		short = string(r[:width-1])
	}
	return strings.TrimRight(short, " ,:;(") + "…"
}

// shortText cuts s to width characters.
func shortText(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}

func orDash(s string) string { return cmp.Or(s, "-") }
