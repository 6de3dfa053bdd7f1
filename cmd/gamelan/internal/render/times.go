package render

import (
	"time"

	"github.com/gamelan-p2p/gamelan/internal/words"
)

// at returns a time as all commands write it: in the zone of this machine, with the zone, as in
// 2026-11-25T12:42:17+01:00. Options that take a time take it so.
func at(t time.Time) string { return t.Local().Format(time.RFC3339) }

// long returns a duration in a sentence: "41 s", "8 min", "2 h 5 min". In a table it is [shortAge].
func long(d time.Duration) string { return words.Long(d) }

// since returns a time and how long ago it was: "2026-11-25T12:42:17Z (4 min)".
func since(t, now time.Time) string { return at(t) + " (" + long(now.Sub(t)) + ")" }

// shortSince is how long ago a time was, in a table. A time that is not known is a dash.
func shortSince(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return shortAge(now.Sub(t))
}
