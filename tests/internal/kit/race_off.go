//go:build !race

package kit

const RaceEnabled = false
