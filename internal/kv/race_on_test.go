//go:build race

package kv

// raceEnabled reports whether the race detector runs, under which everything
// takes longer.
const raceEnabled = true
