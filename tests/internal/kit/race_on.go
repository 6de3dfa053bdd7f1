//go:build race

package kit

// RaceEnabled: everything takes several times as long.
const RaceEnabled = true
