// Package units writes quantities for people.
package units

import "fmt"

// Bytes returns a number of bytes as text, in at most four digits.
func Bytes(n uint64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d B", n)
	case n < 10_000_000:
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%d MB", n/1_000_000)
}
