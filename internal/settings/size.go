package settings

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units are the units of sizes, the largest first.
var units = []struct {
	name  string
	bytes int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// decimal are units that are ambiguous: people also use them for powers of 1024.
var decimal = []string{"KB", "MB", "GB", "TB", "K", "M", "G", "T"}

// parseSize reads a size with its unit: "1MiB", "64 KiB", "512B".
func parseSize(s string) (int64, error) {
	text := strings.TrimSpace(s)
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	unit := text[len(digits):]
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New("it is no whole number with a unit")
	}
	if unit == "" {
		return 0, errors.New("it has no unit")
	}
	for _, u := range units {
		if strings.EqualFold(unit, u.name) {
			if n > math.MaxInt64/u.bytes {
				return 0, errors.New("it is too large")
			}
			return n * u.bytes, nil
		}
	}
	for _, d := range decimal {
		if strings.EqualFold(unit, d) {
			return 0, fmt.Errorf("%s is not a unit here, %siB is", unit, d[:1])
		}
	}
	return 0, fmt.Errorf("%s is not a unit", quote(unit))
}

// formatSize writes a size in the largest unit that divides it.
func formatSize(n int64) string {
	for _, u := range units {
		if n != 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return "0B"
}
