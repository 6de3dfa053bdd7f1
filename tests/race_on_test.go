//go:build race

package tests

// raceEnabled: everything takes several times as long.
const raceEnabled = true
