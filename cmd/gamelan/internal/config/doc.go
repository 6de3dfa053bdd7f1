// Package config reads the settings of the command gamelan: a TOML file, the
// environment and flags, in this order, the later over the earlier.
//
// Everything that is known of a setting stands once, in its row of [Settings]:
// key, kind, range, whether it can be changed while the node runs, and its
// text. Defaults are those of [gamelan.DefaultConfig]. The commented file, the
// explanations, the flags, the man page and docs/configuration.md are written
// from these rows. What is wrong with a setting is a [Problem]: where it
// stands, what was expected, and an example.
package config
