package words

import (
	"fmt"
	"time"
)

// Long returns a duration for people: "45 s", "3 min", "2 h 5 min", "4 days 3 h".
func Long(d time.Duration) string {
	with := func(n, rest int64, unit, lesser string) string {
		if rest == 0 {
			return fmt.Sprintf("%d %s", n, unit)
		}
		return fmt.Sprintf("%d %s %d %s", n, unit, rest, lesser)
	}
	switch s := int64(max(d, 0) / time.Second); {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min", s/60)
	case s < 48*3600:
		return with(s/3600, s%3600/60, "h", "min")
	default:
		return with(s/86400, s%86400/3600, "days", "h")
	}
}
