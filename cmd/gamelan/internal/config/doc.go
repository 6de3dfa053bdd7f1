// Package config reads the settings of the command gamelan from a TOML file, the
// environment and flags. The environment overrides the file, and flags override both.
//
// Each setting is described once, in its row of [Settings]: key, kind, range, whether it
// can be changed while the node runs, and its text. Defaults are those of
// [gamelan.DefaultConfig]. The commented file, the explanations, the flags, the man page
// and docs/configuration.md are made from these rows. An error in a setting is a
// [Problem], with its place, the expected value, and an example.
package config
