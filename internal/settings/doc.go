// Package settings reads the settings of a struct from a TOML file, the environment and
// flags. The environment overrides the file, and flags override both.
//
// A [Row] describes one setting, with the place of its value in the struct. Defaults, checks,
// the commented file, the explanations, the flags and the reference are made from the rows.
// An error in a setting is a [Problem], with its place, the expected value, and an example.
package settings
